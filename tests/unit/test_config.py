"""The config: what loads, what warns, what is refused and with which key path."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mediagate.config import GIB, MIB, Config, ConfigError, Settings, format_path, load_config
from mediagate.routing.rules import RoutingRules, Strategy

ENVIRON = {"KEY": "sk-from-env", "SIZE": "1024", "URL": "postgresql://u:hidden@db/x"}


def load(tmp_path: Path, text: str) -> Config:
    file = tmp_path / "config.yaml"
    file.write_text(text)
    return load_config(file, ENVIRON)


def test_no_file_gives_the_defaults() -> None:
    config = load_config(None)
    assert [(entry.model_name, entry.litellm_params.model) for entry in config.model_list] == [
        ("local-video", "local/local-video")
    ]
    limits = config.limits
    assert (limits.file_bytes_max, limits.part_bytes_max, limits.upload_bytes_max) == (512 * MIB, 64 * MIB, 8 * GIB)
    assert (config.server.shutdown_s, config.server.drain_s, config.videos.keepalive_s) == (20.0, 1.0, 15.0)
    assert config.general_settings.cors_allowed_origins == []
    assert config.warnings == []


@pytest.mark.parametrize("text", ["", "model_list: []", "model_list:", "limits:\nserver: {}"])
def test_an_empty_section_is_its_default(tmp_path: Path, text: str) -> None:
    assert load(tmp_path, text) == Config()


def test_the_peers_file_loads_and_what_it_does_not_use_is_a_warning(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        """
        model_list:
          - model_name: sora-2
            litellm_params: {model: azure/sora-2, api_key: os.environ/KEY, api_version: 2025-04-01, rpm: 6, tpm: 9}
            model_info: {mode: video_generation, anything: [1, 2]}
            tpm: 5
        files_settings:
          - {custom_llm_provider: vertex_ai, bucket_name: b, retention_period: 30d, vertex_project: p}
        general_settings: {master_key: sk-1234, store_model_in_db: true, master_kye: x}
        litellm_settings: {callbacks: os.environ/NOT_SET}
        router_settings: {routing_strategy: usage-based-routing-v2, redis_host: r, num_retries: 1}
        """,
    )
    entry = config.model_list[0]
    assert entry.litellm_params.api_key is not None
    assert entry.litellm_params.api_key.get_secret_value() == "sk-from-env"
    assert entry.litellm_params.api_version == "2025-04-01"
    assert entry.litellm_params.rpm == 6
    assert entry.litellm_params.tpm == 9
    assert config.router_settings.rules == RoutingRules(num_retries=1)
    assert entry.model_info == {"mode": "video_generation", "anything": [1, 2]}
    assert config.files_settings[0].retention_period == 30
    assert config.warnings == [
        "litellm_settings.callbacks: is not used by mediagate",
        "model_list[0].tpm: is not used by mediagate",
        "general_settings.store_model_in_db: is not used by mediagate",
        "general_settings.master_kye: is not used by mediagate, did you mean master_key?",
        "router_settings.redis_host: is not used by mediagate",
        "router_settings.routing_strategy: usage-based-routing-v2 is not used by mediagate; "
        "deployments are chosen by simple-shuffle",
    ]


@pytest.mark.parametrize(
    ("text", "complaints"),
    [
        ("limts: {}", ["limts: unknown key, did you mean limits?"]),
        ("qwertz: 1", ["qwertz: unknown key"]),
        ("limits: {file_byte_max: 1}", ["limits.file_byte_max: unknown key, did you mean file_bytes_max?"]),
        ("limits: {part_bytes_max: 0}", ["limits.part_bytes_max: input should be greater than 0"]),
        (
            "limits: {file_bytes_max: big}",
            ["limits.file_bytes_max: input should be a valid integer, unable to parse string as an integer"],
        ),
        ("videos: {wait_s_max: .inf}", ["videos.wait_s_max: input should be a finite number"]),
        ("server: {api_processes: 0}", ["server.api_processes: input should be greater than or equal to 1"]),
        ("server: [1]", ["server: should hold keys, not a single value or a list"]),
        ("net: {allow_https: true}", ["net.allow_https: unknown key, did you mean allow_http?"]),
        ("net: {allowed_hosts: [a/b]}", ["net.allowed_hosts: a/b should be host or host:port"]),
        ("net: {ports: [443, 0]}", ["net.ports[1]: input should be greater than or equal to 1"]),
        ("copies: {https_hosts: ['*']}", ["copies.https_hosts: * should be host or host:port"]),
        (
            "copies: {sources: [bucket/x]}",
            ["copies.sources: bucket/x should be s3://bucket/prefix/ or gs://bucket/prefix/"],
        ),
        ("copies: {sources: ['s3://Bucket/']}", ["copies.sources: bucket is no name of a bucket"]),
        ("model_list: {}", ["model_list: input should be a valid list"]),
        ("model_list: [5]", ["model_list[0]: should hold keys, not a single value or a list"]),
        (
            "model_list: [{model_name: a, litellm_params: {model: a/b}}, {model_name: b, litellm_params: {}}]",
            ["model_list[1].litellm_params.model: this key is required"],
        ),
        (
            "model_list: [{litellm_params: {model: 7}}]",
            [
                "model_list[0].model_name: this key is required",
                "model_list[0].litellm_params.model: should be text; put the value in quotes",
            ],
        ),
        ("files_settings: [{bucket_name: b}]", ["files_settings[0].custom_llm_provider: this key is required"]),
        (
            "general_settings: {master_key: 1234}",
            ["general_settings.master_key: should be text; put the value in quotes"],
        ),
        ("general_settings: {master_key: ''}", ["general_settings.master_key: must not be empty"]),
        (
            "general_settings: {master_key: os.environ/NOT_SET}",
            ["general_settings.master_key: the environment variable NOT_SET is not set"],
        ),
        (
            "limits: {file_bytes_max: os.environ/NOT_SET}",
            ["limits.file_bytes_max: the environment variable NOT_SET is not set"],
        ),
        (
            "model_list: [{model_name: a, litellm_params: {model: a/b, deep: {list: [os.environ/NOT_SET]}}}]",
            ["model_list[0].litellm_params.deep.list[0]: the environment variable NOT_SET is not set"],
        ),
        (
            "model_list: [{model_name: a, litellm_params: {model: a/b}, model_info: {sizes: [big]}}]",
            ['model_list[0].model_info: sizes is not right: [\'big\']; write it like ["1280x720", "720x1280"]'],
        ),
        (
            "model_list: [{model_name: a, litellm_params: {model: a/b}, model_info: {supports_responses: 1}}]",
            ["model_list[0].model_info: supports_responses is true or false, not 1"],
        ),
        (
            "model_list: [{model_name: a, litellm_params: {model: a/b}, model_info: {operations: [create, fly]}}]",
            ["model_list[0].model_info: operations is not right: ['create', 'fly']; write it like [create, remix]"],
        ),
        (
            "router_settings: {routing_strategy: fastest}",
            [
                "router_settings.routing_strategy: 'fastest' is no strategy; there are simple-shuffle, least-busy, "
                "lowest-cost, latency, latency-based-routing, cost-based-routing"
            ],
        ),
        (
            "router_settings: {fallbacks: [{local-video: [gone, local-video]}, {gone: [local-video]}]}",
            [
                "router_settings.fallbacks[0].local-video: 'gone' is none of the models local-video",
                "router_settings.fallbacks[0].local-video: 'local-video' cannot fall back to itself",
                "router_settings.fallbacks[1].gone: 'gone' is none of the models local-video",
            ],
        ),
        (
            "router_settings: {default_fallbacks: [gone]}",
            ["router_settings.default_fallbacks: 'gone' is none of the models local-video"],
        ),
        (
            "router_settings: {cooldown_time: .inf}",
            ["router_settings.cooldown_time: input should be a finite number"],
        ),
        (
            "model_list: [{model_name: a, litellm_params: {model: a/b, weight: .nan, rpm: 0}}]",
            [
                "model_list[0].litellm_params.weight: input should be a finite number",
                "model_list[0].litellm_params.rpm: input should be greater than or equal to 1",
            ],
        ),
        (
            "model_list: [{model_name: a, litellm_params: {model: a/b}, model_info: {id: x}}, "
            "{model_name: b, litellm_params: {model: a/b}, model_info: {id: x}}]",
            ["model_list[1].model_info.id: 'x' is the id of model_list[0] too"],
        ),
        ("model_list: []\nmodel_list: []", ["line 2, column 1: the key model_list is given twice"]),
        ("limits: [a\nserver: b", ["line 2, column 7: expected ',' or ']', but got ':'"]),
        ("\tlimits: {}", ["line 1, column 1: found character '\\t' that cannot start any token"]),
        ("a: \0", ["this is not YAML: unacceptable character #x0000: special characters are not allowed"]),
        ("- a", ["the file should hold keys such as model_list, not a single value or a list"]),
        ("text", ["the file should hold keys such as model_list, not a single value or a list"]),
    ],
)
def test_every_complaint_has_its_key_path(tmp_path: Path, text: str, complaints: list[str]) -> None:
    with pytest.raises(ConfigError) as refused:
        load(tmp_path, text)
    assert refused.value.complaints == complaints


def test_all_complaints_come_at_once_in_one_text(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        load(tmp_path, "limts: {}\nlimits: {a: 1, part_bytes_max: -1}\nserver: {drain_s: os.environ/NOT_SET}")
    assert str(refused.value).splitlines() == [
        f"{tmp_path / 'config.yaml'} has 4 problems:",
        "  limts: unknown key, did you mean limits?",
        "  server.drain_s: the environment variable NOT_SET is not set",
        "  limits.part_bytes_max: input should be greater than 0",
        "  limits.a: unknown key",
    ]


@pytest.mark.parametrize("path", ["missing.yaml", "."])
def test_a_file_that_cannot_be_read_is_a_complaint(tmp_path: Path, path: str) -> None:
    with pytest.raises(ConfigError, match="the file cannot be read"):
        load_config(tmp_path / path)


def test_references_are_resolved_anywhere_and_typed_where_they_land(tmp_path: Path) -> None:
    config = load(tmp_path, "limits: {file_bytes_max: os.environ/SIZE}\ndatabase_url: os.environ/URL")
    assert config.limits.file_bytes_max == 1024
    assert config.database_url is not None
    assert config.database_url.get_secret_value() == ENVIRON["URL"]


def test_a_key_that_is_a_truth_in_old_yaml_is_text(tmp_path: Path) -> None:
    entry = "{guardrail_name: a, litellm_params: {guardrail: patterns, words: [x], on: [prompt], default_on: yes}}"
    (guardrail,) = load(tmp_path, f"guardrails: [{entry}]").guardrails
    assert guardrail.litellm_params.default_on
    assert list(guardrail.litellm_params.on or ()) == ["prompt"]


def test_an_anchor_that_holds_itself_ends(tmp_path: Path) -> None:
    assert load(tmp_path, "litellm_settings: &a [*a]\ngeneral_settings: {x: &b {y: *b}}").warnings


def test_no_secret_shows(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        """
        model_list:
          - model_name: a
            litellm_params: {model: a/b, api_key: hidden-1, aws_secret_access_key: hidden-2, extra: {token: hidden-3}}
        files_settings: [{custom_llm_provider: a, api_key: hidden-4, vertex_credentials: hidden-5}]
        general_settings: {master_key: hidden-6, database_url: "postgresql://u:hidden-7@h/d", other_key: hidden-8}
        database_url: os.environ/URL
        """,
    )
    shown = repr(config) + str(config) + config.model_dump_json() + repr(config.warnings)
    assert "hidden" not in shown
    kept = config.model_list[0].litellm_params.model_extra
    assert kept is not None
    assert kept["aws_secret_access_key"].get_secret_value() == "hidden-2"


def test_a_complaint_does_not_repeat_the_value(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        load(tmp_path, "general_settings: {master_key: [hidden]}\ndatabase_url: {hidden: hidden}")
    assert "hidden" not in str(refused.value)


def test_the_schema_describes_every_key() -> None:
    schema = Config.model_json_schema()
    for name, section in schema["$defs"].items():
        for key, value in section["properties"].items():
            described = "description" in value or "$ref" in value
            assert described, f"{name}.{key} has no description"
    assert schema["$defs"]["Limits"]["additionalProperties"] is False
    json.dumps(schema)


@pytest.mark.parametrize(
    ("path", "text"),
    [((), ""), (("a",), "a"), (("a", 0, "b", "c"), "a[0].b.c"), (("a", 1, 2), "a[1][2]")],
)
def test_paths_read_like_code(path: tuple[str | int, ...], text: str) -> None:
    assert format_path(path) == text


@pytest.mark.parametrize(
    ("flag", "variable", "in_file", "key"),
    [
        ("flag", "variable", "file", "flag"),
        (None, "variable", "file", "variable"),
        (None, None, "file", "file"),
        ("", "", "file", "file"),
        (None, None, None, None),
    ],
)
def test_a_flag_beats_the_environment_and_that_the_file(
    tmp_path: Path, flag: str | None, variable: str | None, in_file: str | None, key: str | None
) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(f"general_settings: {{master_key: {in_file}}}" if in_file else "")
    environ = {"MEDIAGATE_CONFIG": str(file)} | ({"MEDIAGATE_MASTER_KEY": variable} if variable is not None else {})
    settings = Settings.from_env(environ, {"master_key": flag})
    assert (settings.master_key.get_secret_value() if settings.master_key else None) == key


def test_paths_become_absolute_and_the_peers_database_url_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("c.yaml").write_text("general_settings: {database_url: postgresql://u:hidden@peer/d}")
    settings = Settings.from_env({"MEDIAGATE_CONFIG": "c.yaml"})
    assert settings.data_dir == tmp_path / ".mediagate"
    assert settings.config_path == tmp_path / "c.yaml"
    assert settings.database_url is not None
    assert settings.database_url.get_secret_value().endswith("@peer/d")
    assert "hidden" not in repr(settings)


@pytest.mark.parametrize(
    ("name", "strategy"),
    [
        ("simple-shuffle", Strategy.SIMPLE_SHUFFLE),
        ("least-busy", Strategy.LEAST_BUSY),
        ("cost-based-routing", Strategy.LOWEST_COST),
        ("lowest-cost", Strategy.LOWEST_COST),
        ("latency-based-routing", Strategy.LATENCY),
        ("latency", Strategy.LATENCY),
    ],
)
def test_a_strategy_has_the_peers_name_and_a_plain_one(tmp_path: Path, name: str, strategy: Strategy) -> None:
    config = load(tmp_path, f"router_settings: {{routing_strategy: {name}}}")
    assert config.router_settings.rules.strategy is strategy
    assert config.warnings == []


def test_fallbacks_are_the_peers_list_of_one_group_each(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        """
        model_list:
          - {model_name: a, litellm_params: {model: x/a}}
          - {model_name: b, litellm_params: {model: x/b}}
          - {model_name: "c/*", litellm_params: {model: "x/*"}}
        router_settings:
          fallbacks: [{a: [b]}, {a: [c/one]}, {c/two: [a]}, {"*": [b]}]
          default_fallbacks: [a]
        """,
    )
    rules = config.router_settings.rules
    assert rules.fallbacks_of("a") == ("b", "c/one")
    assert rules.fallbacks_of("c/two") == ("a",)
    assert rules.fallbacks_of("b") == ("a",)
    assert rules.fallbacks_of("c/three") == ("b", "a")
