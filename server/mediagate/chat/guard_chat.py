"""What guardrails say of a chat: of what is asked before anything is sent, of the answer before it reaches the caller.

    guard = await guard_chat.run(who, question, mentions, id_)      # 400 content_policy_violation, 503
    await guard.whole(document)                                     # the same, of an answer in one piece
    chunks = guard.stream(chunks)                                   # a stream ends with an error event instead

What a model answers was paid for, whatever becomes of it.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from mediagate.chat.answer_window import AnswerWindow
from mediagate.chat.exchange import EVENT_STREAM, Answer, one_piece
from mediagate.chat.mentioned import Mentioned
from mediagate.chat.pass_through import error_event, number_of
from mediagate.chat.question import Question
from mediagate.core.chat import Dialect, MediaKind, Mention
from mediagate.core.chat_text import texts_of
from mediagate.core.errors import InvalidField, MediagateError
from mediagate.core.guardrails import Stage, Streams, Subject
from mediagate.core.objects import Principal
from mediagate.files.read_picture import ReadPicture
from mediagate.files.sniff import HEAD_BYTES, content_type_of
from mediagate.guardrails.ask import refusal
from mediagate.guardrails.check_picture import CheckPicture
from mediagate.guardrails.check_text import CheckText
from mediagate.guardrails.decode_text import TextDecoder, is_text
from mediagate.guardrails.rules import Guardrails, Rule

ANSWERED: Final = ("choices", "output")
"""Where the words of an answer are, in either dialect."""


@dataclass(frozen=True, slots=True)
class GuardChat:
    """Asks about what a chat has of text."""

    guardrails: Guardrails
    read_picture: ReadPicture

    async def run(self, who: Principal, question: Question, files: Sequence[Mentioned], id_: str) -> Guard | None:
        """Look at the request. Returns who looks at the answer; None where nobody does.

        Raises `ContentPolicyViolation` for what may not pass, `Unavailable` where that cannot be found out and may not
        be left open, `ProviderRefused` for a name in a policy that is none, `InvalidField` for one in the request and
        for a link to a picture that guardrails would have to see.
        """
        names = tuple(
            dict.fromkeys((*self.guardrails.of_policies(who), *self.guardrails.asked_for(question.guardrails)))
        )
        subject = Subject(
            Stage.PROMPT,
            model=question.model,
            key_id=who.key_id or "",
            user_id=who.user_id or "",
            team_id=who.team_id or "",
            end_user=who.end_user or _user(question),
            object_id=id_,
        )
        asked = self.guardrails.chain(Stage.PROMPT, models=[question.model], names=names)
        if asked:
            named = [one.mention for one in files]
            text = "\n".join([*texts_of(question.body, [one.path for one in named]), *_files(named)])
            where = "messages" if question.dialect is Dialect.CHAT else "input"
            await CheckText(self.guardrails.outcomes).run(asked, subject, text, param=where)
        seen = self.guardrails.chain(Stage.IMAGE, models=[question.model], names=names)
        if seen:
            for one in files:
                if one.kind is MediaKind.IMAGE:
                    await self._look(seen, replace(subject, stage=Stage.IMAGE), one)
        answered = self.guardrails.chain(Stage.ANSWER, models=[question.model], names=names)
        if question.stream:
            answered = tuple(rule for rule in answered if rule.streams is not Streams.PASS)
        if not answered:
            return None
        return Guard(self.guardrails, answered, replace(subject, stage=Stage.ANSWER), question.dialect)

    async def _look(self, rules: Sequence[Rule], subject: Subject, one: Mentioned) -> None:
        param = one.mention.param
        async with self.read_picture.slots:
            if one.file is not None:
                picture = await self.read_picture.of_file(one.file, param)
            elif one.mention.data is not None:
                picture = await self.read_picture.of_bytes(_decoded(one.mention.data), one.media_type, param)
            else:
                raise InvalidField(
                    f"'{param}' is a link to a picture, which guardrails have to see. Upload it, or send "
                    "it as a data: URL.",
                    param=param,
                )
            outcome = await CheckPicture(self.guardrails.outcomes).run(rules, subject, picture)
        if outcome is not None:
            raise refusal(outcome, param)

    async def kept(self, who: Principal, models: Iterable[str], id_: str, data: bytes) -> None:
        """Look at a response that a provider has kept, before it is read again; `models` are those that may have made
        it. Raises as `run` does."""
        names = self.guardrails.of_policies(who)
        rules = self.guardrails.chain(Stage.ANSWER, models=models, names=names)
        if rules:
            subject = Subject(Stage.ANSWER, key_id=who.key_id or "", object_id=id_)
            await Guard(self.guardrails, rules, subject, Dialect.RESPONSES).whole(data)


@dataclass(frozen=True, slots=True)
class Guard:
    """Looks at one answer."""

    guardrails: Guardrails
    rules: Sequence[Rule]
    subject: Subject
    dialect: Dialect

    async def served(self, answer: Answer) -> Answer:
        """The same answer, of which nothing is passed on that may not pass. Raises as `GuardChat.run` does for an
        answer in one piece."""
        if answer.content_type == EVENT_STREAM:
            return replace(answer, chunks=self.stream(answer.chunks))
        data = b"".join([chunk async for chunk in answer.chunks])
        await self.whole(data)
        return replace(answer, chunks=one_piece(data))

    async def whole(self, data: bytes) -> None:
        """Look at an answer in one piece."""
        try:
            tree = json.loads(data)
        except (ValueError, RecursionError):
            tree = None
        if isinstance(tree, dict):
            await self._judge("\n".join(texts_of({name: tree[name] for name in ANSWERED if name in tree})))
        else:
            await self._judge(data.decode("utf-8", "replace"))

    async def stream(self, chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
        """The events that may pass, as soon as they may. Where one may not, an error event is the last."""
        holds_all = any(rule.streams is Streams.BUFFER for rule in self.rules)
        window, number = AnswerWindow(self.dialect, holds_all=holds_all), -1
        try:
            async for chunk in chunks:
                window.feed(chunk)
                if window.is_due:
                    await self._look(window)
                if free := window.free():
                    number = number_of(free, number)
                    yield free
            await self._look(window)
            if free := window.free():
                yield free
        except MediagateError as error:
            yield error_event(error, self.dialect, number + 1)

    async def _look(self, window: AnswerWindow) -> None:
        for text in window.texts():
            await self._judge(text)
        window.passed()

    async def _judge(self, text: str) -> None:
        if text.strip():
            await CheckText(self.guardrails.outcomes).run(self.rules, self.subject, text, param=None)


def _user(question: Question) -> str:
    user = question.body.get("user")
    return user if isinstance(user, str) else ""


def _files(named: Sequence[Mention]) -> list[str]:
    """The texts that a request carries as files in base64: nobody has looked at them yet."""
    return [text for one in named if one.data is not None and (text := _text(one.data))]


def _text(data: str) -> str:
    head = _decoded(data[: HEAD_BYTES * 4 // 3 // 4 * 4])
    kind = content_type_of(head, "")
    if not is_text(kind):
        return ""
    return TextDecoder(kind).feed(_decoded(data), final=True)


def _decoded(data: str) -> bytes:
    try:
        return base64.b64decode(data + "=" * (-len(data) % 4))
    except (binascii.Error, ValueError):
        return b""
