"""What a refusal of a chat means, by the words in it."""

from __future__ import annotations

import httpx
import pytest

from mediagate.providers.chat_failures import FileGone, is_about_absence
from mediagate.providers.http_failures import provider_message
from mediagate.providers.openai.chat_refusals import explain_chat


@pytest.mark.parametrize(
    "said",
    [
        "No such File object: file-1",
        "File not found: file_1",
        "The file file-1 does not exist",
        "Could not find file 1",
        "Unknown file: 1",
        "Unknown file id 'file_1'",
    ],
)
def test_a_file_that_is_gone(said: str) -> None:
    assert is_about_absence(said)


@pytest.mark.parametrize(
    "said",
    ["Unknown part type: file", "Unknown file type: .xyz", "Unknown file format", "Unknown parameter: 'a.file'."],
)
def test_a_file_that_is_not_understood_is_not_gone(said: str) -> None:
    """Sending the request again, which is said of one that is gone, would not help."""
    assert not is_about_absence(said)
    refused = explain_chat(httpx.Response(400, json={"error": {"message": said}}), "vLLM")
    assert not isinstance(refused, FileGone)
    assert said in str(refused)


@pytest.mark.parametrize(
    ("tree", "said"),
    [
        ({"detail": "no"}, "no"),
        # FastAPI's, which vLLM, Mistral and many others are made with.
        (
            {"detail": [{"type": "missing", "loc": ["body", "messages"], "msg": "Field required", "input": {}}]},
            "body.messages: Field required",
        ),
        (
            {"detail": [{"loc": ["body", "n", 0], "msg": "too many"}, {"loc": [], "msg": "odd"}, 3, {"msg": 3}]},
            "body.n.0: too many; odd",
        ),
        (
            {
                "object": "error",
                "message": {"detail": [{"loc": ["body", "x"], "msg": "Extra inputs are not permitted"}]},
            },
            "body.x: Extra inputs are not permitted",
        ),
        ({"error": {"message": {"a": 1}}}, ""),
        ({"detail": []}, ""),
        ([3], ""),
    ],
)
def test_the_sentence_of_a_provider(tree: object, said: str) -> None:
    assert provider_message(httpx.Response(422, json=tree)) == said
