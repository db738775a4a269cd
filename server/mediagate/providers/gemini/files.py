"""Files of the Gemini API (AI Studio): resumable uploads under names of ours, 48 hours of life, states to wait for."""

from __future__ import annotations

import functools
import re
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

from mediagate.core import ids
from mediagate.core.errors import ProviderFailed, Unsupported
from mediagate.core.objects import Page
from mediagate.providers import http, http_failures
from mediagate.providers.account import Account
from mediagate.providers.answers import Tree, at_rfc3339, bad_answer, reading
from mediagate.providers.base import Content
from mediagate.providers.files import (
    FileOperation,
    ListQuery,
    NewFile,
    ObjectState,
    Origin,
    ProviderFile,
    unsupported,
)
from mediagate.providers.form_writer import refuse_larger
from mediagate.providers.gemini import session
from mediagate.providers.gemini.errors import NAME_TAKEN, explain
from mediagate.providers.gemini.registration import SCHEME, Registration, registration_of
from mediagate.providers.gemini.spec import FILES
from mediagate.providers.gemini.spool import Spool
from mediagate.providers.gemini.writer import GeminiWriter
from mediagate.providers.http_content import HttpContent
from mediagate.providers.listing import page_from
from mediagate.providers.settings import silence_of

VERSION: Final = "v1"
URIS: Final = "https://generativelanguage.googleapis.com/v1beta/files"
PAGE: Final = 100
PAGES_MAX: Final = 1000
NAME_CHARS_MAX: Final = 512
REDIRECTS_MAX: Final = 3
KNOWN_MAX: Final = 1024
_REF: Final = re.compile(r"(?:(?:https?://[^/?#]+/v[0-9a-z]+/)?files/)?(?P<id>[a-z0-9-]{1,40})")
_VERSIONED: Final = re.compile(r"(?P<root>.*)/(?P<version>v[0-9]+(?:alpha|beta)?)")
_STATES: Final = {"PROCESSING": ObjectState.PROCESSING, "FAILED": ObjectState.FAILED}


class GeminiFiles:
    """One project's files."""

    spec = FILES

    def __init__(
        self,
        account: http.ProviderHttp,
        version: str,
        spool_dir: str | None,
        registration: Registration | None = None,
    ) -> None:
        self._http = account
        self._registration = registration
        self._path = f"/{version}/files"
        self._version = version
        self._spool_dir = spool_dir
        self._threads = ThreadPoolExecutor(4, thread_name_prefix="gemini-spool")
        # Where the bytes of a file are, None for an upload: neither changes, and the edge asks for every download.
        self._addresses: dict[str, str | None] = {}

    async def create(self, new: NewFile) -> GeminiWriter:
        """Begin a file under a name that is our key. A length that is known is announced now; else the bytes wait on
        the disk until they are all there."""
        size_bytes = new.size_bytes
        refuse_larger(FILES, size_bytes or 0)

        async def start(size_bytes: int) -> session.Session:
            return await self._start(new, size_bytes)

        return GeminiWriter(
            self,
            f"files/{new.key}",
            session=None if size_bytes is None else await start(size_bytes),
            start=start,
            spool=Spool(self._spool_dir, self._threads),
        )

    async def _start(self, new: NewFile, size_bytes: int) -> session.Session:
        file = {"name": f"files/{new.key}", "display_name": (new.filename or new.key)[:NAME_CHARS_MAX]}
        path = f"/upload/{self._version}/files"
        try:
            try:
                return await session.start(self._http, path, file, size_bytes=size_bytes, content_type=new.content_type)
            except ProviderFailed as error:
                if error.code != NAME_TAKEN:
                    raise
            # An attempt before this one made the file, and nobody heard of it.
            await self.discard(new.key)
            return await session.start(self._http, path, file, size_bytes=size_bytes, content_type=new.content_type)
        except FileNotFoundError:
            raise http_failures.nowhere(FILES.title) from None

    def record(self, tree: Tree) -> ProviderFile:
        """The API's `File`. Its id is our key where we made it. May raise as `reading` expects."""
        name = str(tree["name"])
        own_id = name.removeprefix("files/")
        size = tree.get("sizeBytes")
        return ProviderFile(
            ref=name,
            filename=tree.get("displayName") or "",
            size_bytes=None if size is None else int(size),
            created_at=at_rfc3339(tree.get("createTime")),
            content_type=tree.get("mimeType") or "",
            state=_STATES.get(tree.get("state", ""), ObjectState.READY),
            expires_at=at_rfc3339(tree.get("expirationTime")),
            key=own_id if ids.FILE.matches(own_id) else None,
        )

    async def fetch(self, ref: str) -> Tree:
        """A file's record as the API sends it. Raises `FileNotFoundError`."""
        return await self._http.json("GET", self._path_of(ref))

    async def get(self, ref: str) -> ProviderFile:
        """A file's record, for `files/abc`, `abc` or the file's URI. Raises `FileNotFoundError`."""
        tree = await self.fetch(ref)
        with reading(FILES.title):
            return self.record(tree)

    def registers(self, uri: str) -> bool:
        """Whether the account has credentials for `gs://` objects."""
        return self._registration is not None and uri.startswith(SCHEME)

    async def register(self, uri: str) -> ProviderFile:
        """A file that stands for an object of Google Cloud Storage. Raises `FileNotFoundError` where the credentials
        do not show it, `Unsupported` for an account without any."""
        if self._registration is None or not self.registers(uri):
            raise Unsupported(
                f"{FILES.title} can be told of objects of Google Cloud Storage alone, and with 'vertex_credentials'.",
                provider=FILES.name,
            )
        headers = await self._registration.headers()
        answer = await self._http.json(
            "POST", f"{self._path}:register", json={"uris": [uri]}, headers=headers, repeatable=False
        )
        with reading(FILES.title):
            (tree,) = answer["files"]
            return self.record(tree)

    async def list(self, query: ListQuery) -> Page[ProviderFile]:
        """One page. The API lists the newest first; files have no purpose there."""
        return await page_from(self._files(), query, newest_first=True)

    async def _files(self) -> AsyncIterator[ProviderFile]:
        params: dict[str, Any] = {"pageSize": PAGE}
        for _ in range(PAGES_MAX):
            try:
                answer = await self._http.json("GET", self._path, params=params)
            except FileNotFoundError:
                raise http_failures.nowhere(FILES.title) from None
            with reading(FILES.title):
                page = [self.record(tree) for tree in answer.get("files", ())]
            for file in page:
                yield file
            if not answer.get("nextPageToken"):
                return
            params["pageToken"] = answer["nextPageToken"]

    async def delete(self, ref: str) -> None:
        """Remove a file; what is absent is deleted already."""
        try:
            await self._http.call("DELETE", self._path_of(ref))
        except FileNotFoundError:
            return

    async def discard(self, key: str) -> None:
        """Remove the file under `key`; an upload that was not finished has left none."""
        await self.delete(f"files/{key}")

    async def scan(
        self, *, since: datetime | None = None, before: datetime | None = None
    ) -> AsyncIterator[ProviderFile]:
        """Every file under a key of ours that was created in that time."""
        async for file in self._files():
            made = file.created_at
            late = made is None or since is None or made >= since
            early = made is None or before is None or made < before
            if file.key is not None and late and early:
                yield file

    async def open(self, ref: str) -> Content:
        """The content of a file that a model made. Raises `Unsupported` for an upload, without asking for its bytes."""
        tree = await self.fetch(ref)
        with reading(FILES.title):
            file = self.record(tree)
        if not _is_generated(tree):
            raise unsupported(FILES, FileOperation.CONTENT)
        if file.size_bytes is None:
            raise bad_answer(FILES.title)
        return HttpContent(
            self._http, await self._address(ref), size_bytes=file.size_bytes, content_type=file.content_type
        )

    async def origin(self, ref: str, *, method: str) -> Origin:
        """Where a generated file's bytes are. Raises as `open` does, and `Unsupported` for HEAD, which is not
        documented there."""
        if method != "GET":
            raise Unsupported(f"{FILES.title} has no {method} for content.", provider=FILES.name)
        path = self._path_of(ref)
        if path not in self._addresses:
            tree = await self.fetch(ref)
            if not _is_generated(tree):
                self._remember(path, None)
        return Origin(await self._address(ref), await self._http.headers())

    async def _address(self, ref: str) -> str:
        """The URL that answers with bytes: the API's own one redirects. Followed on the account's host only, because
        the key goes along. Raises `Unsupported` for what is known to be an upload."""
        path = self._path_of(ref)
        if path in self._addresses:
            known = self._addresses[path]
            if known is None:
                raise unsupported(FILES, FileOperation.CONTENT)
            return known
        url = self._http.url(f"{path}:download?alt=media")
        for _ in range(REDIRECTS_MAX + 1):
            location = await http.repeated(functools.partial(self._location, url), self._http.budget)
            if location is None:
                self._remember(path, url)
                return url
            url = urljoin(url, location)
            if urlsplit(url)[:2] != urlsplit(self._http.base_url)[:2]:
                break
        raise bad_answer(FILES.title)

    def _remember(self, path: str, address: str | None) -> None:
        while len(self._addresses) >= KNOWN_MAX:
            self._addresses.pop(next(iter(self._addresses)))
        self._addresses[path] = address

    async def _location(self, url: str) -> str | None:
        async with self._http.stream("GET", url, headers={"range": "bytes=0-0"}) as response:
            if not response.is_redirect:
                return None
            return str(response.headers.get("location", ""))

    def uri_of(self, ref: str) -> str:
        """The URI by which requests to models name a file: Google's own, behind a proxy too. Any other would be fetched
        as a link."""
        return f"{URIS}/{self._path_of(ref).rpartition('/')[2]}"

    async def close(self) -> None:
        """Close connections and end the threads."""
        await self._http.close()
        if self._registration is not None:
            self._registration.close()
        self._threads.shutdown(wait=False)

    def _path_of(self, ref: str) -> str:
        match = _REF.fullmatch(ref)
        if match is None:
            raise FileNotFoundError(f"{FILES.title} does not have it")
        return f"{self._path}/{match['id']}"


def _is_generated(tree: Tree) -> bool:
    return tree.get("source") == "GENERATED" or bool(tree.get("downloadUri"))


def build(account: Account) -> GeminiFiles:
    """The account's files. Raises `ValueError` for an account without a key."""
    server, version = server_of(account, explain=explain)
    return GeminiFiles(server, version, account.option("spool_dir"), registration_of(account, FILES.title))


def server_of(
    account: Account, *, explain: http.Explain, silence_s: float | None = None, connections_max: int = 64
) -> tuple[http.ProviderHttp, str]:
    """Where the account's API is, and its version. Raises `ValueError` for an account without a key."""
    key = account.api_key or account.env("GOOGLE_API_KEY", "GEMINI_API_KEY")
    if not key:
        raise ValueError("api_key is missing; set it in files_settings or GEMINI_API_KEY")

    async def headers() -> Mapping[str, str]:
        return {"x-goog-api-key": key}

    base = account.api_base or account.env("GOOGLE_GEMINI_BASE_URL") or "https://generativelanguage.googleapis.com"
    base = base.rstrip("/")
    version = account.api_version
    if versioned := _VERSIONED.fullmatch(base):
        base, version = versioned["root"], version or versioned["version"]
    server = http.ProviderHttp(
        FILES.title,
        base,
        headers,
        silence_s=silence_of(account) if silence_s is None else silence_s,
        connections_max=connections_max,
        explain=explain,
    )
    return server, version or VERSION
