"""What every video provider must do: subclass `VideoProviderContract` and give it a bench.

    class TestFal(VideoProviderContract):
        @pytest_asyncio.fixture
        async def bench(self, api): ...

`VideoBench` (tests/contract/video_bench.py) is how the suite tells the provider's double what to say next. What a
provider cannot do is in its spec, what it cannot say in the bench; the suite skips that and nothing else.
`tests/contract/video_fault_suite.py` is about a server that fails.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from mediagate.core.errors import MediagateError, ProviderFailed
from mediagate.providers.base import (
    Content,
    FailureStage,
    FateUnknown,
    JobState,
    ProviderBusy,
    SubmitRefused,
    VideoKind,
    VideoVariant,
)
from mediagate.providers.files import ServesDirectly
from mediagate.providers.http_session import trusted
from tests.contract.video_bench import VIDEO, Said, VideoBench, media, model_of, request_for, weighed_media
from tests.contract.video_spec_suite import VideoSpecContract
from tests.doubles.origin import Origin, running_origin
from tests.doubles.tls import certified

MIB = 1 << 20
INPUT_BYTES = 5 * MIB + 17
HELD_BYTES_MAX = 2 * MIB
INSIDES = "worker-7.internal.example at 10.1.2.3 died, request id req_7f3a9c2e"
PNG = b"\x89PNG\r\n\x1a\n"

MEANS = {
    Said.QUEUED: JobState.QUEUED,
    Said.RENDERING: JobState.RENDERING,
    Said.SUCCEEDED: JobState.SUCCEEDED,
    Said.FAILED: JobState.FAILED,
    Said.MODERATED: JobState.FAILED,
    Said.CANCELLED: JobState.CANCELLED,
    Said.WITH_ERROR: JobState.FAILED,
    Said.NO_VIDEO: JobState.FAILED,
}


async def read(content: Content, start: int = 0, end: int | None = None) -> bytes:
    """Read a part of an output."""
    return b"".join([bytes(part) async for part in content.read(start, content.size_bytes if end is None else end)])


def needs(bench: VideoBench, *said: Said) -> None:
    """Skip what the provider cannot express."""
    if missing := set(said) - bench.says:
        pytest.skip(f"{bench.provider.spec.title} never says {', '.join(sorted(missing))}")


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """`above` over `below`, object by object."""
    result = dict(below)
    for name, value in above.items():
        old = result.get(name)
        result[name] = merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return result


async def finished(bench: VideoBench, token: str = "video_0001", video: bytes = VIDEO) -> str:
    """A job with an output."""
    ref = await bench.provider.submit(request_for(bench, token))
    await bench.advance(ref, Said.SUCCEEDED, video=video)
    return ref


class VideoProviderContract(VideoSpecContract):
    """The suite."""

    @pytest.fixture
    def bench(self) -> VideoBench:
        """To be given by the subclass, new for every test."""
        raise NotImplementedError

    @pytest.fixture
    def elsewhere(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Origin]:
        """Another host, over TLS that we trust; `VIDEO` is at `/elsewhere.mp4`."""
        authority, context = certified("127.0.0.1", tmp_path)
        monkeypatch.setenv("SSL_CERT_FILE", str(authority))
        trusted.cache_clear()
        with running_origin(context) as origin:
            origin.hold("/elsewhere.mp4", VIDEO, headers={"content-type": "video/mp4"})
            yield origin
        trusted.cache_clear()

    async def test_a_submit_is_sent_once_and_gives_a_ref(self, bench: VideoBench) -> None:
        ref = await bench.provider.submit(request_for(bench))
        assert ref
        assert bench.submits() == 1
        assert bench.jobs() == 1

    async def test_the_same_token_makes_one_job_where_the_provider_can(self, bench: VideoBench) -> None:
        if not bench.provider.spec.idempotent_submit:
            pytest.skip("every submit is a job")
        request = request_for(bench, "video_twice")
        assert await bench.provider.submit(request) == await bench.provider.submit(request)
        assert bench.jobs() == 1
        await bench.provider.submit(request_for(bench, "video_other"))
        assert bench.jobs() == 2

    async def test_concurrent_jobs_do_not_mix(self, bench: VideoBench) -> None:
        refs = await asyncio.gather(*(bench.provider.submit(request_for(bench, f"video_{n}")) for n in range(8)))
        assert len(set(refs)) == bench.jobs() == 8
        videos = [VIDEO[:40] + os.urandom(50_000 + n) for n in range(8)]
        for ref, video in zip(refs[:-1], videos, strict=False):
            await bench.advance(ref, Said.SUCCEEDED, video=video)
        await bench.advance(refs[-1], Said.RENDERING)
        states = [status.state for status in await asyncio.gather(*map(bench.provider.poll, refs))]
        assert states == [JobState.SUCCEEDED] * 7 + [JobState.RENDERING]
        contents = await asyncio.gather(*(bench.provider.open(ref, VideoVariant.VIDEO) for ref in refs[:-1]))
        outputs = await asyncio.gather(*map(read, contents))
        assert outputs == [await bench.made(ref) for ref in refs[:-1]]

    @pytest.mark.parametrize("said", MEANS)
    async def test_every_state_is_mapped(self, bench: VideoBench, said: Said) -> None:
        needs(bench, said)
        ref = await bench.provider.submit(request_for(bench))
        await bench.advance(ref, said, video=VIDEO, reason="the seed is out of range")
        status = await bench.provider.poll(ref)
        assert status.state is MEANS[said]
        # A cancelled job may say what it cost.
        assert (status.failure is not None) is (status.state is JobState.FAILED) or said is Said.CANCELLED
        if status.failure is not None:
            assert status.failure.code
            assert status.failure.message

    async def test_every_documented_word_is_mapped(self, bench: VideoBench) -> None:
        ref = await bench.provider.submit(request_for(bench))
        states = {}
        for word in bench.words:
            await bench.advance(ref, Said.WORD, word=word, video=VIDEO, reason="the seed is out of range")
            states[word] = (await bench.provider.poll(ref)).state
        assert states == bench.words

    @pytest.mark.parametrize("word", ["zz_unheard_of", "", "Succeeded!"])
    async def test_an_unknown_word_is_no_verdict(self, bench: VideoBench, word: str) -> None:
        needs(bench, Said.WORD)
        ref = await bench.provider.submit(request_for(bench))
        await bench.advance(ref, Said.WORD, word=word, video=VIDEO)
        with pytest.raises(FateUnknown):
            await bench.provider.poll(ref)
        await bench.advance(ref, Said.SUCCEEDED, video=VIDEO)
        assert (await bench.provider.poll(ref)).state is JobState.SUCCEEDED

    async def test_a_job_that_is_not_there_is_no_verdict(self, bench: VideoBench) -> None:
        for ref in (bench.absent_ref, "..", "a/../b?c=d#e", "\n", "ä" * 300, ""):
            with pytest.raises(FateUnknown):
                await bench.provider.poll(ref)
            with pytest.raises(FileNotFoundError):
                await bench.provider.open(ref, VideoVariant.VIDEO)
        assert bench.submits() == 0

    async def test_progress_is_told_where_the_provider_tells_it(self, bench: VideoBench) -> None:
        ref = await bench.provider.submit(request_for(bench))
        for percent in (0.0, 37.0, 99.0):
            await bench.advance(ref, Said.RENDERING, progress_percent=percent)
            told = (await bench.provider.poll(ref)).progress_percent
            if bench.provider.spec.reports_progress:
                assert told == pytest.approx(percent, abs=1.0)
            else:
                assert told is None

    async def test_the_place_in_the_queue(self, bench: VideoBench) -> None:
        if not bench.tells_position:
            pytest.skip("the provider does not tell it")
        ref = await bench.provider.submit(request_for(bench))
        await bench.advance(ref, Said.QUEUED, position=3)
        assert (await bench.provider.poll(ref)).position == 3

    async def test_the_hint_when_to_poll(self, bench: VideoBench) -> None:
        if not bench.tells_when_to_poll:
            pytest.skip("the provider gives none")
        ref = await bench.provider.submit(request_for(bench))
        await bench.advance(ref, Said.RENDERING, poll_after_s=7)
        assert (await bench.provider.poll(ref)).poll_after_s == 7

    async def test_the_cost_is_the_providers_own(self, bench: VideoBench) -> None:
        ref = await bench.provider.submit(request_for(bench))
        await bench.advance(ref, Said.SUCCEEDED, video=VIDEO, cost_usd=bench.cost_usd)
        cost = (await bench.provider.poll(ref)).cost_usd
        assert cost == (pytest.approx(bench.cost_usd) if bench.provider.spec.reports_cost else None)

    async def test_a_refusal_of_the_content_is_typed(self, bench: VideoBench) -> None:
        needs(bench, Said.MODERATED)
        ref = await bench.provider.submit(request_for(bench))
        await bench.advance(ref, Said.MODERATED)
        failure = (await bench.provider.poll(ref)).failure
        assert failure is not None
        assert failure.code == "content_policy_violation"
        assert failure.stage in (FailureStage.INPUT, FailureStage.OUTPUT)
        assert not failure.retryable

    async def test_done_without_a_video_is_a_failure_of_the_output(self, bench: VideoBench) -> None:
        needs(bench, Said.NO_VIDEO)
        ref = await bench.provider.submit(request_for(bench))
        await bench.advance(ref, Said.NO_VIDEO)
        failure = (await bench.provider.poll(ref)).failure
        assert failure is not None
        assert (failure.stage, failure.code) == (FailureStage.OUTPUT, "no_video")

    @pytest.mark.parametrize("said", [Said.FAILED, Said.WITH_ERROR])
    async def test_a_failure_tells_nothing_of_the_providers_insides(self, bench: VideoBench, said: Said) -> None:
        needs(bench, said)
        ref = await bench.provider.submit(request_for(bench))
        await bench.advance(ref, said, reason=INSIDES)
        failure = (await bench.provider.poll(ref)).failure
        assert failure is not None
        for secret in ("10.1.2.3", "internal.example", "req_7f3a9c2e", "127.0.0.1", bench.secret):
            assert secret not in failure.message

    async def test_the_output_is_the_providers_byte_by_byte(self, bench: VideoBench) -> None:
        ref = await finished(bench)
        expected = await bench.made(ref)
        content = await bench.provider.open(ref, VideoVariant.VIDEO)
        assert content.size_bytes == len(expected)
        assert content.content_type == "video/mp4"
        assert await read(content) == expected

    async def test_a_part_of_the_output(self, bench: VideoBench) -> None:
        ref = await finished(bench)
        expected = await bench.made(ref)
        size = len(expected)
        content = await bench.provider.open(ref, VideoVariant.VIDEO)
        for start, end in ((0, 1), (1, 2), (size // 3, size // 2), (size - 1, size), (7, 7), (0, size)):
            assert await read(content, start, end) == expected[start:end]

    async def test_an_output_that_ends_early_is_no_output(self, bench: VideoBench) -> None:
        ref = await finished(bench)
        await bench.cut(ref, 100_000)
        with pytest.raises((OSError, ProviderFailed)):
            await read(await bench.provider.open(ref, VideoVariant.VIDEO))

    async def test_a_link_that_has_expired_is_asked_for_again(self, bench: VideoBench) -> None:
        ref = await finished(bench)
        expected = await bench.made(ref)
        assert await read(await bench.provider.open(ref, VideoVariant.VIDEO), 0, 5) == expected[:5]
        await bench.expire_links()
        assert await read(await bench.provider.open(ref, VideoVariant.VIDEO)) == expected

    async def test_another_host_is_followed_without_credentials(self, elsewhere: Origin, bench: VideoBench) -> None:
        if not bench.far_content:
            pytest.skip("the content has no links")
        ref = await finished(bench)
        await bench.redirect_content(f"https://127.0.0.1:{elsewhere.port}/elsewhere.mp4?signature=abc")
        content = await bench.provider.open(ref, VideoVariant.VIDEO)
        assert await read(content) == VIDEO
        assert await read(content, 1000, 2000) == VIDEO[1000:2000]
        assert elsewhere.asked
        for asked in elsewhere.asked:
            assert bench.secret not in f"{asked.raw_path} {asked.headers}"

    async def test_another_host_without_tls_is_not_followed(self, bench: VideoBench) -> None:
        if not bench.far_content:
            pytest.skip("the content has no links")
        ref = await finished(bench)
        with running_origin() as plain:
            plain.hold("/plain.mp4", VIDEO)
            await bench.redirect_content(f"{plain.url}/plain.mp4")
            with pytest.raises(MediagateError):
                await bench.provider.open(ref, VideoVariant.VIDEO)
            assert not plain.asked

    async def test_redirects_without_an_end_are_given_up(self, elsewhere: Origin, bench: VideoBench) -> None:
        if not bench.far_content:
            pytest.skip("the content has no links")
        ref = await finished(bench)
        elsewhere.hold("/loop.mp4", b"", status=302, headers={"location": "/loop.mp4"})
        await bench.redirect_content(f"https://127.0.0.1:{elsewhere.port}/loop.mp4")
        with pytest.raises(MediagateError):
            await bench.provider.open(ref, VideoVariant.VIDEO)
        assert len(elsewhere.asked) < 10

    async def test_the_edge_can_stream_by_itself(self, bench: VideoBench) -> None:
        if not isinstance(bench.provider, ServesDirectly):
            pytest.skip("the bytes pass Python")
        ref = await finished(bench)
        expected = await bench.made(ref)
        origin = await bench.provider.origin(ref, method="GET")
        async with httpx.AsyncClient(verify=ssl.create_default_context()) as plain:
            answer = await plain.get(origin.url, headers={**origin.headers, "range": "bytes=10-99"})
        assert answer.status_code == 206
        assert answer.content == expected[10:100]
        assert bench.secret not in repr(origin)

    async def test_what_is_not_there_yet_or_any_more(self, bench: VideoBench) -> None:
        ref = await bench.provider.submit(request_for(bench))
        await bench.advance(ref, Said.RENDERING)
        with pytest.raises(FileNotFoundError):
            await bench.provider.open(ref, VideoVariant.VIDEO)
        needs(bench, Said.GONE)
        await bench.advance(ref, Said.SUCCEEDED, video=VIDEO)
        await bench.advance(ref, Said.GONE)
        with pytest.raises(FileNotFoundError):
            await bench.provider.open(ref, VideoVariant.VIDEO)

    @pytest.mark.parametrize("variant", [VideoVariant.THUMBNAIL, VideoVariant.SPRITESHEET])
    async def test_pictures_are_there_where_the_provider_makes_them(
        self, bench: VideoBench, variant: VideoVariant
    ) -> None:
        ref = await finished(bench)
        if bench.pictures:
            content = await bench.provider.open(ref, variant)
            assert content.content_type.startswith("image/")
            assert len(await read(content)) == content.size_bytes
        else:
            with pytest.raises(FileNotFoundError):
                await bench.provider.open(ref, variant)

    async def test_a_cancel_is_truthful(self, bench: VideoBench) -> None:
        ref = await bench.provider.submit(request_for(bench))
        await bench.advance(ref, bench.cancels_at)
        stopped = await bench.provider.cancel(ref)
        assert stopped is bench.provider.spec.cancels
        state = (await bench.provider.poll(ref)).state
        assert state is (JobState.CANCELLED if stopped else MEANS[bench.cancels_at])
        # Whatever the provider says of it, it is no error to ask twice.
        await bench.provider.cancel(ref)

    async def test_what_has_ended_cannot_be_cancelled(self, bench: VideoBench) -> None:
        ref = await finished(bench)
        assert not await bench.provider.cancel(ref)
        assert (await bench.provider.poll(ref)).state is JobState.SUCCEEDED

    async def test_a_delete_may_be_repeated(self, bench: VideoBench) -> None:
        ref = await finished(bench)
        await bench.provider.delete(ref)
        await bench.provider.delete(ref)
        await bench.provider.delete(bench.absent_ref)
        if bench.forgets:
            with pytest.raises(FileNotFoundError):
                await bench.provider.open(ref, VideoVariant.VIDEO)

    async def test_a_callers_members_reach_the_provider(self, bench: VideoBench) -> None:
        if not bench.extra:
            pytest.skip("nothing is sent anywhere")
        plain = await bench.provider.submit(request_for(bench, "video_plain"))
        more = await bench.provider.submit(request_for(bench, "video_more", extra=bench.extra))
        assert bench.sent(more) == merged(bench.sent(plain), bench.extra)
        assert bench.sent(more) != bench.sent(plain)

    async def test_a_large_image_arrives_as_it_is(self, bench: VideoBench) -> None:
        if "image" not in model_of(bench).inputs or not bench.reads_inputs:
            pytest.skip("the model takes no image from us")
        data = PNG + os.urandom(INPUT_BYTES)
        with weighed_media(data, "image/png") as (image, held):
            ref = await bench.provider.submit(request_for(bench, image=image))
        assert bench.image_of(ref) == data
        assert bench.submits() == 1
        assert len(held) == 1
        assert not bench.streams_inputs or held[0] < HELD_BYTES_MAX

    async def test_a_source_video_arrives_as_it_is(self, bench: VideoBench) -> None:
        kinds = [kind for kind in model_of(bench).kinds if kind is not VideoKind.CREATE]
        if "video" not in model_of(bench).inputs or not kinds or not bench.reads_inputs:
            pytest.skip("the model takes no video from us")
        data = VIDEO[:40] + os.urandom(INPUT_BYTES)
        with weighed_media(data, "video/mp4") as (source, held):
            ref = await bench.provider.submit(request_for(bench, kind=kinds[0], source_video=source))
        assert bench.source_of(ref) == data
        assert not bench.streams_inputs or held[0] < HELD_BYTES_MAX

    async def test_an_input_that_cannot_be_read_starts_nothing(self, bench: VideoBench) -> None:
        if "image" not in model_of(bench).inputs or not bench.reads_inputs:
            pytest.skip("the model takes no image from us")
        short = media(PNG + os.urandom(200_000), "image/png", size_bytes=300_000)
        with pytest.raises((SubmitRefused, ProviderBusy, FateUnknown, MediagateError, OSError)):
            await bench.provider.submit(request_for(bench, image=short))
        assert bench.jobs() == 0

    async def test_closing_twice_is_closing_once(self, bench: VideoBench) -> None:
        await finished(bench)
        await bench.provider.close()
        await bench.provider.close()
