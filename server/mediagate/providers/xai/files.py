"""Files at xAI: OpenAI's shape, but pages by token, no purpose in answers, and a form whose fields come first."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

from mediagate.providers.account import Account
from mediagate.providers.answers import Tree, at_unix, marked_file, reading
from mediagate.providers.files import NewFile, ProviderFile
from mediagate.providers.form_files import PAGES_MAX, FormFiles
from mediagate.providers.http import ProviderHttp
from mediagate.providers.settings import key_of, life_within, root_of, silence_of
from mediagate.providers.xai.spec import FILES

PAGE: Final = 100
LIFE_S: Final = (3600, 2_592_000)


class XaiFiles(FormFiles):
    """One team's files."""

    spec = FILES
    newest_first = True

    def fields(self, new: NewFile) -> Mapping[str, str]:
        """Purpose, which the API takes for compatibility, and the life, which it wants to know before the file."""
        fields = {"purpose": new.purpose}
        life_s = life_within(new.life_s, *LIFE_S)
        if life_s is not None:
            fields["expires_after"] = str(life_s)
        return fields

    def record(self, tree: Tree) -> ProviderFile:
        """The API's `file` object; its times are seconds since 1970."""
        return marked_file(
            tree["filename"],
            tree["id"],
            size_bytes=int(tree["bytes"]),
            created_at=at_unix(tree["created_at"]),
            purpose=tree.get("purpose") or "",
            expires_at=at_unix(tree.get("expires_at")),
        )

    async def pages(self, purpose: str | None) -> AsyncIterator[list[Tree]]:
        """The newest first."""
        params: dict[str, Any] = {"limit": PAGE, "order": "desc", "sort_by": "created_at"}
        for _ in range(PAGES_MAX):
            answer = await self._http.json("GET", self.path, params=params)
            with reading(self.spec.title):
                page: list[Tree] = list(answer["data"])
            yield page
            if not page or not answer.get("pagination_token"):
                return
            params["pagination_token"] = answer["pagination_token"]


def build(account: Account) -> XaiFiles:
    """The account's files. Raises `ValueError` for an account without a key."""
    key = key_of(account, "XAI_API_KEY")

    async def headers() -> Mapping[str, str]:
        return {"authorization": f"Bearer {key}"}

    root = root_of(account, "XAI_BASE_URL", "https://api.x.ai")
    return XaiFiles(ProviderHttp(FILES.title, root, headers, silence_s=silence_of(account)))
