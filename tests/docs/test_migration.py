"""What docs/migration.md promises to those who come from LiteLLM's proxy: each row about its configuration, and that a
file with all that its documents show starts."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from mediagate.config import ConfigError, load_config
from tests.conftest import Gateway
from tests.docs.blocks import ROOT, Anything

PAGE = (ROOT / "docs" / "migration.md").read_text()
CONFIGS = Path(__file__).parent / "peer_configs"
ROW = re.compile(r"^\| (.+?) \| `(.+)` \| (read|ignored|refused)\b.*\|$", re.MULTILINE)
ROWS = ROW.findall(PAGE.partition("<!-- peer-keys -->")[2].partition("<!-- /peer-keys -->")[0])


def test_every_row_is_understood() -> None:
    assert (
        len(ROWS) == len(re.findall(r"^\| ", PAGE.partition("<!-- peer-keys -->")[2].partition("<!-- /")[0], re.M)) - 1
    )


@pytest.mark.parametrize(("key", "example", "promise"), ROWS, ids=[row[0][:30] for row in ROWS])
def test_a_key_of_the_peers_is_treated_as_the_page_says(key: str, example: str, promise: str, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(example)
    if promise == "refused":
        with pytest.raises(ConfigError):
            load_config(tmp_path / "config.yaml", Anything())
        return
    warnings = load_config(tmp_path / "config.yaml", Anything()).warnings
    assert bool(warnings) == (promise == "ignored"), warnings
    assert all("is not used by mediagate" in warning for warning in warnings)


def test_the_peers_files_load() -> None:
    """What is in them is in the files that its repository and its documents show."""
    assert load_config(CONFIGS / "videos.yaml", Anything()).warnings == []
    warnings = load_config(CONFIGS / "server.yaml", Anything()).warnings
    assert len(warnings) == 18
    assert all("is not used by mediagate" in warning for warning in warnings)


def test_a_gateway_starts_with_the_peers_file(
    own_gateway: Callable[..., Gateway], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (CONFIGS / "server.yaml").read_text()
    for name in set(re.findall(r"os\.environ/(\w+)", text)):
        monkeypatch.setenv(name, "https://azure.example" if name.endswith("BASE") else "set")
    gateway = own_gateway(yaml.safe_load(text))
    with gateway.http() as http:
        names = {model["id"] for model in http.get("/v1/models").json()["data"]}
        assert {"gpt-4", "bad-model"} <= names
        asked = {"model": "groq/llama", "messages": [{"role": "user", "content": "Hello"}]}
        refused = http.post("/v1/chat/completions", json=asked)
        assert (refused.status_code, refused.json()["error"]["code"]) == (501, "unsupported"), refused.text
