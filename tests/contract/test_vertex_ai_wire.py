"""What `vertex_ai` sends and makes of the answers that gcp-storage-emulator never gives, against a recorder."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio

from mediagate.core.errors import ProviderFailed, ProviderRefused
from mediagate.core.ids import FILE, new_file_id
from mediagate.providers.account import Account
from mediagate.providers.files import ListQuery, NewFile, Origin
from mediagate.providers.vertex_ai.content import RANGE_BYTES
from mediagate.providers.vertex_ai.files import VertexFiles, build
from mediagate.providers.vertex_ai.upload import CHUNK_BYTES
from tests.contract.suite import BINARY, MIB, read, store
from tests.doubles.gcs import BUCKET, GcsDouble, gcs_double, violations

LARGE = os.urandom(2 * CHUNK_BYTES + 77_777)
QUANTUM = 256 << 10


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mediagate.providers.http.BACK_OFF_S", 0.01)


@pytest_asyncio.fixture
async def double() -> AsyncIterator[GcsDouble]:
    """A recorder; nothing that it was sent may be unknown to Google's discovery document."""
    async with gcs_double() as running:
        yield running
    assert [found for request in running.received for found in violations(request)] == []
    assert {request.headers.get("authorization") for request in running.received} <= {"Bearer ya29.test"}


def provider_of(double: GcsDouble, **more: object) -> VertexFiles:
    """An account with a token, at the recorder."""
    return build(
        Account("a", "vertex_ai", api_key="ya29.test", api_base=double.url, bucket_name=BUCKET, **more)  # type: ignore[arg-type]
    )


@pytest_asyncio.fixture
async def provider(double: GcsDouble) -> AsyncIterator[VertexFiles]:
    """The same, closed at the end."""
    built = provider_of(double)
    yield built
    await built.close()


def spans(double: GcsDouble) -> list[str]:
    """The `Content-Range` of every PUT."""
    return [request.headers["content-range"] for request in double.calls("PUT")]


def span(first: int, end: int, total: int | None = None) -> str:
    return f"bytes {first}-{end - 1}/{'*' if total is None else total}"


def only_object(double: GcsDouble) -> bytes:
    (stored,) = double.objects.values()
    return stored.data


async def test_a_kms_key_is_named_with_every_object(double: GcsDouble) -> None:
    key = "projects/p/locations/eu/keyRings/r/cryptoKeys/k"
    provider = provider_of(double, options={"kms_key_id": key})
    small = await store(provider, BINARY, key=new_file_id())
    await store(provider, LARGE, key=new_file_id())

    async def progress(_done_bytes: int) -> None:
        pass

    await provider.copy(small.ref, NewFile(key=new_file_id()), progress)
    await provider.close()
    begun = [request for request in double.calls("POST") if request.path.startswith("/upload/")]
    assert [request.query.get("kmsKeyName") for request in begun] == [key, key]
    rewrites = [request for request in double.calls("POST") if "/rewriteTo/" in request.path]
    assert rewrites
    assert {request.query.get("destinationKmsKeyName") for request in rewrites} == {key}


class TestWriting:
    async def test_what_is_small_goes_in_one_request_with_its_checksum(
        self, double: GcsDouble, provider: VertexFiles
    ) -> None:
        key = new_file_id()
        blob = await store(provider, BINARY, key=key, filename="Ünï code.PDF", content_type="application/pdf")
        (request,) = double.received
        assert (request.method, request.query["uploadType"], request.query["ifGenerationMatch"]) == (
            "POST",
            "multipart",
            "0",
        )
        assert request.body["contentType"] == "application/pdf"
        assert request.body["metadata"] == {"key": key, "filename": "%C3%9Cn%C3%AF%20code.PDF", "purpose": "user_data"}
        assert blob.ref == f"gs://{BUCKET}/mediagate/{key}/_n_code.PDF"
        assert only_object(double) == BINARY
        assert (await provider.get(blob.ref)).filename == "Ünï code.PDF"

    async def test_what_is_large_goes_in_chunks_and_the_last_one_tells_the_size(
        self, double: GcsDouble, provider: VertexFiles
    ) -> None:
        await store(provider, LARGE, chunk=700_001, size_bytes=len(LARGE))
        start = double.received[0]
        assert (start.query["uploadType"], start.query["ifGenerationMatch"]) == ("resumable", "0")
        assert start.headers["x-upload-content-length"] == str(len(LARGE))
        assert spans(double) == [
            span(0, CHUNK_BYTES),
            span(CHUNK_BYTES, 2 * CHUNK_BYTES),
            span(2 * CHUNK_BYTES, len(LARGE), len(LARGE)),
        ]
        assert only_object(double) == LARGE

    @pytest.mark.parametrize("extra", [-1, 0, 1])
    async def test_sizes_around_a_chunk(self, double: GcsDouble, provider: VertexFiles, extra: int) -> None:
        data = LARGE[: CHUNK_BYTES + extra]
        await store(provider, data)
        assert only_object(double) == data
        assert len(double.received) == (1 if extra <= 0 else 3)

    async def test_a_store_that_keeps_less_is_sent_the_rest(self, double: GcsDouble, provider: VertexFiles) -> None:
        double.takes = [QUANTUM, 4 * QUANTUM, None, 0, 3 * QUANTUM]
        await store(provider, LARGE)
        assert only_object(double) == LARGE
        assert spans(double)[:3] == [
            span(0, CHUNK_BYTES),
            span(QUANTUM, CHUNK_BYTES),
            span(5 * QUANTUM, CHUNK_BYTES),
        ]

    async def test_after_a_broken_chunk_the_store_is_asked_and_gets_the_rest(
        self, double: GcsDouble, provider: VertexFiles
    ) -> None:
        double.breaks = [None, 3 * QUANTUM + 5, 0]
        await store(provider, LARGE)
        assert only_object(double) == LARGE
        assert spans(double)[1:6] == [
            span(CHUNK_BYTES, 2 * CHUNK_BYTES),
            "bytes */*",
            span(CHUNK_BYTES + 3 * QUANTUM, 2 * CHUNK_BYTES),
            "bytes */*",
            span(CHUNK_BYTES + 3 * QUANTUM, 2 * CHUNK_BYTES),
        ]

    async def test_a_chunk_is_given_up_after_three_attempts(self, double: GcsDouble, provider: VertexFiles) -> None:
        double.breaks = [0, 0, 0]
        writer = await provider.create(NewFile(key=new_file_id(), filename="a.bin"))
        with pytest.raises(ProviderFailed) as failed:
            for at in range(0, len(LARGE), MIB):
                await writer.write(LARGE[at : at + MIB])
        assert failed.value.code == "provider_connection_lost"
        assert spans(double) == [span(0, CHUNK_BYTES), "bytes */*"] * 2 + [span(0, CHUNK_BYTES)]
        await writer.abort()
        assert [session.is_cancelled for session in double.sessions.values()] == [True]

    async def test_a_store_that_never_takes_a_byte_is_given_up(self, double: GcsDouble, provider: VertexFiles) -> None:
        double.takes = [0] * 10
        with pytest.raises(ProviderFailed):
            await store(provider, LARGE)
        assert len([request for request in double.calls("PUT") if request.headers["content-length"] != "0"]) == 3

    @pytest.mark.parametrize("told", ["bytes=0-8388608", "bytes=0-99999999", "nonsense"])
    async def test_a_store_that_has_other_bytes_than_were_sent_has_lost_the_upload(
        self, double: GcsDouble, provider: VertexFiles, told: str
    ) -> None:
        double.ranges = ["bytes=0-8388607", told, told, told] if told == "nonsense" else [told] * 3
        with pytest.raises(ProviderFailed) as failed:
            await store(provider, LARGE)
        assert failed.value.code == "provider_upload_lost"

    async def test_a_lost_answer_to_the_last_chunk_is_asked_for(self, double: GcsDouble, provider: VertexFiles) -> None:
        double.answers_lost = 1
        blob = await store(provider, LARGE)
        assert blob.size_bytes == len(LARGE)
        assert spans(double)[-1] == "bytes */*"

    async def test_a_lost_answer_to_a_small_object_does_not_send_it_again(
        self, double: GcsDouble, provider: VertexFiles
    ) -> None:
        double.answers_lost = 1
        with pytest.raises(ProviderFailed):
            await store(provider, BINARY)
        assert len(double.calls("POST")) == 1
        assert double.objects == {}

    @pytest.mark.parametrize("data", [BINARY, LARGE], ids=["small", "large"])
    async def test_other_bytes_in_the_store_are_removed(
        self, double: GcsDouble, provider: VertexFiles, data: bytes
    ) -> None:
        double.wrong_crc32c = True
        with pytest.raises(ProviderFailed) as failed:
            await store(provider, data)
        assert failed.value.code == "provider_checksum_mismatch"
        assert double.objects == {}

    @pytest.mark.parametrize("data", [BINARY, LARGE], ids=["small", "large"])
    async def test_a_second_attempt_with_the_same_key_and_bytes_succeeds(
        self, double: GcsDouble, provider: VertexFiles, data: bytes
    ) -> None:
        key = new_file_id()
        first = await store(provider, data, key=key)
        generation = next(iter(double.objects.values())).resource["generation"]
        assert await store(provider, data, key=key) == first
        assert next(iter(double.objects.values())).resource["generation"] == generation

    async def test_a_second_attempt_with_other_bytes_overwrites_nothing(
        self, double: GcsDouble, provider: VertexFiles
    ) -> None:
        key = new_file_id()
        await store(provider, BINARY, key=key)
        writer = await provider.create(NewFile(key=key, filename="data.bin"))
        await writer.write(b"other")
        with pytest.raises(ProviderFailed) as failed:
            await writer.commit()
        assert (failed.value.code, failed.value.retryable) == ("provider_conflict", False)
        assert only_object(double) == BINARY

    async def test_an_abort_cancels_the_session(self, double: GcsDouble, provider: VertexFiles) -> None:
        writer = await provider.create(NewFile(key=new_file_id(), filename="a.bin"))
        await writer.write(LARGE)
        await writer.abort()
        await writer.abort()
        assert [session.is_cancelled for session in double.sessions.values()] == [True]
        assert len(double.calls("DELETE")) == 1

    async def test_a_cancelled_upload_leaves_nothing(self, double: GcsDouble, provider: VertexFiles) -> None:
        task = asyncio.create_task(store(provider, LARGE * 3))
        while not double.calls("PUT"):
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert all(session.is_cancelled for session in double.sessions.values())
        assert double.objects == {}

    async def test_a_missing_bucket_is_the_operators_fault(self, double: GcsDouble, provider: VertexFiles) -> None:
        double.statuses = [404]
        with pytest.raises(ProviderRefused) as refused:
            await store(provider, LARGE)
        assert refused.value.code == "provider_not_found"

    async def test_a_session_that_is_gone_is_no_missing_file(self, double: GcsDouble, provider: VertexFiles) -> None:
        double.statuses = [None, 410]
        with pytest.raises(ProviderFailed) as failed:
            await store(provider, LARGE)
        assert failed.value.code == "provider_upload_lost"

    async def test_the_next_chunk_fills_while_one_is_being_sent(self, double: GcsDouble, provider: VertexFiles) -> None:
        writer = await provider.create(NewFile(key=new_file_id(), filename="a.bin"))
        await writer.write(LARGE[:CHUNK_BYTES])
        assert double.received == []
        async with asyncio.timeout(20):
            await writer.write(LARGE[CHUNK_BYTES : 2 * CHUNK_BYTES])
        assert double.calls("PUT") == []
        await writer.write(LARGE[2 * CHUNK_BYTES :])
        await writer.commit()
        assert only_object(double) == LARGE


class TestReading:
    async def test_a_broken_body_is_taken_up_where_it_broke(self, double: GcsDouble, provider: VertexFiles) -> None:
        double.put("other/object", LARGE)
        double.media_breaks = [MIB, 2 * MIB, None, 5]
        content = await provider.open(f"gs://{BUCKET}/other/object")
        assert await read(content) == LARGE
        starts = [int(r.headers["range"][6:].partition("-")[0]) for r in double.calls("GET", "/download")]
        assert len(starts) == 6
        assert starts[0] == 0
        assert 0 < starts[1] <= MIB

    async def test_a_body_that_breaks_three_times_is_an_error(self, double: GcsDouble, provider: VertexFiles) -> None:
        double.put("other/object", LARGE)
        double.media_breaks = [0, 0, 0]
        with pytest.raises(ProviderFailed):
            await read(await provider.open(f"vertex_ai://{BUCKET}/other/object"))
        assert len(double.calls("GET", "/download")) <= 6

    async def test_every_range_is_of_the_same_generation(self, double: GcsDouble, provider: VertexFiles) -> None:
        double.put("other/object", LARGE)
        content = await provider.open(f"gs://{BUCKET}/other/object")
        double.put("other/object", LARGE[::-1])
        with pytest.raises(FileNotFoundError):
            await read(content)

    async def test_a_wrong_checksum_shows_before_the_last_bytes(self, double: GcsDouble, provider: VertexFiles) -> None:
        double.wrong_crc32c = True
        double.put("other/object", LARGE)
        content = await provider.open(f"gs://{BUCKET}/other/object")
        got = bytearray()
        with pytest.raises(ProviderFailed) as failed:
            async for piece in content.read(0, content.size_bytes):
                got += piece
        assert failed.value.code == "provider_checksum_mismatch"
        assert len(got) < len(LARGE)

    async def test_a_slow_reader_holds_two_ranges_and_no_connection(
        self, double: GcsDouble, provider: VertexFiles
    ) -> None:
        data = os.urandom(3 * RANGE_BYTES + 5)
        double.put("other/object", data)
        content = await provider.open(f"gs://{BUCKET}/other/object")
        got = bytearray()
        async for piece in content.read(0, len(data)):
            if not got:
                await asyncio.sleep(0.3)
                assert len(double.calls("GET", "/download")) == 2
                assert double.media_open == 0
            got += piece
        assert bytes(got) == data

    async def test_a_reader_that_goes_away_ends_the_fetching(self, double: GcsDouble, provider: VertexFiles) -> None:
        double.put("other/object", LARGE)
        reading = (await provider.open(f"gs://{BUCKET}/other/object")).read(0, len(LARGE))
        await anext(reading)
        await reading.aclose()  # type: ignore[attr-defined]
        seen = len(double.received)
        await asyncio.sleep(0.1)
        assert len(double.received) == seen


class TestListing:
    async def test_pages_of_the_store_in_both_orders(self, double: GcsDouble, provider: VertexFiles) -> None:
        double.page_objects = 2
        refs = [
            (await store(provider, bytes([number]), purpose=["batch", "vision"][number % 2])).ref for number in range(7)
        ]
        double.put("mediagate/0-early/of-others.jsonl", b"x")
        double.put("elsewhere/object", b"x")
        everything = [f"gs://{BUCKET}/mediagate/0-early/of-others.jsonl", *refs]
        for ascending in (True, False):
            seen: list[str] = []
            while True:
                page = await provider.list(ListQuery(limit=3, after=seen[-1] if seen else None, ascending=ascending))
                seen += [file.ref for file in page.items]
                if not page.has_more:
                    break
            assert seen == (everything if ascending else everything[::-1])
            batch = await provider.list(ListQuery(limit=10, ascending=ascending, purpose="batch"))
            assert [file.ref for file in batch.items] == (refs[::2] if ascending else refs[::2][::-1])

    async def test_the_newest_are_found_without_reading_the_rest(
        self, double: GcsDouble, provider: VertexFiles
    ) -> None:
        old = "file-" + "0" * 26
        for number in range(50):
            double.put(f"mediagate/{old[:-2]}{number:02}/old.bin", b"x")
        new = [(await store(provider, b"x")).ref for _ in range(3)]
        double.received.clear()
        double.page_objects = 10
        page = await provider.list(ListQuery(limit=2))
        assert [file.ref for file in page.items] == new[:0:-1]
        assert page.has_more
        assert len(double.received) == 1

    async def test_the_newest_first_over_all_time(self, double: GcsDouble, provider: VertexFiles) -> None:
        now = datetime.now(UTC)
        ages = [400, 100, 29, 3, 2, 0.9, 0.5, 0.02, 0.01]
        refs = []
        for days in ages:
            name = f"mediagate/{FILE.first_of(now - timedelta(days=days))}/a.bin"
            double.put(name, b"x")
            refs.append(f"gs://{BUCKET}/{name}")
        for limit in (1, 2, 4, 100):
            seen: list[str] = []
            while True:
                page = await provider.list(ListQuery(limit=limit, after=seen[-1] if seen else None))
                seen += [file.ref for file in page.items]
                if not page.has_more:
                    break
            assert seen == refs[::-1]

    async def test_a_scan_reads_every_page(self, double: GcsDouble, provider: VertexFiles) -> None:
        double.page_objects = 2
        keys = [new_file_id() for _ in range(5)]
        for key in keys:
            await store(provider, b"x", key=key)
        double.put("mediagate/file-not-one-of-ours/x", b"x")
        assert [file.key async for file in provider.scan()] == keys
        made = (await provider.get(next(iter([f"gs://{BUCKET}/{name}" for name in double.objects])))).created_at
        assert made is not None
        assert [file.key async for file in provider.scan(before=made)] == []
        assert [file.key async for file in provider.scan(since=made)] == keys

    async def test_a_missing_bucket_is_the_operators_fault(self, double: GcsDouble, provider: VertexFiles) -> None:
        double.statuses = [404]
        with pytest.raises(ProviderRefused):
            await provider.list(ListQuery(limit=1))


class TestCopying:
    async def test_a_rewrite_goes_on_until_it_is_done(self, double: GcsDouble, provider: VertexFiles) -> None:
        double.step_bytes = MIB
        double.put("source/a b?c#d.mp4", LARGE, contentType="video/mp4", metadata={"of": "others"})
        told: list[int] = []

        async def progress(done: int) -> None:
            told.append(done)

        new = NewFile(key=new_file_id(), filename="copy.mp4")
        blob = await provider.copy(f"vertex_ai://{BUCKET}/source/a b?c#d.mp4", new, progress)
        steps = -(-len(LARGE) // MIB)
        assert told == [min(len(LARGE), MIB * (step + 1)) for step in range(steps)]
        assert blob.size_bytes == len(LARGE)
        assert blob.sha256 is None
        made = double.objects[blob.ref.removeprefix(f"gs://{BUCKET}/")]
        assert made.data == LARGE
        assert made.resource["contentType"] == "video/mp4"
        assert made.resource["metadata"]["key"] == new.key
        tokens = [request.query.get("rewriteToken") for request in double.calls("POST")]
        assert tokens == [None, *(f"token/{step}+=" for step in range(steps - 1))]
        assert double.calls("GET", "/download") == []

    async def test_other_bytes_are_removed(self, double: GcsDouble, provider: VertexFiles) -> None:
        double.put("source", LARGE)
        double.wrong_crc32c = True
        with pytest.raises(ProviderFailed) as failed:
            await provider.copy(f"gs://{BUCKET}/source", NewFile(key=new_file_id()), ignored)
        assert failed.value.code == "provider_checksum_mismatch"
        assert list(double.objects) == ["source"]

    async def test_a_second_attempt_finds_the_copy_of_the_first(self, double: GcsDouble, provider: VertexFiles) -> None:
        double.put("source", BINARY)
        new = NewFile(key=new_file_id(), filename="copy.bin")
        assert await provider.copy(f"gs://{BUCKET}/source", new, ignored) == await provider.copy(
            f"gs://{BUCKET}/source", new, ignored
        )

    async def test_a_missing_source(self, double: GcsDouble, provider: VertexFiles) -> None:
        for uri in (f"gs://{BUCKET}/none", "gs://", f"gs://{BUCKET}/..", "s3://bucket/key"):
            with pytest.raises(FileNotFoundError):
                await provider.copy(uri, NewFile(key=new_file_id()), ignored)

    async def test_the_first_step_is_not_repeated_the_others_are(
        self, double: GcsDouble, provider: VertexFiles
    ) -> None:
        double.step_bytes = 8 * MIB
        double.put("source", LARGE)
        double.statuses = [None, 500]
        with pytest.raises(ProviderFailed):
            await provider.copy(f"gs://{BUCKET}/source", NewFile(key=new_file_id()), ignored)
        assert len(double.calls("POST")) == 1
        double.statuses = [None, None, 500, 503]
        await provider.copy(f"gs://{BUCKET}/source", NewFile(key=new_file_id()), ignored)
        assert len(double.calls("POST")) == 1 + 5


FOREIGN = [
    {"action": {"type": "Delete"}, "condition": {"age": 30, "matchesPrefix": ["logs/"]}},
    {
        "action": {"type": "SetStorageClass", "storageClass": "NEARLINE"},
        "condition": {"age": 3, "matchesPrefix": ["mediagate/"]},
    },
    {"action": {"type": "Delete"}, "condition": {"age": 9, "matchesPrefix": ["mediagate/"], "isLive": False}},
    {"action": {"type": "Delete"}, "condition": {"age": 9, "matchesPrefix": ["mediagate/", "b/"]}},
]
OURS = [
    {"action": {"type": "Delete"}, "condition": {"age": 7, "matchesPrefix": ["mediagate/"]}},
    {"action": {"type": "AbortIncompleteMultipartUpload"}, "condition": {"age": 1, "matchesPrefix": ["mediagate/"]}},
]


EARLIER = {"action": {"type": "Delete"}, "condition": {"age": 1, "matchesPrefix": ["mediagate/"]}}


class TestRetention:
    @pytest.mark.parametrize(
        "had",
        [[], FOREIGN, FOREIGN + OURS, [*FOREIGN, EARLIER]],
    )
    async def test_our_rules_come_beside_those_of_others(self, double: GcsDouble, had: list[object]) -> None:
        double.lifecycle = {"rule": had} if had else None
        provider = provider_of(double, retention_days=7)
        plan = await provider.apply_retention()
        rules = (double.lifecycle or {}).get("rule")
        assert rules == [rule for rule in had if rule in FOREIGN] + OURS
        assert (plan.days, plan.prefix) == (7, "mediagate/")
        assert len(double.calls("PATCH")) == (0 if OURS[0] in had else 1)
        again = await provider.apply_retention()
        assert (again.rules, again.current_days) == (None, 7)
        await provider.close()

    async def test_without_retention_our_rules_go(self, double: GcsDouble, provider: VertexFiles) -> None:
        double.lifecycle = {"rule": FOREIGN[:2] + OURS + FOREIGN[2:]}
        assert (await provider.plan_retention()).current_days == 7
        await provider.apply_retention()
        assert double.lifecycle == {"rule": FOREIGN}

    async def test_a_change_of_somebody_else_is_read_again(self, double: GcsDouble) -> None:
        double.patches_lost = 2
        provider = provider_of(double, retention_days=7)
        await provider.apply_retention()
        assert double.lifecycle == {"rule": OURS}
        assert len(double.calls("PATCH")) == 3
        double.lifecycle, double.patches_lost = None, 3
        with pytest.raises(ProviderFailed):
            await provider.apply_retention()
        assert len(double.calls("PATCH")) == 6
        await provider.close()

    async def test_a_missing_bucket_is_the_operators_fault(self, double: GcsDouble, provider: VertexFiles) -> None:
        double.statuses = [404]
        with pytest.raises(ProviderRefused):
            await provider.plan_retention()


async def test_the_edge_is_told_where_an_object_is(double: GcsDouble, provider: VertexFiles) -> None:
    for method in ("GET", "HEAD"):
        assert await provider.origin("gs://some-bucket/a b/c+d?.mp4", method=method) == Origin(
            f"{double.url}/some-bucket/a%20b/c%2Bd%3F.mp4", {"authorization": "Bearer ya29.test"}
        )
    assert double.received == []


async def ignored(_: int) -> None:
    """Progress that nobody looks at."""
