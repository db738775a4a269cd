"""What every video provider makes of a server that fails: what is known of the job, whatever the provider.

Subclass `VideoFaultContract` and give it `build(url)`: a provider whose server is at `url` and whose time limit for a
silent server is half a second (`timeout` in the account's options).

    class TestFalFaults(VideoFaultContract):
        model = "fal-ai/any"
        ref = "fal-ai/any/2f9d"
        async def build(self, url): ...
        def answers(self, call): ...  # what comes before the call in question, answered well
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum

import pytest

from mediagate.core.errors import MediagateError
from mediagate.providers.base import (
    FailureStage,
    FateUnknown,
    ProviderBusy,
    SubmitRefused,
    VideoKind,
    VideoProvider,
    VideoRequest,
    VideoVariant,
)
from mediagate.providers.files import ServesDirectly
from tests.doubles.faulty import FaultyServer, answer, faulty_server


class Call(StrEnum):
    """A method of a provider."""

    SUBMIT = "submit"
    POLL = "poll"
    CANCEL = "cancel"
    DELETE = "delete"
    CONTENT = "content"


@dataclass(frozen=True)
class Expected:
    """What a submit says of its fate."""

    kind: type[Exception]
    stage: FailureStage | None = None
    retry_after_s: float | None = None


SUBMIT: Mapping[str, Expected] = {
    "refused": Expected(ProviderBusy),
    "400": Expected(SubmitRefused, FailureStage.INPUT),
    "401": Expected(SubmitRefused, FailureStage.GATEWAY),
    "403": Expected(SubmitRefused, FailureStage.GATEWAY),
    "404": Expected(SubmitRefused, FailureStage.PROVIDER),
    "422": Expected(SubmitRefused, FailureStage.INPUT),
    "429": Expected(ProviderBusy, retry_after_s=7),
    "500": Expected(FateUnknown),
    "502": Expected(FateUnknown),
    "503": Expected(FateUnknown),
    "504": Expected(FateUnknown),
    "stall": Expected(FateUnknown),
    "reset": Expected(FateUnknown),
    "truncated": Expected(FateUnknown),
    "garbage": Expected(FateUnknown),
}
FAULTS = tuple(SUBMIT)
# Answers of 200 that are JSON, and not what anybody documents.
ODD_ANSWERS = {
    "list": b"[]",
    "null": b"null",
    "text": b'"ok"',
    "empty object": b"{}",
    "numbers for texts": b'{"id": 5, "status": 5, "state": 5, "name": 5, "done": 5, "request_id": 5}',
    "nulls": b'{"id": null, "status": null, "state": null, "name": null, "done": null, "request_id": null}',
    "objects": b'{"id": {}, "status": {}, "state": [], "name": [], "done": {}, "request_id": [], "output": 1}',
    "deep": b'{"status": ' + b"[" * 100_000,
    "no text": b'{"status": "\xff\xfe"}',
}
INSIDES = ("127.0.0.1", "10.0.0.7")
ATTEMPTS_MAX = 3


class VideoFaultContract:
    """The tables, for submit, poll, cancel, delete and content.

    `ref` is one that the provider could have given. `submit_table` is the table above, but where the provider is
    documented to mean something else. `faults` leaves out what cannot happen to this provider's transport.
    """

    model = ""
    ref = "job-abc123"
    submit_table: Mapping[str, Expected] = SUBMIT
    faults = FAULTS

    @pytest.fixture(autouse=True)
    def _hasty(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("mediagate.providers.http.BACK_OFF_S", 0.01)

    async def build(self, url: str) -> VideoProvider:
        """To be given by the subclass."""
        raise NotImplementedError

    def answers(self, call: Call) -> Mapping[str, bytes]:
        """What comes before the request in question, answered well (see `FaultyServer`): a token for every call, the
        job for `CONTENT`."""
        del call
        return {}

    def content_answers(self, url: str) -> Mapping[str, bytes]:
        """The same for `CONTENT` alone, where the job's link has to lead to the failing server at `url`."""
        del url
        return {}

    def request(self) -> VideoRequest:
        """A video of text alone, so that nothing comes before the submit."""
        return VideoRequest(
            token="video_0001",
            kind=VideoKind.CREATE,
            model=self.model,
            prompt="a paper boat",
            seconds=5,
            width=1280,
            height=720,
        )

    def requests(self, server: FaultyServer) -> list[str]:
        """The requests that count as attempts."""
        return server.requests

    @asynccontextmanager
    async def failing(self, fault: str, call: Call) -> AsyncIterator[tuple[VideoProvider, FaultyServer]]:
        """The provider, and its server that fails when it comes to `call`."""
        if fault not in self.faults:
            pytest.skip("cannot happen to this provider")
        async with faulty_server(fault, self.answers(call)) as server:
            if call is Call.CONTENT:
                server.answers = {**server.answers, **self.content_answers(server.url)}
            provider = await self.build(server.url)
            try:
                yield provider, server
            finally:
                await provider.close()

    @asynccontextmanager
    async def saying(self, reply: bytes) -> AsyncIterator[tuple[VideoProvider, FaultyServer]]:
        """The provider, and a server that gives the same answer to everything but what comes first."""
        async with faulty_server("garbage", {"": reply, **self.answers(Call.SUBMIT)}) as server:
            provider = await self.build(server.url)
            try:
                yield provider, server
            finally:
                await provider.close()

    @pytest.mark.parametrize("fault", FAULTS)
    async def test_submit(self, fault: str) -> None:
        async with self.failing(fault, Call.SUBMIT) as (provider, server):
            expected = self.submit_table[fault]
            with pytest.raises(expected.kind) as failed:
                await provider.submit(self.request())
            assert len(self.requests(server)) == (0 if fault == "refused" else 1)
            error = failed.value
            if isinstance(error, SubmitRefused):
                assert error.failure.stage is expected.stage
                assert error.failure.code
                assert not error.failure.charged
                # What is wrong with a request is told in the provider's own words.
                hidden = INSIDES[:1] if fault in ("400", "422") else INSIDES
                assert not any(inside in error.failure.message for inside in hidden)
            if isinstance(error, ProviderBusy):
                assert error.retry_after_s == expected.retry_after_s

    @pytest.mark.parametrize("fault", FAULTS)
    async def test_poll(self, fault: str) -> None:
        async with self.failing(fault, Call.POLL) as (provider, server):
            with pytest.raises(FateUnknown):
                await provider.poll(self.ref)
            assert len(self.requests(server)) == (0 if fault == "refused" else 1)

    @pytest.mark.parametrize("fault", FAULTS)
    async def test_cancel(self, fault: str) -> None:
        async with self.failing(fault, Call.CANCEL) as (provider, server):
            try:
                stopped = await provider.cancel(self.ref)
            except FateUnknown:
                stopped = False
                assert provider.spec.cancels
            assert not stopped
            assert len(self.requests(server)) <= ATTEMPTS_MAX

    @pytest.mark.parametrize("fault", FAULTS)
    async def test_delete(self, fault: str) -> None:
        async with self.failing(fault, Call.DELETE) as (provider, server):
            try:
                await provider.delete(self.ref)
            except (FateUnknown, MediagateError):
                # A provider that has it no longer, or has no delete, has nothing to fail.
                assert self.requests(server) or fault == "refused"
                assert fault != "404"
            assert len(self.requests(server)) <= ATTEMPTS_MAX

    @pytest.mark.parametrize("fault", FAULTS)
    async def test_content(self, fault: str) -> None:
        async with self.failing(fault, Call.CONTENT) as (provider, _):
            with pytest.raises((MediagateError, OSError)) as failed:
                content = await provider.open(self.ref, VideoVariant.VIDEO)
                async for _ in content.read(0, content.size_bytes):
                    pass
            if fault == "404":
                assert isinstance(failed.value, FileNotFoundError)
            if fault in ("429", "500", "503", "stall", "refused"):
                assert not isinstance(failed.value, FileNotFoundError)
            assert not any(inside in str(failed.value) for inside in INSIDES)

    @pytest.mark.parametrize("fault", ["401", "500", "stall", "garbage"])
    async def test_origin(self, fault: str) -> None:
        async with self.failing(fault, Call.POLL) as (provider, server):
            if not isinstance(provider, ServesDirectly) or self.ref_has_its_place(provider):
                pytest.skip("nothing is asked")
            with pytest.raises((MediagateError, OSError)):
                await provider.origin(self.ref, method="GET")
            assert len(self.requests(server)) <= ATTEMPTS_MAX

    def ref_has_its_place(self, provider: VideoProvider) -> bool:
        """Whether the ref alone tells where the content is."""
        del provider
        return False

    @pytest.mark.parametrize("body", ODD_ANSWERS.values(), ids=ODD_ANSWERS)
    async def test_an_odd_answer_is_no_verdict(self, body: bytes) -> None:
        async with self.saying(answer(body)) as (provider, _):
            with pytest.raises(FateUnknown):
                await provider.submit(self.request())
            with pytest.raises(FateUnknown):
                await provider.poll(self.ref)
            with pytest.raises((MediagateError, OSError)):
                await provider.open(self.ref, VideoVariant.VIDEO)

    async def test_a_redirect_of_a_call_is_not_followed(self) -> None:
        async with faulty_server("garbage") as other:
            reply = answer(b"{}", status=f"307 Temporary Redirect\r\nlocation: {other.url}/elsewhere")
            async with self.saying(reply) as (provider, _):
                with pytest.raises((FateUnknown, SubmitRefused)):
                    await provider.submit(self.request())
                with pytest.raises(FateUnknown):
                    await provider.poll(self.ref)
            assert not other.requests

    async def test_nobody_is_asked_again_by_a_poll_that_failed_before(self) -> None:
        async with self.failing("500", Call.POLL) as (provider, server):
            for number in range(1, 4):
                with pytest.raises(FateUnknown):
                    await provider.poll(self.ref)
                assert len(self.requests(server)) == number
