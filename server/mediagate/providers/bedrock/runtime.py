"""Calls to Bedrock's models, and to what manages them: the SDK's blocking client in threads, with the mapping of errors
that S3 has."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError
from botocore.session import Session
from botocore.tokens import FrozenAuthToken

from mediagate.core.errors import MediagateError, ProviderFailed
from mediagate.providers.account import Account
from mediagate.providers.bedrock.client import CALLS_MAX, translated
from mediagate.providers.bedrock.credentials import session_of
from mediagate.providers.bedrock.failures import bad_answer, code_of
from mediagate.providers.bedrock.observing import observe
from mediagate.providers.bedrock.settings import REGION_DEFAULT, Settings
from mediagate.providers.bedrock.spec import VIDEOS
from mediagate.providers.http import CONNECT_S
from mediagate.telemetry.backends import account_or

SERVICE: Final = "bedrock-runtime"
CONTROL: Final = "bedrock"
# What the SDK raises of its own where a body is JSON, and not the JSON that its model describes.
_UNREADABLE: Final = (ResponseParserError, AttributeError, TypeError, ValueError, LookupError, RecursionError)


@dataclass(frozen=True, slots=True)
class RuntimePlace:
    """Where the models are. `endpoint` is None for Amazon's own address; `api_key` is a Bedrock API key, which signs
    the calls in the place of the account's other credentials."""

    endpoint: str | None = None
    api_key: str | None = field(default=None, repr=False)


def runtime_of(account: Account) -> RuntimePlace:
    """Read an account. Raises `ValueError` for an address that is none."""
    base = account.api_base if f"//{SERVICE}." in (account.api_base or "") else None
    endpoint = (
        account.option("aws_bedrock_runtime_endpoint")
        or base
        or account.env("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "AWS_ENDPOINT_URL")
    )
    if endpoint and urlsplit(endpoint).scheme not in ("http", "https"):
        raise ValueError("aws_bedrock_runtime_endpoint must be an absolute URL")
    return RuntimePlace(endpoint, account.api_key or account.env("AWS_BEARER_TOKEN_BEDROCK"))


def control_of(account: Account) -> RuntimePlace:
    """The same for what manages jobs, `bedrock` instead of `bedrock-runtime`."""
    base = account.api_base if f"//{CONTROL}." in (account.api_base or "") else None
    endpoint = (
        account.option("aws_bedrock_endpoint") or base or account.env("AWS_ENDPOINT_URL_BEDROCK", "AWS_ENDPOINT_URL")
    )
    if endpoint and urlsplit(endpoint).scheme not in ("http", "https"):
        raise ValueError("aws_bedrock_endpoint must be an absolute URL")
    return RuntimePlace(endpoint, account.api_key or account.env("AWS_BEARER_TOKEN_BEDROCK"))


class BedrockRuntime:
    """One account's models, or with `CONTROL` its jobs. Nothing is opened, and no credential looked for, before the
    first call."""

    def __init__(self, settings: Settings, place: RuntimePlace, service: str = SERVICE) -> None:
        self._settings = settings
        self._place = place
        self._service = service
        self._account = account_or(VIDEOS.title)
        self._pool = ThreadPoolExecutor(CALLS_MAX, thread_name_prefix="bedrock-calls")
        self._lock = threading.Lock()
        self._client: Any = None

    async def call(self, operation: str, **params: Any) -> dict[str, Any]:
        """Call an operation by the SDK's name, once. Raises `FileNotFoundError` for a 404, and otherwise errors of
        `mediagate.core.errors`."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, copy_context().run, self._calling, operation, params)

    def _calling(self, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        try:
            with translated(VIDEOS.title):
                answer: dict[str, Any] = getattr(self._opened(), operation)(**params)
                return answer
        except FileNotFoundError:
            raise
        except _UNREADABLE as error:
            raise bad_answer(VIDEOS.title) from error
        except MediagateError as error:
            cause = error.__cause__
            if isinstance(cause, ClientError) and code_of(cause) == "ConflictException":
                # The same token is at work already: that says nothing of what becomes of it.
                raise ProviderFailed(f"{VIDEOS.title} is busy with this job.", code="provider_conflict") from cause
            if isinstance(cause, ClientError):
                # An answer is told from a connection that never was by having no cause.
                raise error from None
            raise

    def _opened(self) -> Any:
        with self._lock:
            if self._client is None:
                self._client = self._made(session_of(self._settings))
                observe(self._client, self._account)
            return self._client

    def _made(self, session: Session) -> Any:
        more: dict[str, Any] = {}
        if self._place.api_key:
            session.register_component("token_provider", _ApiKey(self._place.api_key))
            more["signature_version"] = "bearer"
        return session.create_client(
            self._service,
            region_name=self._settings.region or session.get_config_variable("region") or REGION_DEFAULT,
            endpoint_url=self._place.endpoint,
            config=Config(
                retries={"mode": "standard", "total_max_attempts": 1},
                connect_timeout=min(CONNECT_S, self._settings.silence_s),
                read_timeout=self._settings.silence_s,
                max_pool_connections=CALLS_MAX,
                tcp_keepalive=True,
                user_agent_extra="mediagate",
                **more,
            ),
        )

    async def close(self) -> None:
        """Wait for the calls that run, then close every connection."""
        await asyncio.to_thread(self._pool.shutdown, wait=True, cancel_futures=True)
        if self._client is not None:
            self._client.close()


class _ApiKey:
    """Gives the SDK the account's key, whatever the process's environment has."""

    def __init__(self, key: str) -> None:
        self._token = FrozenAuthToken(key)

    def load_token(self, **_: Any) -> FrozenAuthToken:
        """The key."""
        return self._token
