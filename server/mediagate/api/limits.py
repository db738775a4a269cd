"""What a call counts as, and what it may be refused for before anything is done for it.

Requests count for every method. Uploads are calls that begin a file; transfers are those that carry content in, of
which only so many run at once. A call that waits for news holds no slot: a watcher must not keep its key from working.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from mediagate.access.limits.admission import Limits
from mediagate.access.limits.plan import Use
from mediagate.api.call import Call
from mediagate.core.errors import Overloaded
from mediagate.envoy import RESERVED_SERVICES, is_watch

UPLOADS: Final = frozenset(
    {
        "/mediagate.v1.FileService/CreateFileHttp",
        "/mediagate.v1.FileService/PutFileHttp",
        "/mediagate.v1.FileService/UploadFile",
        "/mediagate.v1.FileService/CopyFile",
        "/mediagate.v1.UploadService/CreateUpload",
    }
)
TRANSFERS: Final = frozenset(
    {
        "/mediagate.v1.FileService/CreateFileHttp",
        "/mediagate.v1.FileService/PutFileHttp",
        "/mediagate.v1.FileService/UploadFile",
        "/mediagate.v1.FileService/CopyFile",
        "/mediagate.v1.UploadService/AddUploadPart",
        "/mediagate.v1.UploadService/AddUploadPartHttp",
    }
)
ADMITTED: Final = "x-edge-admitted"
"""The decision about content has counted this call already, by itself or with its bytes; only the edge can say so."""
COUNTED: Final = "call"
COUNTED_WITH_CONTENT: Final = "content"


class Gate:
    """How many calls of this process are under way, and how many may be."""

    def __init__(self, calls_max: int | None = None) -> None:
        self._calls_max = calls_max
        self._calls = 0

    def enter(self) -> None:
        """Begin a call. Raises `Overloaded` where there are as many as may be."""
        if self._calls_max is not None and self._calls >= self._calls_max:
            raise Overloaded
        self._calls += 1

    def leave(self) -> None:
        """End a call that began."""
        self._calls -= 1


@dataclass(frozen=True, slots=True)
class Door:
    """Where every call comes in. Without limits it counts nothing."""

    limits: Limits | None = None
    gate: Gate = field(default_factory=Gate)

    def of(self, method: str, *, streams_in: bool = False) -> MethodDoor:
        """For one method, by its full name. `streams_in` where its request is a stream, which is content.

        What must always work is not counted at the gate: readiness, administration, and what only waits for news.
        """
        name = method.rpartition("/")[2]
        service = method.strip("/").partition("/")[0]
        return MethodDoor(
            self,
            is_upload=method in UPLOADS,
            is_transfer=method in TRANSFERS,
            sends_content=streams_in,
            brings_content=name.startswith("Download") or (name.startswith("Get") and name.endswith("ContentHttp")),
            watches=is_watch(method),
            is_gated=service not in RESERVED_SERVICES and not is_watch(method),
        )


@dataclass(frozen=True, slots=True)
class MethodDoor:
    """What calls of one method count as."""

    door: Door
    is_upload: bool
    is_transfer: bool
    sends_content: bool
    brings_content: bool
    watches: bool
    is_gated: bool
    calm: Use = field(init=False)
    """What a call uses that moves no content."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "calm", Use(is_upload=self.is_upload, holds=not self.watches))

    def knock(self, call: Call, *, waits: bool = False) -> Passage:
        """A call that has come; `waits` for a long poll."""
        return Passage(self, call, waits)


@dataclass(slots=True)
class Passage:
    """One call from when it came. To be left when it ends, however it ends."""

    method: MethodDoor
    call: Call
    waits: bool
    _is_inside: bool = False
    _has_begun: bool = False

    def enter(self) -> None:
        """Begin, before anything is known of the caller. Raises `Overloaded`."""
        if self.method.is_gated and not self.waits:
            self.method.door.gate.enter()
            self._is_inside = True

    async def admit(self) -> None:
        """Count the call under the limits of its caller, who is known now. Raises `RateLimited`."""
        limits, who = self.method.door.limits, self.call.principal
        if limits is not None and who.scopes:
            self.call.admission = await limits.admit(who, self._use())

    def _use(self) -> Use:
        method = self.method
        if not (method.sends_content or method.brings_content or method.is_transfer or self.waits):
            return method.calm
        admitted = self.call.header(ADMITTED) if method.brings_content else None
        return Use(
            is_request=admitted is None,
            is_upload=method.is_upload,
            is_transfer=method.is_transfer,
            moves_bytes=method.sends_content or (method.brings_content and admitted != COUNTED_WITH_CONTENT),
            declared_bytes=self.call.declared_bytes if method.sends_content else None,
            holds=not (method.watches or self.waits),
        )

    def received(self, size_bytes: int) -> None:
        """A message of a streamed request."""
        self.call.admission.moved(size_bytes)

    def sends(self, size_bytes: int) -> None:
        """A message of a streamed answer is about to go out; its headers have not where it is the first."""
        if self.method.brings_content:
            if not self._has_begun:
                self._has_begun = True
                self.call.admission.will_move(self.call.announced_bytes)
            self.call.admission.moved(size_bytes)

    def leave(self) -> None:
        """The call is over."""
        self.call.admission.release()
        if self._is_inside:
            self._is_inside = False
            self.method.door.gate.leave()
