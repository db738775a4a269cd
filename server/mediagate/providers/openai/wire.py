"""OpenAI's file objects and refusals, read with care: servers that only resemble OpenAI answer here too."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

import httpx

from mediagate.core.errors import PayloadTooLarge
from mediagate.providers.answers import at_unix, marked_file, reading
from mediagate.providers.files import FileOperation, FileSpec, ObjectState, ProviderFile, unsupported
from mediagate.providers.http_failures import error_of, nowhere, provider_message
from mediagate.providers.settings import life_within

# https://platform.openai.com/docs/api-reference/files/create
LIFE_S_MIN: Final = 3600
LIFE_S_MAX: Final = 2_592_000
# Azure's; OpenAI answers `uploaded` or `processed` for what can be used at once.
_STATES: Final = {
    "pending": ObjectState.PROCESSING,
    "running": ObjectState.PROCESSING,
    "error": ObjectState.FAILED,
}
_GONE: Final = ("deleting", "deleted")
_REF: Final = re.compile(r"(?!\.{1,2}\Z)[^\s/\\?#%\x00-\x1f\x7f]{1,512}")
_NO_ROUTE: Final = re.compile(
    r"(resource |route )?not found\.?\Z|unknown (request )?(url|path|route|endpoint)|invalid url|"
    r"cannot (get|post|delete|head) /|no (such )?(route|handler|endpoint)",
    re.IGNORECASE,
)


def expires_after(life_s: int | None) -> dict[str, str | int]:
    """How long the provider shall keep a file, in OpenAI's words; nothing where that is not said."""
    seconds = life_within(life_s, LIFE_S_MIN, LIFE_S_MAX)
    return {} if seconds is None else {"anchor": "created_at", "seconds": seconds}


def checked_ref(ref: str) -> str:
    """The id as a part of a path. Raises `FileNotFoundError` for what cannot be one."""
    if not _REF.fullmatch(ref):
        raise FileNotFoundError("not an id of a file")
    return ref


def file_of(tree: Any, title: str) -> ProviderFile:
    """A provider's file object. Raises `FileNotFoundError` for one that is being deleted, `ProviderFailed` for what is
    no file object."""
    with reading(title):
        status = tree.get("status")
        if status not in _GONE:
            return marked_file(
                str(tree.get("filename") or ""),
                _id(tree["id"]),
                size_bytes=_count(tree.get("bytes")),
                created_at=at_unix(tree.get("created_at")),
                purpose=str(tree.get("purpose") or ""),
                state=_STATES.get(status, ObjectState.READY),
                expires_at=at_unix(tree.get("expires_at")),
            )
    raise FileNotFoundError("the file is being deleted")


def files_of(tree: dict[str, Any], title: str) -> list[ProviderFile]:
    """The files of a list's page. Raises `ProviderFailed` for what is no list."""
    with reading(title):
        present = [item for item in tree["data"] if item.get("status") not in _GONE]
    return [file_of(item, title) for item in present]


def id_of(tree: Any, title: str) -> str:
    """The id of any of OpenAI's objects, fit for a path. Raises `ProviderFailed` where there is none."""
    with reading(title):
        return _id(tree["id"])


def _id(value: Any) -> str:
    if not _REF.fullmatch(value):
        raise ValueError("not an id")
    return str(value)


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def explain_for(spec: FileSpec, *, routes_may_lack: bool = False) -> Callable[[httpx.Response, str], Exception]:
    """What an answer of 400 or more means. A 404 that is about the route and not about a file is a wrong address; with
    `routes_may_lack` it is `Unsupported`, because the server need not have every route."""

    def explain(response: httpx.Response, title: str) -> Exception:
        said = provider_message(response)
        if response.status_code == 400 and "not allowed to download" in said.lower():
            return unsupported(spec, FileOperation.CONTENT)
        if response.status_code == 413:
            return PayloadTooLarge(f"{title} does not take a file of this size.", code="provider_rejected_file")
        missing = lacks_route(response, said, "files")
        if missing and routes_may_lack:
            return unsupported(spec, _operation(response.request))
        return nowhere(title) if missing and response.status_code == 404 else error_of(response, title)

    return explain


def lacks_route(response: httpx.Response, said: str, collection: str) -> bool:
    """Whether an answer is about the route and not about an object of `collection`; `said` is its sentence."""
    if response.status_code != 404:
        return response.status_code in (405, 501)
    if _NO_ROUTE.match(said.strip()):
        return True
    ref = response.request.url.path.rpartition(f"/{collection}/")[2].partition("/")[0]
    if ref and ref in response.text:
        return False
    return not said or not _has_envelope(response)


def _has_envelope(response: httpx.Response) -> bool:
    try:
        tree = response.json()
    except (ValueError, RecursionError):
        return False
    return isinstance(tree, dict) and isinstance(tree.get("error"), dict)


def _operation(request: httpx.Request) -> FileOperation:
    path = request.url.path
    if request.method == "POST":
        return FileOperation.CREATE
    if request.method == "DELETE":
        return FileOperation.DELETE
    if path.endswith("/content"):
        return FileOperation.CONTENT
    return FileOperation.LIST if path.endswith("/files") else FileOperation.GET
