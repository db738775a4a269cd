"""Files at Anthropic: `POST /v1/files` as a form, pages by cursor, content only of what tools have made."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import httpx

from mediagate.providers import http, http_failures
from mediagate.providers.account import Account
from mediagate.providers.answers import Tree, at_rfc3339, marked_file, reading
from mediagate.providers.anthropic.account import headers_of, root_of_account
from mediagate.providers.anthropic.spec import FILES
from mediagate.providers.base import Content
from mediagate.providers.files import FileOperation, NewFile, Origin, ProviderFile, marked_name, unsupported
from mediagate.providers.form_files import PAGES_MAX, FormFiles
from mediagate.providers.settings import life_within, silence_of

PAGE: Final = 1000
LIFE_S: Final = (3600, 7_776_000)
KNOWN_MAX: Final = 4096
# The API refuses these in a name: https://platform.claude.com/docs/en/build-with-claude/files, "Error handling".
_FORBIDDEN: Final = re.compile(r'[<>:"|?*\\/\x00-\x1f]')


class AnthropicFiles(FormFiles):
    """One workspace's files."""

    spec = FILES
    newest_first = True

    def __init__(self, account: http.ProviderHttp) -> None:
        super().__init__(account)
        # Whether a file can be downloaded never changes, and the edge asks for every download.
        self._downloadable: dict[str, bool] = {}

    def fields(self, new: NewFile) -> Mapping[str, str]:
        """How long the file shall live, where the API knows such a life."""
        life_s = life_within(new.life_s, *LIFE_S)
        return {} if life_s is None else {"expires_in_seconds": str(life_s)}

    def name_of(self, new: NewFile) -> str:
        """The marked name without what the API forbids."""
        return _FORBIDDEN.sub("_", marked_name(new.filename, new.key))

    def record(self, tree: Tree) -> ProviderFile:
        """The API's `file` object; its times are RFC 3339."""
        return marked_file(
            tree["filename"],
            tree["id"],
            size_bytes=int(tree["size_bytes"]),
            created_at=at_rfc3339(tree["created_at"]),
            content_type=tree.get("mime_type") or "",
            expires_at=at_rfc3339(tree.get("expires_at")),
        )

    async def pages(self, purpose: str | None) -> AsyncIterator[list[Tree]]:
        """The newest first. A cursor `next_page` leads on; `has_more` and `last_id` are how the beta said the same."""
        params: dict[str, Any] = {"limit": PAGE}
        for _ in range(PAGES_MAX):
            answer = await self._http.json("GET", self.path, params=params)
            with reading(self.spec.title):
                page: list[Tree] = list(answer["data"])
            yield page
            if answer.get("next_page"):
                params = {"limit": PAGE, "page": answer["next_page"]}
            elif answer.get("has_more") and answer.get("last_id"):
                params = {"limit": PAGE, "after_id": answer["last_id"]}
            else:
                return

    async def open(self, ref: str) -> Content:
        """The content of a file that a tool made. Raises `Unsupported` for an upload, without asking for its bytes."""
        tree = await self._http.json("GET", self.path_of(ref))
        file = self._record(tree)
        self._require_downloadable(ref, tree)
        return self.content_of(file)

    async def origin(self, ref: str, *, method: str) -> Origin:
        """Where a file that a tool made lies. Raises as `open` does."""
        if ref not in self._downloadable:
            self._require_downloadable(ref, await self._http.json("GET", self.path_of(ref)))
        elif not self._downloadable[ref]:
            raise unsupported(self.spec, FileOperation.CONTENT)
        return await super().origin(ref, method=method)

    def _require_downloadable(self, ref: str, tree: Tree) -> None:
        # Where the member is missing the API itself refuses, and `explain` knows how.
        downloadable = tree.get("downloadable") is not False
        while len(self._downloadable) >= KNOWN_MAX:
            self._downloadable.pop(next(iter(self._downloadable)))
        self._downloadable[ref] = downloadable
        if not downloadable:
            raise unsupported(self.spec, FileOperation.CONTENT)


def explain(response: httpx.Response, title: str) -> Exception:
    """What a refusal means: as everywhere, but a file that cannot be downloaded is no bad request of the caller."""
    if response.status_code == 400 and "is not downloadable" in http_failures.provider_message(response):
        return unsupported(FILES, FileOperation.CONTENT)
    return http_failures.error_of(response, title)


def build(account: Account) -> AnthropicFiles:
    """The account's files. Raises `ValueError` for an account without a key."""
    root, headers = root_of_account(account), headers_of(account)
    return AnthropicFiles(http.ProviderHttp(FILES.title, root, headers, silence_s=silence_of(account), explain=explain))
