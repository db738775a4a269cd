"""The edge, and what it and the server behind it owe each other.

What the server finds in the metadata of a call:

`x-envoy-original-path`     the path and query of a REST caller; absent for gRPC and gRPC-Web. Clients cannot send it.
`x-envoy-original-method`   the HTTP method of a REST caller.
`x-envoy-external-address`  the client's address; `x-forwarded-for` may hold what the client claims.
`x-request-id`              the id that the reply carries; never the client's choice.

What the server sends, and what a REST caller gets. gRPC and gRPC-Web callers get everything as it was sent.

In the trailing metadata of an abort before any initial metadata:

`x-openai-error`    the whole body of the reply, as ASCII JSON of at most some KB. Without it the edge writes an
                    envelope for the status, and the abort's message and details stay inside.
`x-http-status`     the status, where it is not the one that belongs to the gRPC code.
others              become headers: `retry-after`, `x-should-retry`, `content-range`, `openai-processing-ms`.
                    Without `x-should-retry` the edge says `false` for 4xx but 408, 409 and 429, and for 501; without
                    `retry-after` it says `1` with 503.

In the initial metadata of a reply:

`x-http-status`     206 or 304 where it is not 200.
`x-content-length`  the length of the content. Whoever sends it must send all of it, or end with BROKEN_STREAM.
others              become headers.

Content that lies elsewhere (`EdgeSettings.content_by_decision`). Before GET or HEAD of a file's or a video's content
goes anywhere the edge asks `envoy.service.auth.v3.Authorization/Check`, which no client can reach through it. The
server answers

a refusal                     its status, and the metadata of an abort as headers. 304 is one too.
OK alone                      the request goes on to its method, as without the question.
OK with `x-edge-cluster`      `origins-http` or `origins-https`: the request goes to the host in `:authority`, with the
                              `:path` and the headers of the answer and no other; all that the client sent are to be in
                              `headers_to_remove`. The reply has the origin's bytes, length, range and date, and else
                              the headers of `response_headers_to_add`.

with, in that third case, as dynamic metadata: `size`, the length of the whole content; `length` and `range`, those of
the part that is asked for, where it is one; `path`, where the request came from; `origin`, the header, where there is
one; and `again`. Where the origin does not begin to send just that, the edge asks once more, with `again` in
`x-edge-again` and `STATUS;RETRY-AFTER` in `x-edge-failure`, up to ORIGINS_MAX times. STATUS is the origin's, 599 where
it cannot be reached or breaks off, `damaged` for other bytes than expected and `whole` for all where a part was asked
for. Where the request goes on to its method, the server may tell that by `x-edge-admitted` that it has been counted
under the caller's limits. Clients cannot send any `x-edge-*`. From the first byte on a failure breaks the download.

Initial metadata reach the caller with the first HttpBody message. That message must hold the content type, and may
hold no bytes: so an event stream shows its headers at once, and empty content has a type. Trailing metadata of a reply
that had a message reach no REST caller.
"""

from typing import Final

BROKEN_STREAM: Final = b"\xff"
"""An encoded message that is none. As the last message of a streaming HttpBody reply to a REST caller (one with
`x-envoy-original-path`) it makes Envoy reset the stream, so that content which stops half-way is a broken download:
curl exit 18, or 92 over HTTP/2. An abort in its place looks like a clean end where no length was told, and leaves an
HTTP/1.1 client waiting where one was."""

SLOW_METHODS: Final = (
    "/mediagate.v1.FileService/CopyFile",
    "/mediagate.v1.UploadService/CompleteUpload",
    "/mediagate.v1.VideoService/CreateVideo",
)
"""Methods with one message each way that move content behind it. Neither the edge nor the server ends them by the clock
that they have for other such methods."""

ORIGINS_MAX: Final = 5
"""How many origins one request may be sent to, one after the other."""

RESERVED_SERVICES: Final = ("mediagate.v1.SystemService", "mediagate.v1.AdminService")
"""Services that answer when no other does: neither the edge nor the server counts their calls under a limit of what may
be under way at once."""


def is_watch(method: str) -> bool:
    """Whether a method only waits for news: `/package.Service/Watch…`. Such calls are not counted there either."""
    return method.rpartition("/")[2].startswith("Watch")
