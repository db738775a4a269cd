"""Oracles for `generateContent`: google-genai's own types for both APIs, and Google's discovery document for Vertex AI.

Both refuse a member that they do not know.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from google.genai import types
from pydantic import TypeAdapter

from tests.doubles.aiplatform import require_like

_MEMBERS: Mapping[str, Any] = {
    "contents": TypeAdapter(list[types.Content]),
    "systemInstruction": TypeAdapter(types.Content),
    "tools": TypeAdapter(list[types.Tool]),
    "toolConfig": TypeAdapter(types.ToolConfig),
    "generationConfig": TypeAdapter(types.GenerationConfig),
    "safetySettings": TypeAdapter(list[types.SafetySetting]),
    "labels": TypeAdapter(dict[str, str]),
    "cachedContent": TypeAdapter(str),
}


def require_request(body: Mapping[str, Any]) -> None:
    """Fails for a body that either of the two APIs would not know."""
    tree = json.loads(json.dumps(body))
    for name, member in tree.items():
        _MEMBERS[name].validate_python(member)
    for content in tree["contents"]:
        assert content["role"] in ("user", "model")
        for part in content["parts"]:
            # The kinds of content exclude each other.
            assert len(part.keys() & {"text", "inlineData", "fileData", "functionCall", "functionResponse"}) == 1
    require_like(tree, "GenerateContentRequest")


def require_answer(answer: Mapping[str, Any]) -> None:
    """The same for an answer, so that ours are none that the APIs do not give."""
    types.GenerateContentResponse.model_validate(answer)
    require_like(answer, "GenerateContentResponse")
