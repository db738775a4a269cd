"""How each provider can be told what a request mentions, and what of it has to be copied there first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from mediagate.chat.mentioned import Mentioned, Reader
from mediagate.core.chat import Dialect, MediaKind, Way
from mediagate.core.errors import InvalidField, InvalidRequest, MediagateError
from mediagate.core.lifecycle import ReplicaState
from mediagate.core.media_kinds import is_among
from mediagate.core.objects import File, Principal, Replica
from mediagate.core.placement import required_of, together, unmet
from mediagate.files.link_file import LinkFile
from mediagate.files.place_copy import PlaceCopy
from mediagate.providers.chat import ChatSpec, Taken
from mediagate.providers.files import FileOperation, FileProvider
from mediagate.routing.placement import unsatisfied
from mediagate.routing.stores import FileStores

# Kept in the provider's account, and named there.
BY_COPY = (Way.FILE_ID, Way.URI)
_MANY = {
    MediaKind.IMAGE: "images",
    MediaKind.AUDIO: "recordings",
    MediaKind.VIDEO: "videos",
    MediaKind.DOCUMENT: "documents",
}


@dataclass(frozen=True, slots=True)
class Choice:
    """One way to tell one provider. `copies` is whether the file has to be copied there first."""

    way: Way
    copies: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """How one deployment is told everything: for each mention the ways that are possible, the best first. `copies` is
    how many files it needs first. `told` are the copies that the provider was last told of, by file: it tells apart a
    copy that is gone from one that somebody has made anew meanwhile."""

    reader: Reader
    choices: tuple[tuple[Mentioned, tuple[Choice, ...]], ...] = ()
    copies: int = 0
    told: dict[str, str] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class ChooseWays:
    """Decides without asking anybody."""

    stores: FileStores
    place_copy: PlaceCopy
    link_file: LinkFile
    inline_bytes_max: int
    request_inline_bytes_max: int

    def run(self, who: Principal, files: Sequence[Mentioned], readers: Iterable[Reader]) -> list[Plan]:
        """Plans for those of `readers` that can be told everything: first those that hold it all, else in the order
        given. Raises one `InvalidField` where there is none, which says what the first one lacks and what helps."""
        plans: list[Plan] = []
        lacks: list[tuple[Reader, InvalidRequest]] = []
        for reader in readers:
            try:
                plans.append(self._plan(who, files, reader))
            except InvalidRequest as error:
                lacks.append((reader, error))
        if not plans and lacks:
            raise _nobody(lacks)
        # Sorting is stable: the order of those alike is the router's.
        return sorted(plans, key=lambda plan: plan.copies)

    def _plan(self, who: Principal, files: Sequence[Mentioned], reader: Reader) -> Plan:
        choices = tuple((one, self._choices(who, one, reader)) for one in files)
        inline_bytes = sum(one.size_bytes or 0 for one, possible in choices if possible[0].way is Way.DATA)
        limit_bytes = self.inline_limit(reader.spec)
        if inline_bytes > limit_bytes:
            raise too_much(reader.spec.title, limit_bytes, files[0].mention.param)
        to_copy = {one.file.id for one, possible in choices if one.file is not None and possible[0].copies}
        return Plan(reader, choices, len(to_copy))

    def _follows(self, reader: Reader) -> bool:
        """Whether a caller's link may be told: a server that may stand in the operator's own network could be led to
        what lies there."""
        spec, account = reader.spec, self.stores.accounts.get(reader.deployment.account)
        base = None
        if account is not None:
            name = account.provider.upper()
            base = account.api_base or account.env(f"{name}_BASE_URL", f"{name}_API_BASE")
        if not spec.fetches_callers_links or base is None or not spec.own_hosts:
            return spec.fetches_callers_links
        host = (urlsplit(base).hostname or "").rstrip(".")
        return any(host == own or host.endswith(f".{own}") for own in spec.own_hosts)

    def inline_limit(self, spec: ChatSpec) -> int:
        """How much of files one request to a provider may hold, before it is base64."""
        if spec.request_bytes_max is None:
            return self.request_inline_bytes_max
        return min(self.request_inline_bytes_max, spec.request_bytes_max // 4 * 3)

    def _choices(self, who: Principal, one: Mentioned, reader: Reader) -> tuple[Choice, ...]:
        if one.file is None:
            return _given(one, reader, self.inline_bytes_max, follows=self._follows(reader))
        self._require_place(who, one, one.file, reader)
        possible, reasons = [], []
        for taken in _taken(one, reader):
            try:
                possible.append(self._possible(one, one.file, taken, reader))
            except InvalidField as reason:
                reasons.append(reason)
        if possible:
            return tuple(possible)
        raise reasons[0]

    def _require_place(self, who: Principal, one: Mentioned, file: File, reader: Reader) -> None:
        """The bytes may only go where the file and its caller allow."""
        required = together([required_of(who), file.required or {}])
        account = self.stores.accounts.get(reader.deployment.account)
        missing = unmet(account.labels if account is not None else {}, required)
        if missing is not None:
            refused = unsatisfied(reader.deployment.account, missing, f"file {file.id}")
            refused.param = one.mention.param
            raise refused

    def _possible(self, one: Mentioned, file: File, taken: Taken, reader: Reader) -> Choice:
        """Raises `InvalidField` with the reason why not."""
        title, param = reader.spec.title, one.mention.param
        if taken.bytes_max is not None and file.size_bytes > taken.bytes_max:
            raise _too_large(file, title, taken.bytes_max, param)
        if taken.way in BY_COPY:
            return Choice(taken.way, copies=self._copies(file, reader, param))
        self._require_readable(file, reader, param)
        if taken.way is Way.LINK:
            if not self.link_file.can(file):
                raise InvalidField(
                    f"{title} fetches files by their URL, and file {file.id} has none: the gateway's operator has to "
                    "set 'handles.public_url', or to keep files in a store that signs URLs.",
                    param=param,
                    code="file_without_link",
                )
            return Choice(Way.LINK)
        if file.size_bytes > self.inline_bytes_max:
            raise _too_large(file, title, self.inline_bytes_max, param)
        return Choice(Way.DATA)

    def _copies(self, file: File, reader: Reader, param: str) -> bool:
        """Whether a copy has to be made. Raises where none can be."""
        account, title = reader.deployment.account, reader.spec.title
        held = next((copy for copy in file.replicas if copy.account == account), None)
        if held is not None and self.place_copy.usable(held):
            return False
        known, provider = self.stores.accounts.get(account), self._provider(account)
        if (
            known is None
            or known.provider != reader.deployment.provider
            or provider is None
            or FileOperation.CREATE not in provider.spec.supports
        ):
            raise InvalidField(
                f"{title} has no account that keeps files here. The gateway's operator has to name one in "
                "'files_settings'.",
                param=param,
                code="model_without_files",
            )
        spec = provider.spec
        if spec.file_bytes_max is not None and file.size_bytes > spec.file_bytes_max:
            raise _too_large(file, title, spec.file_bytes_max, param)
        if held is not None and held.state is ReplicaState.FAILED:
            raise InvalidField(
                f"{title} took a copy of file {file.id} and cannot use it. Check that the file is what its name says.",
                param=param,
                code="file_refused_by_provider",
            )
        if held is None or held.state is not ReplicaState.PROCESSING:
            self._require_readable(file, reader, param)
        return True

    def _require_readable(self, file: File, reader: Reader, param: str) -> None:
        if any(self._can_be_read(copy) for copy in file.replicas):
            return
        raise InvalidField(
            f"{reader.spec.title} has no copy of file {file.id}, and none can be made: those that there are cannot be "
            f"read back. Upload it with 'custom_llm_provider' {reader.deployment.account}, or to a store such as "
            "'local' as well.",
            param=param,
            code="no_readable_copy",
        )

    def _can_be_read(self, replica: Replica) -> bool:
        provider = self._provider(replica.account)
        return (
            provider is not None
            and self.place_copy.usable(replica)
            and provider.spec.reads_uploads
            and FileOperation.CONTENT in provider.spec.supports
        )

    def _provider(self, account: str) -> FileProvider | None:
        try:
            return self.stores.account(account)
        except (KeyError, MediagateError):
            return None


def _taken(one: Mentioned, reader: Reader) -> Sequence[Taken]:
    """How the provider takes such files. Raises `InvalidField` where it does not."""
    spec, dialect, model, param = reader.spec, reader.dialect, reader.deployment.provider_model, one.mention.param
    if one.mention.for_tool:
        has_ids = dialect in spec.dialects and _has_ids(spec, dialect)
        by_id = [Taken(one.kind, Way.FILE_ID, ("*/*",))] if has_ids else []
        if not by_id:
            raise InvalidField(f"{spec.title} has no tools that read files.", param=param, code="unsupported_part")
        return by_id
    ways = spec.ways(one.kind, dialect, model)
    fitting = [taken for taken in ways if is_among(one.media_type, taken.media_types)]
    if fitting:
        return fitting
    id_ = "" if one.file is None else f" {one.file.id}"
    if not ways:
        raise _no_such(one, reader, f"file{id_} is one ({one.media_type})")
    types = ", ".join(dict.fromkeys(name for taken in ways for name in taken.media_types))
    raise InvalidField(
        f"{spec.title} takes {_MANY[one.kind]} of the types {types}, and the bytes of file{id_} are {one.media_type}.",
        param=param,
        code="wrong_media_type",
    )


def _no_such(one: Mentioned, reader: Reader, because: str) -> InvalidField:
    """The answer where a provider reads nothing of a kind."""
    return InvalidField(
        f"{reader.spec.title} takes no {_MANY[one.kind]} for the model '{reader.deployment.model_name}', and "
        f"{because}. Ask a model that does.",
        param=one.mention.param,
        code="unsupported_part",
    )


def _has_ids(spec: ChatSpec, dialect: Dialect) -> bool:
    return any(taken.way is Way.FILE_ID and (not taken.dialects or dialect in taken.dialects) for taken in spec.takes)


def _given(one: Mentioned, reader: Reader, inline_bytes_max: int, *, follows: bool) -> tuple[Choice, ...]:
    """What the caller gave inline goes on as it is, as far as the provider takes it so."""
    spec, dialect, model = reader.spec, reader.dialect, reader.deployment.provider_model
    mention, linked = one.mention, one.mention.link is not None
    as_given = Way.LINK if linked else Way.DATA
    https = not linked or (mention.link or "")[:8].lower() == "https://"
    direct = https and (not linked or (follows and spec.fetches(mention.link or "")))
    ways = spec.ways(one.kind, dialect, model)
    if dialect in spec.dialects and direct:
        # It is asked in the caller's own words, and judges them itself; but these two have no word for such a link.
        known = {taken.way for taken in ways}
        fetched = linked and one.kind is MediaKind.DOCUMENT and Way.LINK not in known and Way.DATA in known
        return (Choice(Way.DATA if fetched else as_given),)
    unknown = linked and not one.media_type
    fitting = [taken for taken in ways if unknown or is_among(one.media_type, taken.media_types)]
    if direct and any(taken.way is as_given and not unknown for taken in fitting):
        if not linked and one.size_bytes is not None:
            _require_small(one, spec, fitting)
        return (Choice(as_given),)
    if linked and (any(taken.way is Way.DATA for taken in fitting) or dialect in spec.dialects):
        return (Choice(Way.DATA),)
    if ways and not fitting:
        types = ", ".join(dict.fromkeys(name for taken in ways for name in taken.media_types))
        raise InvalidField(
            f"{spec.title} takes {_MANY[one.kind]} of the types {types}, and this is {one.media_type}.",
            param=mention.param,
            code="wrong_media_type",
        )
    if not ways:
        raise _no_such(one, reader, "this is one")
    how = "by URL" if linked else "inline"
    raise InvalidField(
        f"{spec.title} takes no {_MANY[one.kind]} that are given {how}. Upload it with POST /v1/files "
        "and name the file's id here, or ask another model.",
        param=mention.param,
        code="unsupported_part",
    )


def _require_small(one: Mentioned, spec: ChatSpec, fitting: Iterable[Taken]) -> None:
    limits = [taken.bytes_max for taken in fitting if taken.way is Way.DATA]
    bounded = [limit for limit in limits if limit is not None]
    if len(bounded) == len(limits) and (one.size_bytes or 0) > max(bounded):
        raise InvalidField(
            f"{spec.title} takes {max(bounded)} bytes inline, and this has {one.size_bytes}. Upload it with POST "
            "/v1/files and name the file's id here.",
            param=one.mention.param,
            code="file_too_large",
        )


def too_much(title: str, limit_bytes: int, param: str) -> InvalidField:
    """The answer where files that are sent inside a request are too much together."""
    return InvalidField(
        f"A request to {title} may hold {limit_bytes} bytes of files, and this one has more. Send fewer, or smaller "
        "ones.",
        param=param,
        code="request_too_large",
        limit_bytes=limit_bytes,
    )


def _too_large(file: File, title: str, limit_bytes: int, param: str) -> InvalidField:
    return InvalidField(
        f"File {file.id} has {file.size_bytes} bytes, and {title} takes {limit_bytes} of such a file. Send a smaller "
        "one, or ask a model that takes more.",
        param=param,
        code="file_too_large",
        limit_bytes=limit_bytes,
    )


def _nobody(lacks: Sequence[tuple[Reader, InvalidRequest]]) -> InvalidRequest:
    first = lacks[0][1]
    others = list(
        dict.fromkeys(reader.spec.title for reader, _ in lacks[1:] if reader.spec.title != lacks[0][0].spec.title)
    )
    if others:
        first.message += f" Nor can it be read by the model's other providers: {', '.join(others)}."
        first.args = (first.message,)
    return first
