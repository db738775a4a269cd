"""The items of a response's `output` while they grow, and the events that tell of it, without their numbers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from mediagate.core.chat import ToolCallBegun

Tree = dict[str, Any]


class Item(ABC):
    """One item. `place` is its index in the output."""

    def __init__(self, id_: str, place: int) -> None:
        self.id = id_
        self.place = place
        self.status = "in_progress"

    @abstractmethod
    def tree(self) -> Tree:
        """The item as it is now."""

    def begin(self) -> Iterator[Tree]:
        """The event of its beginning."""
        yield {"type": "response.output_item.added", "output_index": self.place, "item": self.tree()}

    def end(self, status: str) -> Iterator[Tree]:
        """The events of its end; `status` is `completed` or `incomplete`."""
        self.status = status
        yield from self._ends()
        yield {"type": "response.output_item.done", "output_index": self.place, "item": self.tree()}

    def broke(self) -> None:
        """There is no more of it."""
        if self.status == "in_progress":
            self.status = "incomplete"

    def _ends(self) -> Iterator[Tree]:
        yield from ()

    def _event(self, name: str, **members: Any) -> Tree:
        return {"type": name, "item_id": self.id, "output_index": self.place, **members}


@dataclass(slots=True)
class _Part:
    kind: str
    text: list[str] = field(default_factory=list)
    logprobs: list[Mapping[str, Any]] = field(default_factory=list)

    def tree(self) -> Tree:
        text = "".join(self.text)
        if self.kind == "refusal":
            return {"type": "refusal", "refusal": text}
        return {"type": "output_text", "text": text, "annotations": [], "logprobs": list(self.logprobs)}


class MessageItem(Item):
    """What the model says: texts and refusals."""

    def __init__(self, id_: str, place: int) -> None:
        super().__init__(id_, place)
        self._parts: list[_Part] = []

    def tree(self) -> Tree:
        """The item as it is now."""
        parts = [part.tree() for part in self._parts]
        return {"id": self.id, "type": "message", "role": "assistant", "status": self.status, "content": parts}

    def say(self, kind: str, text: str, logprobs: Iterable[Mapping[str, Any]]) -> Iterator[Tree]:
        """Add words; `kind` is `output_text` or `refusal`."""
        if not self._parts or self._parts[-1].kind != kind:
            yield from self._ends()
            part = _Part(kind)
            self._parts.append(part)
            yield self._part_event("response.content_part.added", part=part.tree())
        part = self._parts[-1]
        part.text.append(text)
        part.logprobs += logprobs
        if kind == "refusal":
            yield self._part_event("response.refusal.delta", delta=text)
        else:
            yield self._part_event("response.output_text.delta", delta=text, logprobs=list(logprobs))

    def _ends(self) -> Iterator[Tree]:
        if not self._parts:
            return
        part = self._parts[-1].tree()
        if part["type"] == "refusal":
            yield self._part_event("response.refusal.done", refusal=part["refusal"])
        else:
            yield self._part_event("response.output_text.done", text=part["text"], logprobs=part["logprobs"])
        yield self._part_event("response.content_part.done", part=part)

    def _part_event(self, name: str, **members: Any) -> Tree:
        return self._event(name, content_index=len(self._parts) - 1, **members)


class ReasoningItem(Item):
    """What the model thinks: as its summary where the caller asked for one, else as it is."""

    def __init__(self, id_: str, place: int, *, summarized: bool) -> None:
        super().__init__(id_, place)
        self._summarized = summarized
        self._text: list[str] = []
        self._kind = "summary_text" if summarized else "reasoning_text"
        self._index = {"summary_index" if summarized else "content_index": 0}
        self._part_name = "response.reasoning_summary_part" if summarized else "response.content_part"
        self._text_name = "response.reasoning_summary_text" if summarized else "response.reasoning_text"

    def tree(self) -> Tree:
        """The item as it is now."""
        parts = [self._part()] if self._text else []
        content = {} if self._summarized else {"content": parts}
        summary = parts if self._summarized else []
        return {"id": self.id, "type": "reasoning", "status": self.status, "summary": summary, **content}

    def say(self, text: str) -> Iterator[Tree]:
        """Add words."""
        if not self._text:
            yield self._event(f"{self._part_name}.added", **self._index, part=self._part())
        self._text.append(text)
        yield self._event(f"{self._text_name}.delta", **self._index, delta=text)

    def _part(self) -> Tree:
        return {"type": self._kind, "text": "".join(self._text)}

    def _ends(self) -> Iterator[Tree]:
        part = self._part()
        yield self._event(f"{self._text_name}.done", **self._index, text=part["text"])
        yield self._event(f"{self._part_name}.done", **self._index, part=part)


class CallItem(Item):
    """A call that the model asks for."""

    def __init__(self, id_: str, place: int, begun: ToolCallBegun) -> None:
        super().__init__(id_, place)
        self._begun = begun
        self._arguments: list[str] = []

    def tree(self) -> Tree:
        """The item as it is now."""
        call = self._begun
        return {
            "id": self.id,
            "type": "function_call",
            "status": self.status,
            "call_id": call.id,
            "name": call.name,
            "arguments": self._said(),
            **({"extra_content": dict(call.extra)} if call.extra else {}),
        }

    def say(self, arguments: str) -> Iterator[Tree]:
        """Add characters of the arguments."""
        if not arguments:
            return
        self._arguments.append(arguments)
        yield self._event("response.function_call_arguments.delta", delta=arguments)

    def _ends(self) -> Iterator[Tree]:
        if not self._arguments and self.status == "completed":
            yield from self.say("{}")
        yield self._event("response.function_call_arguments.done", arguments=self._said())

    def _said(self) -> str:
        return "".join(self._arguments)
