"""What becomes of OpenAI's failures."""

from __future__ import annotations

from collections.abc import Mapping

from mediagate.providers.account import Account
from mediagate.providers.files import FileProvider
from mediagate.providers.registry import build_files
from tests.contract.fault_suite import FileFaultContract
from tests.doubles.faulty import answer


class TestOpenAIFaults(FileFaultContract):
    async def build(self, url: str) -> FileProvider:
        return build_files(
            Account("openai-1", "openai", api_key="sk-test", api_base=f"{url}/v1", options={"timeout": 0.5})
        )

    def answers(self) -> Mapping[str, bytes]:
        file = {
            "id": self.ref,
            "object": "file",
            "bytes": self.content_bytes,
            "purpose": "batch",
            "filename": "a.jsonl",
        }
        return {f"GET /v1/files/{self.ref}$": answer(file)}
