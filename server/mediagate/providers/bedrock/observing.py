"""What metrics and traces see of the SDK's calls: one for every request that it sends."""

from __future__ import annotations

from typing import Any, Final

from mediagate.core.errors import ProviderTimeout, Unavailable
from mediagate.providers.bedrock.failures import failure
from mediagate.telemetry.backends import BROKEN, TIMEOUT, UNREACHABLE, backend_call

_SEEN: Final = "mediagate_seen"


def observe(client: Any, account: str) -> None:
    """Have every call of a client of the SDK counted for an account, by the operation's name."""

    def begin(model: Any, context: dict[str, Any], **_: Any) -> None:
        around = backend_call(account, model.name)
        context[_SEEN] = (around, around.__enter__())

    def end(http_response: Any, context: dict[str, Any], **_: Any) -> None:
        if _SEEN not in context:
            # One of those answered in the server's place, and nothing was sent.
            return
        around, call = context.pop(_SEEN)
        call.answered(http_response.status_code)
        around.__exit__(None, None, None)

    def fail(exception: Exception, context: dict[str, Any], **_: Any) -> None:
        if _SEEN not in context:
            return
        around, call = context.pop(_SEEN)
        meant = failure(exception)
        call.outcome = (
            UNREACHABLE if isinstance(meant, Unavailable) else TIMEOUT if isinstance(meant, ProviderTimeout) else BROKEN
        )
        around.__exit__(None, None, None)

    events = client.meta.events
    # Behind those that may still refuse the call.
    events.register_last("before-call", begin)
    events.register_first("after-call", end)
    events.register("after-call-error", fail)
