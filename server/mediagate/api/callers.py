"""Who calls, and for whom: the key and the end user of a request, and what the two may ask for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mediagate.access.authenticate import Authenticate
from mediagate.api.content import Asked
from mediagate.core.end_users import HEADERS, end_user_of
from mediagate.core.errors import PermissionDenied
from mediagate.core.objects import Principal
from mediagate.core.placement import HEADER, requiring

OF_END_USERS: Final = ("FileService", "UploadService", "VideoService", "ModelService", "DiagnosticsService")
"""Services that an end user may use. Whatever else there is, is the owner's alone."""


@dataclass(frozen=True, slots=True)
class Callers:
    """Reads who calls from the headers of a request."""

    authenticate: Authenticate

    async def of(self, method: str, asked: Asked) -> Principal:
        """The caller of `/package.Service/Method`. Raises `Unauthenticated`, `PermissionDenied` and `InvalidField`."""
        who = await self.authenticate.run(asked.header("authorization"), asked.header("api-key"))
        who = who.acting_for(end_user_of([(name, text) for name in HEADERS if (text := asked.header(name))]))
        if who.end_user is not None and service_of(method) not in OF_END_USERS:
            raise PermissionDenied(
                "This is the owner's alone. Call it without an end user.", code="owner_only", method=method
            )
        return requiring(who, asked.header(HEADER))


def service_of(method: str) -> str:
    """`FileService` of `/mediagate.v1.FileService/GetFile`."""
    return method.rpartition("/")[0].rpartition(".")[2]
