"""What every file provider makes of a server that fails: the same error, code and retry hint, whatever the provider.

Subclass `FileFaultContract` and give it `build(url)`: a provider whose server is at `url` and whose time limit for a
silent server is half a second (`timeout` in the account's options).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from mediagate.core.errors import (
    MediagateError,
    ProviderFailed,
    ProviderRefused,
    ProviderTimeout,
    RateLimited,
    Unavailable,
    Unsupported,
)
from mediagate.core.ids import new_file_id
from mediagate.providers.files import FileOperation, FileProvider, ListQuery, NewFile
from tests.doubles.faulty import FaultyServer, faulty_server


@dataclass(frozen=True)
class Expected:
    """What a caller learns."""

    kind: type[MediagateError]
    status: int
    code: str
    retryable: bool
    retry_after_s: float | None = None


EXPECTED = {
    "refused": Expected(Unavailable, 503, "provider_unavailable", True),
    "401": Expected(ProviderRefused, 502, "provider_credentials_refused", False),
    "403": Expected(ProviderRefused, 502, "provider_credentials_refused", False),
    "404": Expected(ProviderRefused, 502, "provider_not_found", False),
    "429": Expected(RateLimited, 429, "provider_rate_limited", True, 7),
    "500": Expected(ProviderFailed, 502, "provider_failed", True),
    "503": Expected(Unavailable, 503, "provider_unavailable", True),
    "stall": Expected(ProviderTimeout, 504, "provider_timeout", True),
    "reset": Expected(ProviderFailed, 502, "provider_connection_lost", True),
    "truncated": Expected(ProviderFailed, 502, "", True),
    "garbage": Expected(ProviderFailed, 502, "provider_bad_answer", True),
}
TRIED_AGAIN = ("500", "503", "stall", "reset", "truncated")
ATTEMPTS_MAX = 3


def assert_is(error: MediagateError, expected: Expected) -> None:
    """The error is what the table says, and tells nothing of the provider's insides."""
    assert type(error) is expected.kind
    assert error.http_status == expected.status
    assert error.retryable is expected.retryable
    if expected.code:
        assert error.code == expected.code
    if expected.retry_after_s is not None:
        assert error.retry_after_s == expected.retry_after_s
    assert "127.0.0.1" not in error.message
    assert "10.0.0.7" not in error.message


class FileFaultContract:
    """The table, for create, get, list, delete and content.

    `ref` is one that the provider could have given. `answers` is what the server answers well (see `FaultyServer`), so
    that the fault meets the content itself and not what comes before it; it says that the file has `content_bytes`.
    """

    ref = "file-abc123"
    faults_on_create = tuple(EXPECTED)
    faults_on_get = tuple(EXPECTED)
    content_bytes = 500

    @pytest.fixture(autouse=True)
    def _hasty(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("mediagate.providers.http.BACK_OFF_S", 0.01)

    async def build(self, url: str) -> FileProvider:
        """To be given by the subclass."""
        raise NotImplementedError

    def requests(self, server: FaultyServer) -> list[str]:
        """The requests that count as attempts; a subclass leaves out those for credentials."""
        return server.requests

    def answers(self) -> Mapping[str, bytes]:
        """What comes before the content's bytes, answered well."""
        return {}

    @asynccontextmanager
    async def faulty(
        self, fault: str, answers: Mapping[str, bytes] | None = None
    ) -> AsyncIterator[tuple[FileProvider, FaultyServer]]:
        """The provider, and its server that fails."""
        async with faulty_server(fault, answers) as server:
            provider = await self.build(server.url)
            try:
                yield provider, server
            finally:
                await provider.close()

    def attempts(self, fault: str) -> int:
        """How often a call that may be repeated is sent."""
        return ATTEMPTS_MAX if fault in TRIED_AGAIN else 0 if fault == "refused" else 1

    @pytest.mark.parametrize("fault", EXPECTED)
    async def test_create(self, fault: str) -> None:
        if fault not in self.faults_on_create:
            pytest.skip("cannot happen to this provider's create")
        async with self.faulty(fault) as (provider, server):
            with pytest.raises(MediagateError) as failed:
                writer = await provider.create(NewFile(key=new_file_id(), filename="a.bin"))
                try:
                    await writer.write(b"x" * 100_000)
                    await writer.commit()
                finally:
                    before = len(self.requests(server))
                    await writer.abort()
            assert_is(failed.value, EXPECTED[fault])
            assert before <= 1

    @pytest.mark.parametrize("fault", EXPECTED)
    async def test_get(self, fault: str) -> None:
        if fault not in self.faults_on_get:
            pytest.skip("cannot happen to this provider's get")
        async with self.faulty(fault) as (provider, server):
            if FileOperation.GET not in provider.spec.supports:
                with pytest.raises(Unsupported):
                    await provider.get(self.ref)
                return
            if fault == "404":
                with pytest.raises(FileNotFoundError):
                    await provider.get(self.ref)
            else:
                with pytest.raises(MediagateError) as failed:
                    await provider.get(self.ref)
                assert_is(failed.value, EXPECTED[fault])
            assert len(self.requests(server)) == self.attempts(fault)

    @pytest.mark.parametrize("fault", EXPECTED)
    async def test_list(self, fault: str) -> None:
        async with self.faulty(fault) as (provider, server):
            if FileOperation.LIST not in provider.spec.supports:
                with pytest.raises(Unsupported):
                    await provider.list(ListQuery(limit=10))
                return
            with pytest.raises(MediagateError) as failed:
                await provider.list(ListQuery(limit=10))
            assert_is(failed.value, EXPECTED[fault])
            assert len(self.requests(server)) == self.attempts(fault)

    @pytest.mark.parametrize("fault", [fault for fault in EXPECTED if fault not in ("garbage", "truncated")])
    async def test_delete(self, fault: str) -> None:
        async with self.faulty(fault) as (provider, server):
            if fault == "404":
                await provider.delete(self.ref)
            else:
                with pytest.raises(MediagateError) as failed:
                    await provider.delete(self.ref)
                assert_is(failed.value, EXPECTED[fault])
            assert len(self.requests(server)) <= ATTEMPTS_MAX

    @pytest.mark.parametrize("fault", [fault for fault in EXPECTED if fault not in ("garbage", "truncated")])
    async def test_content(self, fault: str) -> None:
        async with self.faulty(fault, self.answers()) as (provider, server):
            if FileOperation.CONTENT not in provider.spec.supports:
                return
            with pytest.raises(FileNotFoundError if fault == "404" else EXPECTED[fault].kind) as failed:
                await self.read(provider)
            if isinstance(failed.value, MediagateError):
                assert_is(failed.value, EXPECTED[fault])
            assert len(self.requests(server)) <= ATTEMPTS_MAX

    async def test_content_that_is_cut_is_no_whole_content(self) -> None:
        async with self.faulty("truncated", self.answers()) as (provider, server):
            if FileOperation.CONTENT not in provider.spec.supports:
                return
            with pytest.raises((ProviderFailed, OSError)):
                await self.read(provider)
            assert len(self.requests(server)) <= ATTEMPTS_MAX

    async def read(self, provider: FileProvider) -> bytes:
        """The whole content."""
        content = await provider.open(self.ref)
        return b"".join([bytes(chunk) async for chunk in content.read(0, content.size_bytes)])
