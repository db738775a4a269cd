"""The section `guardrails`: the peer's shape, and every complaint with its key path."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from mediagate.config import Config, ConfigError, Settings, load_config
from mediagate.core.guardrails import Stage
from mediagate.guards import build_guardrails


def load(tmp_path: Path, *entries: Any, models: Any = None) -> Config:
    file = tmp_path / "config.yaml"
    tree = {"guardrails": list(entries), **({"model_list": models} if models else {})}
    file.write_text(yaml.safe_dump(tree, allow_unicode=True))
    return load_config(file, {"OPENAI_API_KEY": "sk-env"})


def entry(kind: str = "patterns", name: str = "x", **params: Any) -> dict[str, Any]:
    return {"guardrail_name": name, "litellm_params": {"guardrail": kind, **params}}


def settings(tmp_path: Path, config: Config) -> Settings:
    return Settings(data_dir=tmp_path, config_path=None, database_url=None, master_key=None, config=config)


PEERS = """
guardrails:
  - guardrail_name: "openai-moderation-pre"
    litellm_params:
      guardrail: openai_moderation
      mode: "pre_call"
      api_key: os.environ/OPENAI_API_KEY
      model: "omni-moderation-latest"
      api_base: "https://api.openai.com/v1"
      default_on: true
    guardrail_info: {params: [{name: x}]}
  - guardrail_name: post
    litellm_params: {guardrail: openai_moderation, mode: [during_call, post_call]}
"""


def test_the_peers_section_loads(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(PEERS)
    config = load_config(file, {"OPENAI_API_KEY": "sk-env"})
    assert config.warnings == []
    first, second = config.guardrails
    assert first.litellm_params.api_key is not None
    assert first.litellm_params.api_key.get_secret_value() == "sk-env"
    assert "sk-env" not in repr(config)
    assert first.litellm_params.stages == ("prompt", "image")
    assert second.litellm_params.stages == ("prompt", "image", "thumbnail", "answer")
    built = build_guardrails(settings(tmp_path, config), {"OPENAI_API_KEY": "sk-env"})
    assert [(rule.name, rule.default_on, rule.blocks_unjudged) for rule in built.rules] == [
        ("openai-moderation-pre", True, True),
        ("post", False, True),
    ]


def test_defaults_and_models(tmp_path: Path) -> None:
    models = [{"model_name": "m", "litellm_params": {"model": "local/local-video", "guardrails": ["b"]}}]
    config = load(
        tmp_path,
        entry(words=["a"], models=["m*"]),
        entry(name="b", words=["a"]),
        entry("grpc", "c", address="127.0.0.1:1", models=["m"], default_on=False, on=["thumbnail"]),
        models=models,
    )
    built = build_guardrails(settings(tmp_path, config), {})
    a, b, c = built.rules
    assert (a.stages, a.default_on, a.models) == (frozenset({Stage.PROMPT}), True, ("m*",))
    assert (b.default_on, c.default_on, c.stages) == (False, False, frozenset({Stage.THUMBNAIL}))
    assert [rule.name for rule in built.chain(Stage.PROMPT, models=["m"])] == ["x", "b"]


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        (
            entry("presidio"),
            "guardrails[0].litellm_params.guardrail: 'presidio' is none of patterns, openai_moderation",
        ),
        (entry(), "guardrails[0].litellm_params: needs 'words' or 'patterns'"),
        (entry(words=["a"], defualt_on=True), "guardrails[0].litellm_params.defualt_on: unknown key"),
        (entry(words=["a"], mode="pre_mcp_call"), "guardrails[0].litellm_params.mode: 'pre_mcp_call' is none of"),
        (entry(words=["a"], on=["answer", "thumbnail"]), "patterns read text alone"),
        (entry(words=["a"], on=["answer"], on_stream="sometimes"), "guardrails[0].litellm_params.on_stream"),
        (entry(words=["a"], on=["image"]), "patterns read text alone"),
        (entry(words=["a"], on=[]), "guardrails[0].litellm_params.on: "),
        (entry(words=["a"], on=["prompts"]), "guardrails[0].litellm_params.on[0]: "),
        (entry(words=["a", "\u200b"]), "guardrails[0].litellm_params.words[1]: holds nothing that is seen"),
        (entry(patterns=["a", "(?=b)c"]), "guardrails[0].litellm_params.patterns[1]: is no pattern of RE2"),
        (entry(patterns=["x*"]), "guardrails[0].litellm_params.patterns[0]: matches the empty text"),
        (entry(words=["a"], api_key="k"), "'api_key' is no key of a guardrail of kind 'patterns'"),
        (entry(words=["a"], timeout_s=0), "guardrails[0].litellm_params.timeout_s: "),
        (entry(words=["a"], timeout_s=float("nan")), "guardrails[0].litellm_params.timeout_s: "),
        (entry(words=["a"], on_error="open"), "guardrails[0].litellm_params.on_error: "),
        (entry(words=["a"], on=["prompt", "text_file"], models=["m"]), "'models' leaves out every text_file"),
        (entry("grpc"), "guardrails[0].litellm_params: needs 'address'"),
        (entry("grpc", address="nowhere"), "guardrails[0].litellm_params.address: "),
        (entry("grpc", address="a:1", ca_file="/nothing", tls=True), "guardrails[0].litellm_params.ca_file: "),
        (entry("openai_moderation", thresholds={"hate": 2}), "guardrails[0].litellm_params.thresholds.hate: "),
        (entry("openai_moderation", api_base="ftp://x"), "guardrails[0].litellm_params.api_base: "),
        (entry(name="a b", words=["a"]), "guardrails[0].guardrail_name: "),
    ],
)
def test_a_complaint_names_its_key(tmp_path: Path, given: Any, complaint: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load(tmp_path, given)
    assert any(complaint in line for line in raised.value.complaints), raised.value.complaints


def test_names_are_unique_and_known(tmp_path: Path) -> None:
    models = [{"model_name": "m", "litellm_params": {"model": "local/local-video", "guardrails": ["x", "y"]}}]
    with pytest.raises(ConfigError) as raised:
        load(tmp_path, entry(words=["a"]), entry(words=["a"]), models=models)
    assert raised.value.complaints == [
        "guardrails[1].guardrail_name: 'x' is the name of guardrails[0] already",
        "model_list[0].litellm_params.guardrails[1]: there is no guardrail 'y'",
    ]


def test_a_model_that_nobody_serves_is_a_warning(tmp_path: Path) -> None:
    config = load(tmp_path, entry(words=["a"], models=["local-*", "sora-2"]))
    assert config.warnings == ["guardrails[0].litellm_params.models[1]: no model has the name 'sora-2'"]


def test_openais_endpoint_needs_a_key(tmp_path: Path) -> None:
    config = load(tmp_path, entry("openai_moderation"))
    with pytest.raises(ConfigError, match=r"guardrails\[0\]\.litellm_params\.api_key"):
        build_guardrails(settings(tmp_path, config), {})
    assert build_guardrails(settings(tmp_path, config), {"OPENAI_API_KEY": "k"}).rules
