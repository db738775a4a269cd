"""Post an event to a URL that a caller gave, under the rules by which such URLs are fetched.

Every address of the name is checked at every attempt, and only a checked one is connected to. Redirects are answers
here, and are not followed: the body is signed for the URL's owner and for nobody else.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import aiohttp
import structlog

from mediagate.core.errors import InvalidField
from mediagate.core.limits import echo
from mediagate.net.connection import Resolve, checked_addresses, session_to, system_resolve
from mediagate.net.urls import FetchRules, target_of

log = structlog.get_logger(__name__)
RESPONSE_BYTES_MAX: Final = 1024
RESPONSE_S: Final = 1.0

NOT_ALLOWED: Final = "not_allowed"
NOT_REACHABLE: Final = "not_reachable"
TIMEOUT: Final = "timeout"


@dataclass(frozen=True, slots=True)
class PostAnswer:
    """What became of a POST: a status, or why there is none. `response` is the beginning of the answer's body."""

    status_code: int | None
    error: str | None = None
    retry_after: str | None = None
    response: str = ""


class WebhookSender:
    """Posts events; `timeout_s` bounds an attempt from the look-up of the name to the head of the answer."""

    def __init__(
        self,
        rules: FetchRules,
        timeout_s: float,
        *,
        resolve: Resolve = system_resolve,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._rules = rules
        self.timeout_s = timeout_s
        self._resolve = resolve
        self._tls = tls

    async def check(self, url: str, *, param: str) -> None:
        """Raises `InvalidField` with the code `url_not_allowed` or `url_not_reachable` where `post` would not go."""
        target = target_of(url, self._rules, param=param)
        await checked_addresses(target, self._resolve, self._rules.connect_s, param=param)

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> PostAnswer:
        """Send once. Raises nothing but what a bug of ours raises."""
        try:
            async with asyncio.timeout(self.timeout_s):
                return await self._post(url, headers, body)
        except TimeoutError:
            return PostAnswer(None, TIMEOUT)
        except InvalidField as refused:
            log.warning("webhook_url_refused", code=refused.code)
            return PostAnswer(None, NOT_ALLOWED if refused.code == "url_not_allowed" else NOT_REACHABLE)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            log.info("webhook_not_delivered", error=type(error).__name__)
            return PostAnswer(None, NOT_REACHABLE)

    async def _post(self, url: str, headers: Mapping[str, str], body: bytes) -> PostAnswer:
        target = target_of(url, self._rules, param="url")
        addresses = await checked_addresses(target, self._resolve, self._rules.connect_s, param="url")
        async with (
            session_to(addresses, self._rules, self._tls, read_bytes=RESPONSE_BYTES_MAX) as session,
            session.post(target.url, headers=headers, data=body, allow_redirects=False) as response,
        ):
            said = await _beginning(response)
            response.close()
            return PostAnswer(response.status, None, response.headers.get("Retry-After"), said)


async def _beginning(response: aiohttp.ClientResponse) -> str:
    """The first bytes of the body, for the log; the answer counts without them."""
    data = b""
    try:
        async with asyncio.timeout(RESPONSE_S):
            while len(data) < RESPONSE_BYTES_MAX:
                chunk = await response.content.read(RESPONSE_BYTES_MAX - len(data))
                if not chunk:
                    break
                data += chunk
    except (TimeoutError, aiohttp.ClientError, OSError):
        pass
    return echo(data.decode(errors="replace"), chars_max=RESPONSE_BYTES_MAX)
