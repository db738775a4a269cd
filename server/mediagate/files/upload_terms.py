"""What the maker of a token settles for one upload, and an upload within it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from mediagate.core.end_users import FIELD
from mediagate.core.errors import InvalidField, PayloadTooLarge
from mediagate.core.forms import FieldEnd, FileData, FileStart, FormEvent
from mediagate.core.handles import UploadTerms
from mediagate.core.objects import Principal
from mediagate.files.rules import check_expiry, check_filename, check_on_partial, check_purpose
from mediagate.routing.targets import MODELS_FIELD, PROVIDER_FIELD, Named, Targets, Wish

SETTLED: Final = frozenset(
    {"purpose", "expires_after", "on_partial", "placement", "metadata", FIELD, PROVIDER_FIELD, MODELS_FIELD}
)
"""Fields of a form that a token's upload cannot choose."""


@dataclass(frozen=True, slots=True)
class SettleUpload:
    """Reads and checks what a caller settles."""

    targets: Targets
    file_bytes_max: int
    batch_bytes_max: int

    def run(self, who: Principal, tree: Mapping[str, Any]) -> UploadTerms:
        """`tree` has the members of a `TokenUpload`. Raises `InvalidField` as an upload would, and `PermissionDenied`
        for a target that the caller may not use."""
        purpose = check_purpose(tree.get("purpose") or "user_data")
        fields = [("purpose", purpose)]
        filename = tree.get("filename")
        expiry = tree.get("expires_after")
        if expiry:
            check_expiry(expiry)
            fields += [(f"expires_after[{name}]", str(expiry[name])) for name in ("anchor", "seconds")]
        if check_on_partial(tree.get("on_partial")):
            fields.append(("on_partial", "keep"))
        wish = Wish()
        for name in (PROVIDER_FIELD, MODELS_FIELD):
            if tree.get(name) is not None:
                wish.take(name, tree[name])
        if wish:
            fields += [(PROVIDER_FIELD, account) for account in self.targets.chosen(who, Named(), wish)]
        return UploadTerms(
            tuple(fields),
            self._bytes_max(tree.get("bytes_max"), purpose),
            None if filename is None else check_filename(filename, purpose),
        )

    def _bytes_max(self, asked: float | None, purpose: str) -> int:
        most = min(self.file_bytes_max, self.batch_bytes_max) if purpose == "batch" else self.file_bytes_max
        if asked is None:
            return most
        if asked != int(asked) or asked > most:
            raise InvalidField(
                f"'upload.bytes_max' must be a whole number of at most {most} bytes.", param="upload.bytes_max"
            )
        return int(asked)


async def within(terms: UploadTerms, named: Named, events: AsyncIterator[FormEvent]) -> AsyncIterator[FormEvent]:
    """The events of an upload, behind the fields that are settled. Raises `InvalidField` for a field that would change
    them, and `PayloadTooLarge`."""
    if named.first is not None:
        raise _settled(PROVIDER_FIELD)
    for name, value in terms.fields:
        yield FieldEnd(name, value)
    size_bytes = 0
    async for event in events:
        match event:
            case FieldEnd(name, value) if name.partition("[")[0] in SETTLED:
                if terms.field(name) != value:
                    raise _settled(name.partition("[")[0])
                continue
            case FileStart() if terms.filename is not None:
                yield replace(event, filename=terms.filename)
                continue
            case FileData(data):
                size_bytes += len(data)
                if size_bytes > terms.bytes_max:
                    raise PayloadTooLarge(
                        f"File is too large: this token takes {terms.bytes_max} bytes.",
                        param="file",
                        limit_bytes=terms.bytes_max,
                    )
        yield event


def _settled(name: str) -> InvalidField:
    return InvalidField(f"'{name}' is settled by whoever made this token. Leave it out.", param=name, code="settled")
