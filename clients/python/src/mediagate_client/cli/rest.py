"""What the typed client has no methods for, over REST with the standard library: it loads in a moment."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from http.client import HTTPException, HTTPResponse
from typing import Any, Final
from urllib.parse import urlencode

from mediagate_client._errors import ConnectionFailed, MediagateError, TimedOut, TlsFailed, api_error, reason_of
from mediagate_client._transport import Options
from mediagate_client.cli.where import Place

# A stream that is silent for so long is broken.
SILENT_S: Final = 300.0


class Rest:
    """JSON to and from one gateway. Raises the client's errors."""

    def __init__(self, place: Place) -> None:
        self._options = Options(
            url=place.url,
            key=place.key,
            timeout_s=place.timeout_s,
            ca_file=place.ca_file,
            headers={"x-mediagate-user": place.user} if place.user else {},
        )
        handlers: list[urllib.request.BaseHandler] = [_NoRedirects()]
        if self._options.secure:
            handlers.append(urllib.request.HTTPSHandler(context=self._options.tls()))
        self._opener = urllib.request.build_opener(*handlers)

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        """The answer's JSON."""
        return self._json("GET", path, params, None)

    def post(self, path: str, body: Mapping[str, Any], params: Mapping[str, Any] | None = None) -> Any:
        """The answer's JSON."""
        return self._json("POST", path, params, body)

    def text(self, path: str, params: Mapping[str, Any] | None = None) -> str:
        """The answer as it is."""
        with self._open("GET", path, params, None, self._options.timeout_s) as response:
            return self._read(response).decode()

    def events(self, path: str, body: Mapping[str, Any]) -> Iterator[str]:
        """The data of each event of a stream, until it ends; leaving the loop closes it."""
        with self._open("POST", path, None, body, SILENT_S) as response:
            data: list[str] = []
            try:
                for line in response:
                    text = line.decode().rstrip("\r\n")
                    if text.startswith("data:"):
                        data.append(text[5:].removeprefix(" "))
                    elif not text and data:
                        yield "\n".join(data)
                        data.clear()
            except (OSError, HTTPException) as error:
                raise _broken(error) from None

    def _json(self, verb: str, path: str, params: Mapping[str, Any] | None, body: Any) -> Any:
        with self._open(verb, path, params, body, self._options.timeout_s) as response:
            data = self._read(response)
        try:
            return json.loads(data)
        except ValueError:
            raise _no_gateway() from None

    def _read(self, response: HTTPResponse) -> bytes:
        try:
            return response.read()
        except (OSError, HTTPException) as error:
            raise _broken(error) from None

    def _open(self, verb: str, path: str, params: Mapping[str, Any] | None, body: Any, timeout_s: float) -> Any:
        given = {name: str(value) for name, value in (params or {}).items() if value is not None}
        url = self._options.base_url + path + (f"?{urlencode(given, errors='replace')}" if given else "")
        headers = self._options.sent({})
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            headers["content-type"] = "application/json"
        # urllib writes headers as Latin-1; an end user's name is UTF-8.
        headers = {name: value.encode().decode("latin-1") for name, value in headers.items()}
        request = urllib.request.Request(url, data, headers, method=verb)  # noqa: S310
        try:
            return self._opener.open(request, timeout=timeout_s)
        except urllib.error.HTTPError as error:
            with error:
                raise _refusal(error) from None
        except (OSError, HTTPException) as error:
            raise _broken(error) from None


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """The key goes to nobody else."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def _no_gateway() -> ConnectionFailed:
    return ConnectionFailed("What answers at this URL is no mediagate.", reason="NOT_A_GATEWAY", retryable=False)


def _broken(error: Exception) -> MediagateError:
    """The error of the tree for a connection that failed."""
    cause = getattr(error, "reason", error)
    if isinstance(cause, ssl.SSLError):
        return TlsFailed("The gateway's TLS cannot be trusted, or it speaks none.")
    if isinstance(cause, TimeoutError):
        return TimedOut("The gateway did not answer in time.")
    if isinstance(error, urllib.error.URLError):
        return ConnectionFailed("The gateway cannot be reached.")
    if isinstance(error, HTTPException):
        return _no_gateway()
    return ConnectionFailed("The connection to the gateway broke.", reason="CONNECTION_LOST")


def _refusal(error: urllib.error.HTTPError) -> MediagateError:
    try:
        envelope = json.loads(error.read())["error"]
        message, code, param = str(envelope["message"]), envelope.get("code"), envelope.get("param")
    except (ValueError, KeyError, TypeError, AttributeError, OSError, HTTPException):
        message, code, param = f"The server answered HTTP {error.code}, and not as a gateway does.", None, None
    wait = error.headers.get("retry-after", "")
    return api_error(
        message,
        reason=reason_of(error.code, code, param),
        http_status=error.code,
        code=code,
        param=param,
        request_id=error.headers.get("x-request-id"),
        retry_after_s=float(wait) if wait.isdigit() else None,
    )
