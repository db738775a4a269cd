"""Files at Mistral: `POST /v1/files` as a form, pages by number, content of every file."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

from mediagate.providers.account import Account
from mediagate.providers.answers import Tree, at_unix, marked_file, reading
from mediagate.providers.files import NewFile, ProviderFile
from mediagate.providers.form_files import PAGES_MAX, FormFiles
from mediagate.providers.http import ProviderHttp
from mediagate.providers.mistral.spec import FILES
from mediagate.providers.settings import key_of, root_of, silence_of

PAGE: Final = 100
PURPOSES: Final = ("fine-tune", "batch", "ocr", "agentic_safety")
# What chat with a document and OCR take; a file for anything else of ours is meant to be read by a model.
PURPOSE_DEFAULT: Final = "ocr"
HOUR_S: Final = 3600


class MistralFiles(FormFiles):
    """One workspace's files."""

    spec = FILES

    def purpose_of(self, purpose: str) -> str:
        """Mistral's word for our purpose."""
        return purpose if purpose in PURPOSES else PURPOSE_DEFAULT

    def fields(self, new: NewFile) -> Mapping[str, str]:
        """Purpose, and the life in whole hours. Who may see the file is left as the workspace has it."""
        fields = {"purpose": self.purpose_of(new.purpose)}
        if new.life_s is not None:
            fields["expiry"] = str(max(1, -(-new.life_s // HOUR_S)))
        return fields

    def record(self, tree: Tree) -> ProviderFile:
        """The API's `file` object; its times are seconds since 1970."""
        return marked_file(
            tree["filename"],
            tree["id"],
            size_bytes=int(tree["bytes"]),
            created_at=at_unix(tree["created_at"]),
            content_type=tree.get("mimetype") or "",
            purpose=tree.get("purpose") or "",
            expires_at=at_unix(tree.get("expires_at")),
        )

    async def pages(self, purpose: str | None) -> AsyncIterator[list[Tree]]:
        """In an order that is not documented. The last page is one that is not full."""
        more: dict[str, Any] = {} if purpose is None else {"purpose": purpose}
        for number in range(PAGES_MAX):
            params = {"page": number, "page_size": PAGE, "include_total": "false", **more}
            answer = await self._http.json("GET", self.path, params=params)
            with reading(self.spec.title):
                page: list[Tree] = list(answer["data"])
            yield page
            if len(page) < PAGE:
                return


def build(account: Account) -> MistralFiles:
    """The account's files. Raises `ValueError` for an account without a key."""
    key = key_of(account, "MISTRAL_API_KEY")

    async def headers() -> Mapping[str, str]:
        return {"authorization": f"Bearer {key}"}

    root = root_of(account, "MISTRAL_BASE_URL", "https://api.mistral.ai")
    return MistralFiles(ProviderHttp(FILES.title, root, headers, silence_s=silence_of(account)))
