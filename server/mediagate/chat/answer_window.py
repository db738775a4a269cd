"""A stream that waits to be judged: what has come, in pieces of a sentence or so, each with what came before it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from mediagate.chat.pass_through import data_of, events_of
from mediagate.core.chat import Dialect
from mediagate.core.chat_text import texts_of

WINDOW_CHARS: Final = 400
"""So much is judged at once at the latest."""
SENTENCE_CHARS: Final = 60
"""A sentence that is shorter waits for the next: to ask takes time."""
CONTEXT_CHARS: Final = 2000
"""So much of what has gone out already is judged with it."""
_END: Final = re.compile("[.!?;:\n\u3002\uff01\uff1f]\\s*\\Z")


@dataclass
class _Thread:
    """What one choice, or one part of an answer, says."""

    before: str = ""
    pending: str = ""


@dataclass
class AnswerWindow:
    """Holds events until their words are judged. With `holds_all` they are judged at the end, all at once."""

    dialect: Dialect
    holds_all: bool = False
    _held: list[bytes] = field(default_factory=list)
    _free: list[bytes] = field(default_factory=list)
    _threads: dict[str, _Thread] = field(default_factory=dict)

    def feed(self, events: bytes) -> None:
        """Take whole events."""
        for event in events_of(events):
            tree = data_of(event)
            for name, text in _said(tree, self.dialect) if isinstance(tree, dict) else ():
                self._say(name, text)
            if self.holds_all or any(thread.pending for thread in self._threads.values()):
                self._held.append(event)
            else:
                self._free.append(event)

    def _say(self, name: str, text: str) -> None:
        thread = self._threads.setdefault(name, _Thread())
        if name != _AGAIN:
            thread.pending += text
        elif not any(text in one.before + one.pending for one in self._threads.values()):
            # What is said again at the end of a part was judged before; what is new there was not.
            thread.pending += text + "\n"

    @property
    def is_due(self) -> bool:
        """Whether something should be judged now."""
        return not self.holds_all and any(
            len(thread.pending) >= WINDOW_CHARS
            or (len(thread.pending) >= SENTENCE_CHARS and _END.search(thread.pending) is not None)
            for thread in self._threads.values()
        )

    def texts(self) -> Iterator[str]:
        """What is to be judged."""
        for thread in self._threads.values():
            if thread.pending:
                yield thread.before[-CONTEXT_CHARS:] + thread.pending

    def passed(self) -> None:
        """All of that may go out."""
        for thread in self._threads.values():
            thread.before += thread.pending
            thread.pending = ""
        self._free += self._held
        self._held = []

    def free(self) -> bytes:
        """What may go out by now."""
        found, self._free = b"".join(self._free), []
        return found


_AGAIN: Final = "again"


def _said(tree: dict[str, Any], dialect: Dialect) -> Iterator[tuple[str, str]]:
    """The words of one event, with the name of what they go on."""
    return _said_in_response(tree) if dialect is Dialect.RESPONSES else _said_in_chunk(tree)


def _said_in_response(tree: dict[str, Any]) -> Iterator[tuple[str, str]]:
    delta, kind, response = tree.get("delta"), tree.get("type"), tree.get("response")
    if isinstance(delta, str) and isinstance(kind, str):
        yield f"{tree.get('item_id')}/{tree.get('content_index')}/{kind}", delta
        return
    again: dict[str, Any] = {
        name: tree[name] for name in ("item", "part", "text", "arguments", "refusal") if name in tree
    }
    if isinstance(response, dict):
        again["output"] = response.get("output")
    for text in texts_of(again):
        yield _AGAIN, text


def _said_in_chunk(tree: dict[str, Any]) -> Iterator[tuple[str, str]]:
    choices = tree.get("choices")
    for choice in choices if isinstance(choices, list) else ():
        delta = choice.get("delta") if isinstance(choice, dict) else None
        for member, value in delta.items() if isinstance(delta, dict) else ():
            if member != "role":
                for text in texts_of({member: value}):
                    yield f"{choice.get('index')}/{member}", text
