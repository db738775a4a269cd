"""PagesService: the console and the description of the API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mediagate._gen.mediagate.v1 import pages_pb2, pages_pb2_grpc
from mediagate.api.call import Call
from mediagate.api.content import http_body
from mediagate.api.paths import ORIGINAL_METHOD
from mediagate.core.errors import NotFound
from mediagate.core.ranges import etag_matches
from mediagate.pages.folder import INDEX, ROOT, PageFolder

_HEADERS: Final = (
    # Asked for anew each time, and mostly answered with 304: an update of the gateway is seen at once.
    ("cache-control", "no-cache"),
    ("vary", "accept-encoding"),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
)
_POLICY: Final = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' blob: data:",
    "media-src": "'self' blob:",
    "connect-src": "'self'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
    "base-uri": "'none'",
}
# No string becomes a script or an element there, even by mistake.
CONSOLE_POLICY: Final = {
    **_POLICY,
    "img-src": "'self' blob:",
    "require-trusted-types-for": "'script'",
    "trusted-types": "'none'",
}
DOCS_POLICY: Final = _POLICY


class PagesServicer(pages_pb2_grpc.PagesServiceServicer):
    """Serves `mediagate.v1.PagesService`; what is switched off is not there."""

    def __init__(self, *, console: bool, docs: bool) -> None:
        self._console = PageFolder(ROOT / "console") if console else None
        self._docs = PageFolder(ROOT / "docs") if docs else None

    async def GetConsole(self, request: pages_pb2.GetConsoleRequest, call: Call) -> bytes:
        return await _answer(self._console, request.file or INDEX, CONSOLE_POLICY, call)

    async def GetDocs(self, request: pages_pb2.GetDocsRequest, call: Call) -> bytes:
        return await _answer(self._docs, request.file or INDEX, DOCS_POLICY, call)

    async def GetOpenapi(self, _request: pages_pb2.GetOpenapiRequest, call: Call) -> bytes:
        return await _answer(self._docs, "openapi.json", DOCS_POLICY, call)


async def _answer(folder: PageFolder | None, path: str, policy: Mapping[str, str], call: Call) -> bytes:
    file = await folder.get(path) if folder is not None else None
    if file is None:
        raise NotFound("There is no such page.")
    gzipped = file.zipped is not None and _takes_gzip(call.header("accept-encoding") or "")
    data = file.zipped if gzipped and file.zipped is not None else file.data
    etag = file.says(gzipped=gzipped)
    call.respond([*_HEADERS, ("etag", etag)])
    if etag_matches(call.header("if-none-match") or "", etag):
        call.respond([("x-http-status", "304")])
        return http_body(b"", file.content_type)
    if gzipped:
        call.respond([("content-encoding", "gzip")])
    if file.content_type.startswith("text/html"):
        call.respond([("content-security-policy", "; ".join(" ".join(rule) for rule in policy.items()))])
    if call.header(ORIGINAL_METHOD) == "HEAD":
        call.respond([("x-content-length", str(len(data)))])
        data = b""
    return http_body(data, file.content_type)


def _takes_gzip(accepted: str) -> bool:
    """Whether an Accept-Encoding names gzip, and not to refuse it."""
    for one in accepted.lower().split(","):
        name, _, quality = one.partition(";")
        if name.strip() == "gzip":
            return quality.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
