"""Where the content of a file or a video comes from: the edge asks before it sends a download anywhere.

Serves `envoy.service.auth.v3.Authorization` for `GET /files/{id}/content` and `GET /videos/{id}/content`. The answer is
one of three: fetch the bytes from this origin with these credentials, without this process; go on to the method, which
reads them here; or a refusal, which is the same reply that the method itself would have sent. `mediagate.envoy` has the
contract.

The edge asks again where an origin answered anything but the content. What it was told the first time comes back with
why, so that no state is kept between the two.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import grpc
import httpx
from envoy.config.core.v3 import base_pb2
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest, CheckResponse
from envoy.type.v3 import http_status_pb2
from google.rpc import code_pb2, status_pb2

from mediagate._gen.mediagate.v1 import files_pb2, videos_pb2
from mediagate.access.limits.admission import FREE, Admission, Limits
from mediagate.access.limits.plan import Use
from mediagate.api.callers import Callers, token_in_query
from mediagate.api.content import content_headers, is_known, wanted_range
from mediagate.api.errors import as_mediagate_error, trailing_metadata
from mediagate.api.files import served_type
from mediagate.api.limits import ADMITTED, COUNTED, COUNTED_WITH_CONTENT
from mediagate.api.observe import CLIENT_CLOSED, UNSUPPORTED_STATUS, DecisionObservation, short_name
from mediagate.api.paths import ORIGINAL_PATH, PathVariables
from mediagate.api.served import served_by
from mediagate.api.targets import HEADER, TargetReader
from mediagate.core import ids
from mediagate.core.end_users import HEADERS as END_USER_HEADERS
from mediagate.core.errors import MediagateError, Unavailable
from mediagate.core.objects import File, Principal
from mediagate.core.ranges import ByteRange
from mediagate.envoy import ORIGINS_MAX
from mediagate.files.find_origin import FindOrigin, Found, as_file
from mediagate.files.get_file import GetFile
from mediagate.files.open_content import require_content
from mediagate.files.provider_files import ProviderFiles
from mediagate.providers.base import VideoVariant
from mediagate.providers.http_failures import status_error, transport_error
from mediagate.telemetry.requests import CANCELLED, OK, RequestLog
from mediagate.videos.find_output import FindOutput

METHOD: Final = "/mediagate.v1.FileService/GetFileContentHttp"
VIDEO_METHOD: Final = "/mediagate.v1.VideoService/GetVideoContentHttp"
AGAIN: Final = "x-edge-again"
FAILURE: Final = "x-edge-failure"
# What the caller said and the decision needs; an origin gets none of it.
REMEMBERED: Final = (
    *("authorization", "api-key", *END_USER_HEADERS),
    *(HEADER, "range", "if-range", "if-none-match", "user-agent"),
)
# Headers that go on to the origin beside those that the provider gives.
KEPT: Final = frozenset({"x-request-id", "x-forwarded-proto"})
UNREACHED: Final = "599"
"""What the edge answers in place of an origin that cannot be reached, or breaks off or stalls before its first byte."""
WHOLE: Final = "whole"
"""The origin was asked for a range and sent everything."""
REFUSED: Final = ("401", "403")
"""Statuses that speak of the whole account, though a retry does not help."""
DEAD_LINK: Final = ("401", "403", "404", "410")
"""How an origin answers a link that is over."""
HASTY_S: Final = 1.0
"""A failure that comes sooner is a refusal or a break, which is cheap to try again."""
PATIENCE_S: Final = 6.0
"""Longer than a connection may take to come about: what took longer was a stall."""
CLUSTERS: Final = {"http": "origins-http", "https": "origins-https"}

PYTHON: Final = CheckResponse(status=status_pb2.Status(code=code_pb2.OK))
DOWNLOAD: Final = Use(moves_bytes=True, holds=False)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for content. `tried` are the accounts whose origins failed it. `status` is that of the last answer,
    `damaged` or `whole`; `pause` is its Retry-After, `since` the Unix time of the question."""

    method: str
    path: str
    sent: Mapping[str, str] = field(repr=False)
    """The headers as they come from the edge."""
    headers: Mapping[str, str] = field(repr=False)
    """The headers as the caller sent them."""
    tried: tuple[str, ...] = ()
    status: str = ""
    pause: str = ""
    since: float = 0.0

    @classmethod
    def of(cls, request: CheckRequest) -> Asked:
        """Read what the edge tells."""
        http = request.attributes.request.http
        sent = dict(http.headers)
        if AGAIN not in sent:
            return cls(http.method, http.path, sent, sent)
        before = json.loads(base64.b64decode(sent[AGAIN]))
        status, _, pause = sent.get(FAILURE, "").partition(";")
        return cls(
            http.method, http.path, sent, before["headers"], tuple(before["tried"]), status, pause, before["since"]
        )

    def header(self, name: str) -> str | None:
        """A header of the caller's, and the path as the method finds it."""
        return self.path if name == ORIGINAL_PATH else self.headers.get(name)

    @property
    def passes(self) -> bool:
        """Whether the last origin failed as one that works again in a while."""
        return self.status in ("408", "429") or (self.status.isdigit() and int(self.status) >= 500)

    @property
    def has_body(self) -> bool:
        """Whether there is a body, which no origin shall see."""
        return self.headers.get("content-length", "0") != "0"

    def again(self, account: str) -> str:
        """What comes back where the origin in `account` fails."""
        headers = {name: self.headers[name] for name in REMEMBERED if name in self.headers}
        told = {"headers": headers, "tried": [*self.tried, account], "since": time.time()}
        return base64.b64encode(json.dumps(told).encode()).decode()


@dataclass(frozen=True, slots=True)
class ContentDecision:
    """Serves `envoy.service.auth.v3.Authorization`."""

    callers: Callers
    get_file: GetFile
    find_origin: FindOrigin
    provider_files: ProviderFiles
    targets: TargetReader
    find_output: FindOutput | None = None
    hasty_s: float = HASTY_S
    patience_s: float = PATIENCE_S
    log: RequestLog | None = None
    limits: Limits | None = None
    variables: PathVariables = field(default_factory=lambda: PathVariables.of(METHOD))
    video_variables: PathVariables = field(default_factory=lambda: PathVariables.of(VIDEO_METHOD))

    async def Check(self, request: CheckRequest, context: grpc.aio.ServicerContext[Any, Any]) -> CheckResponse:
        """Decide about one download. Every failure is a refusal with our envelope; none ends the call."""
        http = request.attributes.request.http
        method = VIDEO_METHOD if "/videos/" in http.path else METHOD
        seen = DecisionObservation(self.log, short_name(method), http.headers, context)
        admission = FREE
        try:
            asked = Asked.of(request)
            if asked.method != "GET" or asked.has_body:
                return PYTHON
            who = await self.callers.of(METHOD, asked)
            seen.record.project_id, seen.record.key_id = who.owner_id, who.key_id
            if self.limits is not None and not asked.tried:
                # A question after an origin failed is about a request that has been counted.
                if self.limits.has_parallel_limit(who):
                    # Nobody tells this process when a download ends that the edge streams from elsewhere.
                    return PYTHON
                admission = await self.limits.admit(who, DOWNLOAD)
            return _telling(await self._decide(asked, who, admission, seen), admission)
        except Exception as error:
            failure = as_mediagate_error(error, method=method, repeatable=True)
        except BaseException:
            seen.ended(CANCELLED, CLIENT_CLOSED)
            raise
        status = failure.http_status
        is_fault = status >= 500 and status != UNSUPPORTED_STATUS
        seen.ended(failure.grpc_code, status, error=failure.code, is_fault=is_fault)
        return _refused(failure, admission)

    async def _decide(
        self, asked: Asked, who: Principal, admission: Admission, seen: DecisionObservation
    ) -> CheckResponse:
        content = await self._content(who, asked)
        if content is None:
            return _on_to_python(admission)
        file, made_by = content
        etag = f'"{file.sha256}"' if file.sha256 else ""
        attempt = len(asked.tried) + 1
        if etag and is_known(asked, etag):
            seen.ended(OK, 304, attempt=attempt)
            return _not_modified(asked, file, etag)
        wanted = wanted_range(asked, file.size_bytes, etag)
        found = await self._find(asked, file, ranged=wanted is not None)
        if found is None:
            return _back_to_python(asked) if asked.tried else _on_to_python(admission)
        admission.will_move(wanted.length_bytes if wanted else file.size_bytes)
        seen.record.backend = found.account
        seen.record.bytes_out = wanted.length_bytes if wanted else file.size_bytes
        seen.ended(OK, 206 if wanted else 200, attempt=attempt)
        return _from_origin(asked, file, etag, wanted, found, made_by)

    async def _content(self, who: Principal, asked: Asked) -> tuple[File, str] | None:
        """What is asked for, and for a video who made it; None for what the method must say."""
        output = videos_pb2.GetVideoContentHttpRequest()
        self.video_variables.apply(asked.path, output)
        if output.video_id:
            return await self._output(who, asked, output.video_id)
        file = await self._file(who, asked)
        return None if file is None else (file, "")

    async def _file(self, who: Principal, asked: Asked) -> File | None:
        """One of ours, or a provider's own where the request names the provider."""
        message = files_pb2.GetFileContentHttpRequest()
        self.variables.apply(asked.path.partition("?")[0], message)
        if ids.FILE.matches(message.file_id):
            file = await self.get_file.run(who, message.file_id)
            require_content(file)
            return file
        named = self.targets.read(asked)
        if not self.provider_files.names(named, message.file_id):
            return None
        account = self.provider_files.account(who, named)
        return as_file(await self.provider_files.get(who, named, message.file_id), account, who)

    async def _output(self, who: Principal, asked: Asked, video_id: str) -> tuple[File, str] | None:
        """A finished video, or a picture of it that was made here."""
        given = parse_qs(urlsplit(asked.path).query, keep_blank_values=True).get("variant", [VideoVariant.VIDEO.value])
        if self.find_output is None or len(given) != 1 or given[0] not in set(VideoVariant):
            return None
        return await self.find_output.run(who, video_id, VideoVariant(given[0]))

    async def _find(self, asked: Asked, file: File, *, ranged: bool) -> Found | None:
        """Where the bytes come from, None for this process. Raises what the last failure means where none is left."""
        if not asked.tried:
            return await self.find_origin.run(file, ranged=ranged)
        account, spent_s = asked.tried[-1], time.time() - asked.since
        hasty = asked.status == UNREACHED and spent_s < self.hasty_s
        stale = asked.status in DEAD_LINK and self.find_origin.forget_link(file, account)
        self._note(asked, file)
        tried = set(asked.tried)
        try:
            if len(asked.tried) < ORIGINS_MAX:
                return await self.find_origin.run(file, ranged=ranged, tried=tried)
        except Unavailable:
            if (hasty or stale) and asked.tried.count(account) == 1:
                # It may have closed a connection that was kept just when this request came, and links die.
                return await self.find_origin.run(file, ranged=ranged, tried=tried - {account})
        if asked.passes and not hasty:
            raise _meaning(asked, self.find_origin.title(account), slow=spent_s >= self.patience_s)
        # The method asks the provider itself: it follows redirects, explains refusals, knows what is lost, and reaches
        # what only this process can reach.
        return None

    def _note(self, asked: Asked, file: File) -> None:
        account = asked.tried[-1]
        if asked.status == WHOLE:
            self.find_origin.note_without_ranges(account)
        else:
            whole_account = asked.passes or asked.status in REFUSED
            self.find_origin.note_failure(file, account, asked.status, whole_account=whole_account)


def _meaning(asked: Asked, title: str, *, slow: bool) -> MediagateError:
    """What a failure that passes means for the caller."""
    if asked.status == UNREACHED:
        return transport_error(httpx.ReadTimeout("") if slow else httpx.ConnectError(""), title)
    error = status_error(int(asked.status), title, retry_after=asked.pause)
    assert isinstance(error, MediagateError)
    return error


def _from_origin(
    asked: Asked, file: File, etag: str, wanted: ByteRange | None, found: Found, made_by: str
) -> CheckResponse:
    url = urlsplit(found.origin.url)
    target = f"{url.path or '/'}?{url.query}" if url.query else url.path or "/"
    headers = {
        ":path": target,
        ":authority": url.netloc.rpartition("@")[2],
        "x-edge-cluster": CLUSTERS[url.scheme],
        # The edge's routes want it, and an origin that is told of HTTP may redirect to itself.
        "x-forwarded-proto": url.scheme,
        "user-agent": "mediagate",
        "accept": "*/*",
        "accept-encoding": "identity",
        **{name.lower(): value for name, value in found.origin.headers.items()},
    }
    if wanted is not None:
        headers["range"] = f"bytes={wanted.start}-{wanted.end_exclusive - 1}"
    response = CheckResponse(status=status_pb2.Status(code=code_pb2.OK))
    response.ok_response.headers.extend(_options(headers.items()))
    response.ok_response.headers_to_remove.extend(_removed(asked.sent, KEPT.union(headers)))
    response.ok_response.response_headers_to_add.extend(_options(_said(asked, file, etag)))
    if made_by:
        response.ok_response.response_headers_to_add.extend(_options([served_by(made_by)]))
    response.dynamic_metadata.update(
        {
            "again": asked.again(found.account),
            "path": asked.path,
            "size": str(file.size_bytes),
            **({"origin": asked.sent["origin"]} if "origin" in asked.sent else {}),
            **({"range": wanted.content_range, "length": str(wanted.length_bytes)} if wanted else {}),
        }
    )
    return response


def _on_to_python(admission: Admission) -> CheckResponse:
    """The request as it is, which need not be counted again; but what it moves is."""
    if admission is FREE:
        return PYTHON
    response = CheckResponse(status=status_pb2.Status(code=code_pb2.OK))
    response.ok_response.headers.extend(_options([(ADMITTED, COUNTED)]))
    return response


def _telling(response: CheckResponse, admission: Admission) -> CheckResponse:
    """With what is left of the caller's limits, where the edge answers."""
    if response.HasField("denied_response"):
        response.denied_response.headers.extend(_options(admission.headers()))
    elif response.ok_response.response_headers_to_add:
        response.ok_response.response_headers_to_add.extend(_options(admission.headers()))
    return response


def _back_to_python(asked: Asked) -> CheckResponse:
    """The request as the caller sent it, for the method that reads the bytes here; it has been counted."""
    response = CheckResponse(status=status_pb2.Status(code=code_pb2.OK))
    response.ok_response.headers.extend(_options([*asked.headers.items(), (ADMITTED, COUNTED_WITH_CONTENT)]))
    response.ok_response.headers_to_remove.extend(_removed(asked.sent, KEPT.union(asked.headers)))
    return response


def _said(asked: Asked, file: File, etag: str) -> list[tuple[str, str]]:
    said = [*content_headers(file.filename, etag), ("content-type", served_type(file.content_type))]
    return said if token_in_query(asked.path) is None else [*said, ("referrer-policy", "no-referrer")]


def _removed(sent: Iterable[str], kept: frozenset[str]) -> list[str]:
    return [name for name in sent if name not in kept and not name.startswith(":") and name != "host"]


def _not_modified(asked: Asked, file: File, etag: str) -> CheckResponse:
    return _answered(304, [*_said(asked, file, etag), ("openai-processing-ms", "0")])


def _refused(error: MediagateError, admission: Admission) -> CheckResponse:
    """The same metadata as those of an abort: the edge makes the same reply of them."""
    headers = [(name, str(value)) for name, value in trailing_metadata(error) if not name.endswith("-bin")]
    return _answered(error.http_status, [*headers, *admission.headers()])


def _answered(status: int, headers: Iterable[tuple[str, str]]) -> CheckResponse:
    response = CheckResponse(status=status_pb2.Status(code=code_pb2.PERMISSION_DENIED))
    response.denied_response.status.code = http_status_pb2.StatusCode.ValueType(status)
    response.denied_response.headers.extend(_options(headers))
    return response


def _options(headers: Iterable[tuple[str, str]]) -> list[base_pb2.HeaderValueOption]:
    return [
        base_pb2.HeaderValueOption(
            header=base_pb2.HeaderValue(key=name, value=value),
            append_action=base_pb2.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD,
        )
        for name, value in headers
    ]
