"""Calls to S3: the SDK's blocking client in two bounded pools of threads, one mapping of what goes wrong."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, TypeVar
from xml.etree import ElementTree

from botocore import handlers
from botocore.config import Config
from botocore.exceptions import IncompleteReadError
from botocore.parsers import ResponseParserError
from botocore.session import Session

from mediagate.core.retry_budget import RetryBudget
from mediagate.providers.bedrock.buffers import BufferPool
from mediagate.providers.bedrock.credentials import session_of
from mediagate.providers.bedrock.failures import SDK_ERRORS, TITLE, bad_answer, failure
from mediagate.providers.bedrock.observing import observe
from mediagate.providers.bedrock.settings import REGION_DEFAULT, Settings
from mediagate.providers.http import ATTEMPTS_MAX, CONNECT_S, repeated
from mediagate.telemetry.backends import account_or

# Threads that move bytes. Those for short calls are others, so that a look-up never waits behind uploads that stall.
TRANSFERS_MAX: Final = 16
CALLS_MAX: Final = 8
URL_LIFE_S: Final = 3600
# A signature must outlive the time that a request takes to begin.
URL_LIFE_S_MIN: Final = 60

Answer = TypeVar("Answer")


class S3Client:
    """One account's S3. Nothing is opened, and no credential looked for, before the first call."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._account = account_or(TITLE)
        # Parts of all uploads together, so that many at once hold no more than some of them in flight.
        self.parts = asyncio.Semaphore(TRANSFERS_MAX)
        self.buffers = BufferPool()
        self._calls = ThreadPoolExecutor(CALLS_MAX, thread_name_prefix="s3-calls")
        self._transfers = ThreadPoolExecutor(TRANSFERS_MAX, thread_name_prefix="s3-transfers")
        self._lock = threading.Lock()
        self._budget = RetryBudget()
        self._session: Session | None = None
        self._client: Any = None

    async def call(
        self, operation: str, *, repeatable: bool = True, transfer: bool = False, **params: Any
    ) -> dict[str, Any]:
        """Call an operation by the SDK's name, such as `head_object`.

        Raises `FileNotFoundError` for a 404, and otherwise errors of `mediagate.core.errors`. What is `repeatable` is
        tried up to three times. `transfer` is set for calls that may take long.
        """

        def once(client: Any) -> dict[str, Any]:
            answer: dict[str, Any] = getattr(client, operation)(**params)
            return answer

        return await self.run(once, repeatable=repeatable, transfer=transfer)

    async def run(self, work: Callable[[Any], Answer], *, repeatable: bool = True, transfer: bool = False) -> Answer:
        """Run `work` with the SDK's client in a thread; errors are those of `call`. A thread that has begun ends by
        itself, also where the caller has gone away."""
        pool = self._transfers if transfer else self._calls
        loop = asyncio.get_running_loop()

        async def once() -> Answer:
            self._budget.ask()
            return await loop.run_in_executor(pool, copy_context().run, self._working, work)

        try:
            return await repeated(once, self._budget, attempts_max=ATTEMPTS_MAX if repeatable else 1)
        except ResponseParserError as error:
            # Outside of the attempts: who answers nonsense once does it again.
            raise bad_answer() from error

    async def presigned(
        self, operation: str, params: dict[str, Any], method: str, *, life_s: float = URL_LIFE_S
    ) -> str:
        """A URL that carries its own signature, made here without a request. It lives as long as is said, or as the
        session that signs it."""
        return await self.run(partial(self._presigned, operation, params, method, int(life_s)))

    def _presigned(self, operation: str, params: dict[str, Any], method: str, life_s: int, client: Any) -> str:
        assert self._session is not None
        credentials = self._session.get_credentials()
        if credentials is not None:
            credentials.get_frozen_credentials()
            expiry: datetime | None = getattr(credentials, "_expiry_time", None)
            if expiry is not None:
                left_s = int((expiry - datetime.now(UTC)).total_seconds())
                life_s = max(URL_LIFE_S_MIN, min(life_s, left_s))
        url: str = client.generate_presigned_url(operation, Params=params, ExpiresIn=life_s, HttpMethod=method)
        return url

    def _working(self, work: Callable[[Any], Answer]) -> Answer:
        with translated(only_bearer=self.settings.only_bearer):
            return work(self._opened())

    def _opened(self) -> Any:
        with self._lock:
            if self._client is None:
                self._session = session_of(self.settings)
                self._client = _client_of(self._session, self.settings)
                observe(self._client, self._account)
            return self._client

    async def close(self) -> None:
        """Wait for the calls that run, then close every connection."""
        for pool in (self._calls, self._transfers):
            await asyncio.to_thread(pool.shutdown, wait=True, cancel_futures=True)
        if self._client is not None:
            self._client.close()


@contextmanager
def translated(title: str = TITLE, *, only_bearer: bool = False) -> Iterator[None]:
    """Turn what the SDK raises inside into errors of ours; an answer that cannot be parsed stays what it is."""
    try:
        yield
    except ResponseParserError:
        raise
    except SDK_ERRORS as error:
        raise failure(error, title, only_bearer=only_bearer) from error


def _client_of(session: Session, settings: Settings) -> Any:
    region = settings.region or session.get_config_variable("region") or REGION_DEFAULT
    client = session.create_client(
        "s3",
        region_name=region,
        endpoint_url=settings.endpoint,
        config=Config(
            # Without it presigned URLs get the old signature, which newer regions refuse.
            signature_version="s3v4",
            retries={"mode": "standard", "total_max_attempts": 1},
            connect_timeout=min(CONNECT_S, settings.silence_s),
            read_timeout=settings.silence_s,
            max_pool_connections=CALLS_MAX + TRANSFERS_MAX,
            tcp_keepalive=True,
            # Checksums are given with each call; the SDK's own come as trailers, which not every store reads.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            user_agent_extra="mediagate",
            # Left to itself the SDK signs URLs for the global host, which redirects for new buckets elsewhere.
            s3={
                "addressing_style": "path" if settings.endpoint else "virtual",
                "us_east_1_regional_endpoint": "regional",
            },
        ),
    )
    events = client.meta.events
    events.unregister("before-parse.s3.*", handlers._handle_200_error)  # type: ignore[attr-defined]
    events.register_first("before-parse.s3.*", _judge_200)
    return client


def _judge_200(response_dict: dict[str, Any], operation_model: Any, **_: Any) -> None:
    """S3 may tell of a failure behind its 200. The SDK's own handler takes a body that was cut, and one that is no XML,
    for such a failure too and hides what it was; here the one is a broken connection, the other somebody else's answer.
    """
    body = response_dict["body"]
    if response_dict["status_code"] != 200 or operation_model.has_streaming_output or not body:
        return
    announced = int(response_dict["headers"].get("content-length") or len(body))
    if len(body) < announced:
        raise IncompleteReadError(actual_bytes=len(body), expected_bytes=announced)
    try:
        root = ElementTree.fromstring(body)  # noqa: S314 (no more than the SDK's parser does next)
    except ElementTree.ParseError as error:
        raise ResponseParserError("the body is no XML") from error
    if root.tag == "Error":
        response_dict["status_code"] = 500
