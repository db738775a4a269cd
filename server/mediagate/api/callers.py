"""Who calls, and for whom: the key or token and the end user of a request, and what these may ask for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

from mediagate.access.authenticate import Authenticate
from mediagate.api.content import Asked
from mediagate.api.paths import ORIGINAL_PATH
from mediagate.core.end_users import HEADERS, end_user_of
from mediagate.core.errors import InvalidRequest, PermissionDenied
from mediagate.core.handles import Handle, HandleKind
from mediagate.core.objects import Principal
from mediagate.core.placement import HEADER, requiring

QUERY: Final = "token"
"""The member of a URL's query that holds a token, for what can send no header: an EventSource, a video element."""
QUERY_MEMBERS_MAX: Final = 64
OF_END_USERS: Final = (
    *("FileService", "UploadService", "VideoService", "ChatService", "BatchService"),
    *("ModelService", "DiagnosticsService"),
)
"""Services that an end user may use. Whatever else there is, is the owner's alone."""
TOKENS: Final = "TokenService"
WATCH: Final = frozenset({"VideoService/GetVideo", "VideoService/WatchVideo", "VideoService/WatchVideoHttp"})
CONTENT: Final = frozenset(
    {
        *("VideoService/GetVideoContentHttp", "VideoService/HeadVideoContentHttp", "VideoService/DownloadVideo"),
        *("FileService/GetFileContentHttp", "FileService/HeadFileContentHttp", "FileService/DownloadFile"),
    }
)
UPLOAD: Final = frozenset({"FileService/CreateFileHttp", "FileService/PutFileHttp", "FileService/UploadFile"})
METHODS: Final = {HandleKind.WATCH: WATCH, HandleKind.PLAYBACK: CONTENT, HandleKind.UPLOAD: UPLOAD}
"""What each kind of token opens; one of an end user opens what that one may use, but no tokens."""
BROWSER_READS: Final = frozenset({*WATCH, *CONTENT, "VideoService/WatchVideosHttp"}) - {"VideoService/GetVideo"}
"""What an end user's token may read from a URL: a URL is seen by more people than a header."""
USES: Final = {
    HandleKind.WATCH: "reads and watches one video",
    HandleKind.PLAYBACK: "fetches the content of one video or file",
    HandleKind.UPLOAD: "takes one upload",
    HandleKind.END_USER: "acts for one end user",
}


@dataclass(frozen=True, slots=True)
class Callers:
    """Reads who calls from the headers and the URL of a request."""

    authenticate: Authenticate

    async def of(self, method: str, asked: Asked) -> Principal:
        """The caller of `/package.Service/Method`. Raises `Unauthenticated`, `PermissionDenied`, `InvalidRequest`."""
        in_query = token_in_query(asked.header(ORIGINAL_PATH))
        who = await self.authenticate.run(asked.header("authorization"), asked.header("api-key"), in_query)
        end_user = end_user_of([(name, text) for name in HEADERS if (text := asked.header(name))])
        if end_user is not None and who.end_user not in (None, end_user):
            raise PermissionDenied("This token acts for another end user than the headers name.", code="other_end_user")
        who = who.acting_for(end_user)
        if who.handle is not None:
            require_kind(who.handle, method, in_query=in_query is not None)
        if who.end_user is not None and service_of(method) not in (*OF_END_USERS, TOKENS):
            raise PermissionDenied(
                "This is the owner's alone. Call it without an end user.", code="owner_only", method=method
            )
        return requiring(who, asked.header(HEADER))


def token_in_query(path: str | None) -> str | None:
    """The token in a path's query; None where there is none. Raises `InvalidRequest` where there are several."""
    query = (path or "").partition("?")[2]
    if QUERY not in query:
        return None
    try:
        members = parse_qsl(query, keep_blank_values=True, max_num_fields=QUERY_MEMBERS_MAX)
    except ValueError:
        raise InvalidRequest(f"The query may have {QUERY_MEMBERS_MAX} members.") from None
    found = [value for name, value in members if name == QUERY]
    if len(found) > 1:
        raise InvalidRequest(f"The query has more than one '{QUERY}'.", param=QUERY)
    return found[0] if found else None


def require_kind(handle: Handle, method: str, *, in_query: bool) -> None:
    """Raises `PermissionDenied` where a token does not open a method."""
    name = f"{service_of(method)}/{method.rpartition('/')[2]}"
    if handle.kind is not HandleKind.END_USER:
        opens = name in METHODS[handle.kind]
    elif in_query:
        opens = name in BROWSER_READS
    else:
        opens = service_of(method) in OF_END_USERS
    if not opens:
        where = ", and from a URL it only reads content and events" if handle.kind is HandleKind.END_USER else ""
        raise PermissionDenied(
            f"This token {USES[handle.kind]}{where}. It does not open what was asked for.",
            code="token_kind",
            kind=handle.kind.value,
        )


def service_of(method: str) -> str:
    """`FileService` of `/mediagate.v1.FileService/GetFile`."""
    return method.rpartition("/")[0].rpartition(".")[2]
