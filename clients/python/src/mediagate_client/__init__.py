"""Files and generated videos of a mediagate gateway.

    from mediagate_client import Client

    client = Client("http://127.0.0.1:4000", "sk-...")
    file = client.files.upload("report.pdf", to=["local"])
    client.files.download(file.id, "copy.pdf")

Chat is left to OpenAI's SDK, which speaks to the same gateway: `OpenAI(base_url=f"{url}/v1", api_key=key)`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mediagate_client._client import AsyncClient, Client
    from mediagate_client._errors import (
        ApiError,
        AuthenticationFailed,
        Conflict,
        ConnectionFailed,
        DiskFull,
        FileChanged,
        InvalidRequest,
        LocalFileError,
        MediagateError,
        NotFound,
        PermissionDenied,
        RateLimited,
        ServerError,
        TimedOut,
        TlsFailed,
        TransferDamaged,
        Unsupported,
        UploadInterrupted,
        UploadStopped,
        VideoFailed,
    )
    from mediagate_client._types import Deleted, File, Page, Record, Replica, Video, VideoEvent

__all__ = [
    "ApiError",
    "AsyncClient",
    "AuthenticationFailed",
    "Client",
    "Conflict",
    "ConnectionFailed",
    "Deleted",
    "DiskFull",
    "File",
    "FileChanged",
    "InvalidRequest",
    "LocalFileError",
    "MediagateError",
    "NotFound",
    "Page",
    "PermissionDenied",
    "RateLimited",
    "Record",
    "Replica",
    "ServerError",
    "TimedOut",
    "TlsFailed",
    "TransferDamaged",
    "Unsupported",
    "UploadInterrupted",
    "UploadStopped",
    "Video",
    "VideoEvent",
    "VideoFailed",
]

if not TYPE_CHECKING:

    def __getattr__(name):
        """What is not loaded yet: the shell's `--help` and a caller of one error wait for nothing else."""
        from importlib import import_module

        if name in __all__:
            for part in ("_errors", "_types", "_client"):
                module = import_module(f"{__name__}.{part}")
                if hasattr(module, name):
                    return globals().setdefault(name, getattr(module, name))
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__():
        return sorted({*globals(), *__all__})
