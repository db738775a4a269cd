"""What becomes of OpenAI's failures."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from mediagate.core.errors import MediagateError
from mediagate.providers.account import Account
from mediagate.providers.files import FileProvider
from mediagate.providers.registry import build_files
from tests.contract.fault_suite import EXPECTED, FileFaultContract, assert_is
from tests.contract.suite import store
from tests.doubles.faulty import answer, faulty_server


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


@pytest.mark.parametrize("step", ["uploads$", "uploads/upload_1/parts", "uploads/upload_1/complete"])
@pytest.mark.parametrize("fault", ["401", "404", "429", "500", "503", "reset", "truncated", "garbage"])
async def test_an_upload_in_parts(fault: str, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mediagate.providers.http.BACK_OFF_S", 0.001)
    monkeypatch.setattr("mediagate.providers.openai.files.FORM_BYTES_MAX", 1000)
    answers = {
        "POST /v1/uploads$": answer({"id": "upload_1", "status": "pending"}),
        "POST /v1/uploads/upload_1/parts": answer({"id": "part_1"}),
        "POST /v1/uploads/upload_1/complete": answer({"id": "upload_1", "file": {"id": "file-1", "bytes": 5000}}),
        "POST /v1/uploads/upload_1/cancel": answer({"id": "upload_1", "status": "cancelled"}),
        "GET /v1/files$": answer({"data": [], "has_more": False}),
    }
    del answers[f"POST /v1/{step}"]
    async with faulty_server(fault, answers) as server:
        provider = build_files(Account("openai-1", "openai", api_key="sk-test", api_base=f"{server.url}/v1"))
        with pytest.raises(MediagateError) as failed:
            await store(provider, b"x" * 5000, size_bytes=5000)
        await provider.close()
        assert_is(failed.value, EXPECTED[fault])
        again = step.endswith("parts") and fault in ("500", "503", "reset", "truncated", "garbage")
        assert len(server.requests) == (3 if again else 1)
