"""The lines of an input file in the words of a provider. Pure, so that it can run in threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, TypeAlias

import orjson

from mediagate.batches.check_line import BadLine, LineChecker
from mediagate.batches.cost import Bounds
from mediagate.batches.cut_lines import TOO_LONG
from mediagate.batches.shapes import LineWriter, Shapes
from mediagate.chat.bounds import MediaSize
from mediagate.core.batches import LineError
from mediagate.core.chat import ChatRequest, Dialect, FileUse, MediaKind, Mention, Uses, Way
from mediagate.core.chat_mentions import mentions
from mediagate.core.chat_place import place
from mediagate.core.drop_settings import without_unsupported
from mediagate.core.errors import MediagateError
from mediagate.core.read_chat import read_chat
from mediagate.core.read_input import with_messages
from mediagate.core.read_responses import chat_form
from mediagate.providers.batches import (
    CHAT,
    EMBEDDINGS,
    RESPONSES,
    BatchProvider,
    TakesChatLines,
    TakesEmbeddingLines,
    TakesOpenAILines,
)
from mediagate.providers.registry import responses_hosts

ERRORS_MAX: Final = 100
"""So many faults of one file are told."""
USES_MAX: Final = 20_000
"""So many files are remembered."""
FileKey: TypeAlias = tuple[str, MediaKind | None, bool]
DIALECTS: Final = {CHAT: Dialect.CHAT, RESPONSES: Dialect.RESPONSES}


def key_of(ordinal: int) -> str:
    """The key of a line at its provider; lines are counted from 0."""
    return f"r{ordinal:010d}"


def ordinal_of(key: str) -> int:
    """Which line has this key. Raises `ValueError` for what is no key."""
    if len(key) != 11 or key[0] != "r" or not (key.isascii() and key[1:].isdigit()):
        raise ValueError("not a key of a line")
    return int(key[1:])


def writer_for(provider: BatchProvider, endpoint: str, model: str, *, drop_settings: bool = False) -> LineWriter:
    """How lines to `endpoint` are written for the provider's `model`. Raises `LookupError` where it takes none."""
    dialect = DIALECTS.get(endpoint)
    if isinstance(provider, TakesOpenAILines):
        takes_raw = provider.raw_line

        def raw(key: str, body: dict[str, Any], uses: Uses) -> bytes:
            told = dict(place(body, uses, dialect)) if uses and dialect is not None else body
            return takes_raw(key, endpoint, model, told)

        return raw
    if endpoint == EMBEDDINGS and isinstance(provider, TakesEmbeddingLines):
        takes_embeddings = provider.embedding_line
        return lambda key, body, _: takes_embeddings(key, model, body)
    if endpoint != EMBEDDINGS and isinstance(provider, TakesChatLines):
        write = _Chats(provider.chat_line, endpoint, model, drop_settings).write
        return Shapes(write).write if endpoint == CHAT else write
    raise LookupError(endpoint)


@dataclass(frozen=True, slots=True)
class _Chats:
    """Chats and responses at a provider with words of its own."""

    takes: Callable[[str, ChatRequest], bytes]
    endpoint: str
    model: str
    drop_settings: bool

    def write(self, key: str, body: dict[str, Any], uses: Uses) -> bytes:
        if self.endpoint == CHAT:
            return self._written(key, body, uses)
        form = chat_form(body, hosts=responses_hosts(), drop_settings=self.drop_settings)
        try:
            return self._written(key, form.body, form.uses(uses))
        except MediagateError as error:
            raise form.messages.told(error) from None

    def _written(self, key: str, body: dict[str, Any], uses: Uses) -> bytes:
        request = read_chat(body, uses, model=self.model, drop_settings=self.drop_settings)
        if not self.drop_settings:
            return self.takes(key, request)
        return without_unsupported(request, partial(self.takes, key))[1]


@dataclass(slots=True)
class Line:
    """A line that is a request."""

    ordinal: int
    body: dict[str, Any]
    size_bytes: int
    mentions: Sequence[Mention] = ()
    uses: dict[tuple[str | int, ...], tuple[MediaKind, FileUse]] = field(default_factory=dict)


@dataclass(slots=True)
class Group:
    """Some lines that were read together. `ids` has their `custom_id`s as JSON, line by line; `is_plain` is whether no
    line mentions a file."""

    lines: list[Line] = field(default_factory=list)
    ids: bytes = b""
    is_plain: bool = True


class Translator:
    """Goes through one file, group of lines by group. What is wrong is in `errors`; from the first of them on nothing
    is written any more, and after `ERRORS_MAX` nothing is read."""

    def __init__(
        self,
        checker: LineChecker,
        write: LineWriter | None,
        endpoint: str,
        *,
        lines_max: int | None,
        window: int | None = None,
    ) -> None:
        self._checker = checker
        self._dialect = DIALECTS.get(endpoint)
        self._write = write
        self._lines_max = lines_max
        self._blank: int | None = None
        self._number = 0
        self._stopped = False
        self.uses: dict[FileKey, tuple[MediaKind, FileUse]] = {}
        self.errors: list[LineError] = []
        self.lines = 0
        self.bounds = Bounds(window)

    @property
    def is_full(self) -> bool:
        """Whether enough is known to be wrong."""
        return self._stopped or len(self.errors) >= ERRORS_MAX

    def fail(self, code: str, message: str, line: int | None = None, param: str | None = None) -> None:
        """Note what is wrong."""
        if not self.is_full:
            self.errors.append(LineError(code, message, line, param))

    def read(self, lines: Sequence[bytes]) -> Group:
        """Check the next lines."""
        group, ids = Group(), []
        for line in lines:
            self._number += 1
            if not line.strip() and line is not TOO_LONG:
                self._blank = self._blank or self._number
                continue
            if self.is_full:
                break
            try:
                ids.append(self._take(line, group))
            except BadLine as bad:
                self.errors.append(LineError(bad.error.code, bad.error.message, self._number, bad.error.param))
            except MediagateError as error:
                self.refused(error, self._number)
        group.ids = b"".join(ids)
        return group

    def _take(self, line: bytes, group: Group) -> bytes:
        if self._blank is not None:
            # Lines are counted; one that counts for some and not for others would shift the rest.
            number, self._blank = self._blank, None
            self.fail("invalid_json_line", "This line is empty.", number)
        if line is TOO_LONG:
            raise BadLine("line_too_large", "This line has more bytes than a request may have.")
        custom_id, body = self._checker.read(line)
        self.lines += 1
        if self._lines_max is not None and self.lines > self._lines_max:
            self.fail("too_many_lines", f"The file has more than {self._lines_max} lines, which are the most.")
            self._stopped = True
            return b""
        if self._dialect is Dialect.CHAT and body.get("input") is not None:
            body, _ = with_messages(body)
        # Where an earlier one is broken its place is no longer the number of those that are whole.
        read = Line(self._number - 1, body, len(line), self._mentions(body))
        group.is_plain = group.is_plain and not read.mentions
        group.lines.append(read)
        return orjson.dumps(custom_id) + b"\n"

    def _mentions(self, body: dict[str, Any]) -> Sequence[Mention]:
        if self._dialect is Dialect.CHAT:
            messages = body["messages"]
            if type(messages) is list:
                for message in messages:
                    if type(message) is dict and type(message.get("content")) not in _PLAIN:
                        break
                else:
                    # Most lines have nothing but words.
                    return ()
        return () if self._dialect is None else mentions(body, self._dialect)

    def unknown(self, line: Line) -> list[Mention]:
        """What a line mentions of which nobody knows how the provider is told."""
        return [mention for mention in line.mentions if mention.path not in line.uses and not self._knows(mention)]

    def _knows(self, mention: Mention) -> bool:
        return (key := file_key(mention)) is not None and key in self.uses

    def tell(self, line: Line, mention: Mention, use: tuple[MediaKind, FileUse]) -> int:
        """How the provider is told. What can be said again in few words is remembered for other lines. Returns how many
        characters the line holds for it."""
        key = file_key(mention)
        if key is not None and use[1].way is not Way.DATA:
            if len(self.uses) >= USES_MAX:
                # The oldest; more lines than are read together lie between it and this one.
                del self.uses[next(iter(self.uses))]
            self.uses[key] = use
            return 0
        line.uses[mention.path] = use
        return len(use[1].value) if mention.data is None else 0

    def write(self, lines: Sequence[Line]) -> bytes:
        """Some lines as the provider takes them."""
        if self.errors or self._write is None:
            return b""
        written, write = [], self._write
        for line in lines:
            uses = self._uses(line)
            self.bounds.add(line.size_bytes, line.body, self._dialect, _media_of(line, uses))
            try:
                written.append(write(key_of(line.ordinal), line.body, uses))
            except MediagateError as error:
                self.refused(error, line.ordinal + 1)
        return b"".join(written)

    def _uses(self, line: Line) -> Uses:
        if not line.mentions:
            return {}
        known = ((mention.path, self.uses.get(file_key(mention) or _NOWHERE)) for mention in line.mentions)
        return {**line.uses, **{path: use for path, use in known if use is not None}}

    def refused(self, error: MediagateError, number: int) -> None:
        """Note what is wrong with a request."""
        param = None if error.param is None else f"body.{error.param}"
        self.fail(error.code, error.message, number, param)


def _media_of(line: Line, uses: Uses) -> Iterator[MediaSize]:
    """What the mentions of a line count for, beside its own bytes."""
    for mention in line.mentions:
        told = uses.get(mention.path)
        kind = (mention.kind or MediaKind.DOCUMENT) if told is None else told[0]
        if mention.data is None or kind is MediaKind.IMAGE:
            yield MediaSize(kind, None if told is None else told[1].size_bytes)


_PLAIN: Final = (str, type(None))
_NOWHERE: Final[FileKey] = ("", None, False)


def file_key(mention: Mention) -> FileKey | None:
    """What tells a mention of a stored file from that of another; None for what the line itself says all of."""
    return None if mention.file_id is None else (mention.file_id, mention.kind, mention.for_tool)
