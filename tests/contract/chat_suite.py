"""What every provider of chats with words of its own has to do over a network, whatever its words.

Subclass `NativeChatContract` and give it `build(url, timeout)`: a provider whose server is at `url` and whose time
limit for a silent server is `timeout` seconds (in the account's options), and `frames`: the pieces of a stream on the
wire.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from contextlib import aclosing

import pytest

from mediagate.core.chat import ChatEvent, ChatRequest, Finish, Finished, Role, Settings, Text, TextDelta, Turn, Used
from mediagate.core.errors import InvalidField, MediagateError, ProviderFailed
from mediagate.providers import event_stream
from mediagate.providers.chat import Answers
from tests.contract.fault_suite import EXPECTED, assert_is
from tests.doubles.faulty import faulty_server
from tests.doubles.streaming import stream_server

WORDS = ("Hel", "lo, ", "wörld", " 🚢")
WAIT_S = 20
PATIENT_S = 60.0
IMPATIENT_S = 0.5


def question(text: str = "Hello", *, stream: bool = True, model: str = "m") -> ChatRequest:
    """Something to ask."""
    return ChatRequest(model, (Turn(Role.USER, (Text(text),)),), stream=stream)


async def collected(provider: Answers, request: ChatRequest) -> list[ChatEvent]:
    """All of an answer."""
    async with aclosing(provider.answer(request)) as pieces:
        return [piece async for piece in pieces]


def text_of(pieces: Sequence[ChatEvent]) -> str:
    """The words in it."""
    return "".join(piece.text for piece in pieces if isinstance(piece, TextDelta))


class NativeChatContract:
    """`content_type` is that of a stream, `model` one that the provider has, `unsaid` what it has no words for.
    `marks_end` tells that a stream says where it ends; else its end is that of its bytes."""

    content_type = "text/event-stream"
    model = "m"
    unsaid = Settings(n=2)
    marks_end = True

    def question(self, text: str = "Hello", *, stream: bool = True) -> ChatRequest:
        """Something to ask of the model."""
        return question(text, model=self.model, stream=stream)

    def build(self, url: str, timeout: float = PATIENT_S) -> Answers:
        """The provider."""
        raise NotImplementedError

    def frames(self, words: Sequence[str]) -> list[bytes]:
        """A stream whose text comes in these words: the first piece ends behind the first word, and the last has
        nothing but the end."""
        raise NotImplementedError

    async def test_words_come_as_they_are_said(self) -> None:
        first, *rest = self.frames(WORDS)
        gate = asyncio.Event()
        async with stream_server(first, gate, *rest, content_type=self.content_type) as server:
            provider = self.build(server.url)
            found: list[ChatEvent] = []
            async with asyncio.timeout(WAIT_S), aclosing(provider.answer(self.question())) as pieces:
                async for piece in pieces:
                    found.append(piece)
                    if isinstance(piece, TextDelta):
                        gate.set()
            assert text_of(found) == "".join(WORDS)
            assert isinstance(found[-1], Finished | Used)
            assert [piece.reason for piece in found if isinstance(piece, Finished)] == [Finish.STOP]
            await provider.close()

    async def test_pieces_may_be_cut_anywhere(self) -> None:
        whole = b"".join(self.frames(WORDS))
        for step in (1, 7):
            parts = [whole[at : at + step] for at in range(0, len(whole), step)]
            async with stream_server(*parts, content_type=self.content_type) as server:
                provider = self.build(server.url)
                assert text_of(await collected(provider, self.question())) == "".join(WORDS)
                await provider.close()

    @pytest.mark.parametrize("cut", [True, False])
    async def test_a_stream_that_breaks_off_is_no_answer(self, cut: bool) -> None:
        *frames, _ = self.frames(WORDS)
        half = frames[-1][: len(frames[-1]) // 2]
        for script in (frames, [*frames[:-1], half], [frames[0]], []):
            async with stream_server(*script, content_type=self.content_type, cut=cut) as server:
                provider = self.build(server.url)
                with pytest.raises(ProviderFailed) as caught:
                    await collected(provider, self.question())
                assert caught.value.code in ("provider_answer_cut", "provider_connection_lost")
                await provider.close()

    async def test_who_goes_away_ends_the_call_there(self) -> None:
        first, *rest = self.frames(WORDS)
        async with stream_server(first, asyncio.Event(), *rest, content_type=self.content_type) as server:
            provider = self.build(server.url)
            async with aclosing(provider.answer(self.question())) as pieces:
                async for piece in pieces:
                    if isinstance(piece, TextDelta):
                        break
            async with asyncio.timeout(WAIT_S):
                await server.gone.wait()
            await provider.close()

    async def test_who_is_cancelled_before_the_first_word_ends_the_call_there(self) -> None:
        async with stream_server(asyncio.Event(), content_type=self.content_type) as server:
            provider = self.build(server.url)
            task = asyncio.ensure_future(collected(provider, self.question()))
            while not server.seen:
                await asyncio.sleep(0.01)
            task.cancel()
            async with asyncio.timeout(WAIT_S):
                await server.gone.wait()
            await asyncio.wait([task])
            assert task.cancelled()
            await provider.close()

    async def test_a_connection_is_used_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(event_stream, "DRAIN_S", WAIT_S)
        async with stream_server(*self.frames(WORDS), content_type=self.content_type) as server:
            provider = self.build(server.url)
            for _ in range(5):
                await collected(provider, self.question())
            # A machine that is busy for as long as an idle connection lives may need more than one.
            assert len(server.seen) == 5
            assert server.connections < 5
            await provider.close()

    async def test_a_stream_that_has_said_all_is_not_waited_for(self) -> None:
        if not self.marks_end:
            pytest.skip("a stream ends with its bytes")
        script = [*self.frames(WORDS), asyncio.Event()]
        async with stream_server(*script, content_type=self.content_type) as server:
            provider = self.build(server.url)
            async with asyncio.timeout(WAIT_S):
                assert text_of(await collected(provider, self.question())) == "".join(WORDS)
                await server.gone.wait()
            await provider.close()

    @pytest.mark.parametrize("text", ["\ud83d", "\0", "\u2028", "🚢" * 1000])
    async def test_any_text_can_be_sent(self, text: str) -> None:
        async with stream_server(*self.frames(WORDS), content_type=self.content_type) as server:
            provider = self.build(server.url)
            await collected(provider, self.question(f"x{text}"))
            assert json.dumps(f"x{text}") in json.dumps(server.seen[0].json)
            await provider.close()

    async def test_a_hundred_at_once(self) -> None:
        first, *rest = self.frames(WORDS)
        gate = asyncio.Event()
        async with stream_server(first, gate, *rest, content_type=self.content_type) as server:
            provider = self.build(server.url)
            tasks = [asyncio.ensure_future(collected(provider, self.question())) for _ in range(100)]
            async with asyncio.timeout(WAIT_S):
                while len(server.seen) < len(tasks):
                    await asyncio.sleep(0.01)
                gate.set()
                for pieces in await asyncio.gather(*tasks):
                    assert text_of(pieces) == "".join(WORDS)
            await provider.close()

    @pytest.mark.parametrize("stream", [True, False])
    @pytest.mark.parametrize("fault", EXPECTED)
    async def test_what_a_server_that_fails_comes_to(self, fault: str, stream: bool) -> None:
        async with faulty_server(fault) as server:
            provider = self.build(server.url, IMPATIENT_S if fault == "stall" else PATIENT_S)
            with pytest.raises(MediagateError) as caught:
                await collected(provider, self.question(stream=stream))
            expected = EXPECTED[fault]
            error = caught.value
            if fault == "garbage":
                # A stream of something else has no end, for one.
                assert error.code in ("provider_bad_answer", "provider_answer_cut")
            else:
                assert_is(error, expected)
            # Nobody knows whether the first was answered, and paid: nothing is sent twice.
            assert len(server.requests) == (0 if fault == "refused" else 1)
            await provider.close()

    async def test_what_cannot_be_said_is_refused_before_it_is_sent(self) -> None:
        async with stream_server(content_type=self.content_type) as server:
            provider = self.build(server.url)
            request = ChatRequest(self.model, self.question().turns, self.unsaid)
            with pytest.raises(InvalidField):
                provider.check(request)
            with pytest.raises(InvalidField):
                await collected(provider, request)
            assert server.seen == []
            provider.check(self.question())
            await provider.close()
