"""What the README says of many providers works as it is printed: only port, key and buckets are put in."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from mediagate.config import load_config
from tests.clouds.conftest import SOURCES, Clouds

ROOT = Path(__file__).parent.parent.parent
ROWS = b'{"custom_id": "1"}\n' * 100


@pytest.fixture(scope="module")
def section() -> str:
    text = (ROOT / "README.md").read_text()
    return text.partition("## Many providers")[2].partition("\n## ")[0]


def snippets(section: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", section, re.MULTILINE | re.DOTALL)


def run(command: list[str], clouds: Clouds, folder: Path, text: str) -> str:
    text = text.replace("127.0.0.1:4000", f"127.0.0.1:{clouds.gateway.port}").replace("my-source-bucket", SOURCES)
    (folder / "mydata.jsonl").write_bytes(ROWS)
    done = subprocess.run(
        [*command, text],
        cwd=folder,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "KEY": clouds.gateway.key},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_configuration_loads(section: str, tmp_path: Path) -> None:
    (snippet,) = snippets(section, "yaml")
    (tmp_path / "config.yaml").write_text(snippet)
    config = load_config(tmp_path / "config.yaml", {"OPENAI_API_KEY": "sk-x"})
    assert config.warnings == []
    assert [entry["custom_llm_provider"] for entry in yaml.safe_load(snippet)["files_settings"]] == [
        "openai",
        "bedrock",
        "vertex_ai",
    ]


def test_curl_uploads_once_and_copies(section: str, clouds: Clouds, tmp_path: Path) -> None:
    clouds.s3.put_object(Bucket=SOURCES, Key="path/to/mydata.jsonl", Body=ROWS)
    upload, copy = snippets(section, "sh")
    for snippet, places in ((upload, {"bedrock", "vertex_ai"}), (copy, {"vertex_ai"})):
        file = json.loads(run(["sh", "-ec"], clouds, tmp_path, snippet))
        assert {replica["provider"] for replica in file["replicas"]} == places
        assert (file["bytes"], file["filename"]) == (len(ROWS), "mydata.jsonl")


def test_the_sdk_does_what_is_printed(section: str, clouds: Clouds, tmp_path: Path) -> None:
    (snippet,) = snippets(section, "python")
    said = run([sys.executable, "-W", "ignore", "-c"], clouds, tmp_path, f"KEY = {clouds.gateway.key!r}\n{snippet}")
    assert "'bedrock'" in said.splitlines()[0]
    assert "openai-second" in said.splitlines()[0]
    assert str(ROWS) in said
