"""The configuration: one YAML file, typed, with the key's path in every complaint.

The file accepts the peer's keys (`model_list`, `files_settings`, `general_settings`, `os.environ/NAME`) so that a
LiteLLM config loads as it is; what mediagate does not use becomes a warning. Sections of our own are strict.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final, Self, TypeAlias

import yaml
from pydantic import BaseModel, Field, PrivateAttr, SecretStr, ValidationError, field_validator

from mediagate.config_batches import Batches
from mediagate.config_chat import Chat
from mediagate.config_chat_files import ChatFiles
from mediagate.config_guardrails import GuardrailEntry, guardrail_complaints, guardrail_warnings
from mediagate.config_handles import Handles
from mediagate.config_money import Budgets
from mediagate.config_routing import RouterSettings, routing_complaints
from mediagate.config_sections import GIB as GIB
from mediagate.config_sections import MIB as MIB
from mediagate.config_sections import (
    Archive,
    Copies,
    Files,
    GeneralSettings,
    Limits,
    LitellmSettings,
    Local,
    ModelEntry,
    Net,
    Server,
    Strict,
    Videos,
    Webhooks,
)
from mediagate.config_sections import FilesSettings as FilesSettings
from mediagate.config_sections import LitellmParams as LitellmParams
from mediagate.config_storage import RETENTION, Retention
from mediagate.config_telemetry import Telemetry

ENV_PREFIX: Final = "os.environ/"
PEERS_SETTINGS: Final = "litellm_settings"
DEFAULT_DATA_DIR: Final = ".mediagate"

PEER_SECTIONS: Final = frozenset(
    {
        "agents", "callback_settings", "credential_list", "environment_variables", "finetune_settings",
        "include", "mcp_servers", "mcp_tools", "policies", "prompts",
        "search_tools", "vector_store_registry",
    }
)  # fmt: skip
OPTION_PREFIXES: Final = ("aws_", "azure_", "fal_", "gcs_", "s3_", "vertex_")
OPTIONS: Final = frozenset(
    {
        "app_name",
        "audio_field",
        "client_id",
        "client_secret",
        "derive_by_create",
        "idempotent_submit",
        "kms_key_id",
        "max_parallel_requests",
        "media_hosts",
        "organization",
        "project",
        "send_dimensions",
        "site_url",
        "spool_dir",
        "tenant_id",
        "timeout",
    }
)
SECRET_NAME: Final = re.compile(r"key|secret|token|passw|credential", re.IGNORECASE)

KeyPath: TypeAlias = tuple[str | int, ...]


class ConfigError(Exception):
    """The configuration cannot be used. `complaints` holds one `key.path: sentence` for each thing that is wrong."""

    def __init__(self, source: str, complaints: list[str]) -> None:
        self.source = source
        self.complaints = complaints
        noun = "problem" if len(complaints) == 1 else "problems"
        super().__init__("\n  ".join([f"{source} has {len(complaints)} {noun}:", *complaints]))


def _local_video() -> list[ModelEntry]:
    return [ModelEntry(model_name="local-video", litellm_params=LitellmParams(model="local/local-video"))]


class Config(Strict):
    """mediagate's configuration. Any text may be `os.environ/NAME`: the value of that environment variable."""

    model_list: list[ModelEntry] = Field(
        default_factory=_local_video, description="Public models. Default: local-video."
    )
    files_settings: list[FilesSettings] = Field(default=[], description="Accounts that can store files.")
    general_settings: GeneralSettings = GeneralSettings()
    litellm_settings: LitellmSettings = LitellmSettings()
    router_settings: RouterSettings = RouterSettings()
    limits: Limits = Limits()
    videos: Videos = Videos()
    batches: Batches = Batches()
    archive: Archive = Archive()
    local: Local = Local()
    server: Server = Server()
    files: Files = Files()
    net: Net = Net()
    copies: Copies = Copies()
    webhooks: Webhooks = Webhooks()
    retention: Retention = Field(default={}, description=RETENTION)
    telemetry: Telemetry = Telemetry()
    budgets: Budgets = Budgets()
    guardrails: list[GuardrailEntry] = Field(
        default=[], description="What looks at prompts, pictures, finished videos and text files before they are taken."
    )
    handles: Handles = Handles()
    chat: Chat = Chat()
    chat_files: ChatFiles = ChatFiles()
    database_url: SecretStr | None = Field(
        default=None, description="PostgreSQL URL. `dev` starts its own without one."
    )

    _warnings: list[str] = PrivateAttr(default_factory=list)

    @field_validator("model_list")
    @classmethod
    def _never_empty(cls, entries: list[ModelEntry]) -> list[ModelEntry]:
        return entries or _local_video()

    @property
    def warnings(self) -> list[str]:
        """One `key.path: sentence` for each key that loads but has no effect."""
        return list(self._warnings)


@dataclass(frozen=True, slots=True)
class Settings:
    """What one process runs with. A flag beats the environment, which beats the config file."""

    data_dir: Path
    config_path: Path | None
    database_url: SecretStr | None
    master_key: SecretStr | None
    config: Config = field(default_factory=lambda: Config())

    ENVIRONMENT: ClassVar[Mapping[str, str]] = {
        "data_dir": "MEDIAGATE_DATA_DIR",
        "config_path": "MEDIAGATE_CONFIG",
        "database_url": "MEDIAGATE_DATABASE_URL",
        "master_key": "MEDIAGATE_MASTER_KEY",
    }

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ, flags: Mapping[str, str | None] | None = None) -> Self:
        """Resolve the settings and load the config file they name. An empty value counts as unset.

        `flags` has the keys of `ENVIRONMENT`. Raises `ConfigError`.
        """
        flags = flags or {}
        given = {name: flags.get(name) or environ.get(variable) for name, variable in cls.ENVIRONMENT.items()}
        path = Path(given["config_path"]).absolute() if given["config_path"] else None
        config = load_config(path, environ)
        general = config.general_settings
        return cls(
            data_dir=Path(given["data_dir"] or DEFAULT_DATA_DIR).expanduser().absolute(),
            config_path=path,
            database_url=_secret(given["database_url"]) or config.database_url or general.database_url,
            master_key=_secret(given["master_key"]) or general.master_key,
            config=config,
        )


def load_config(path: Path | str | None, environ: Mapping[str, str] = os.environ) -> Config:
    """Read, resolve and check one file; `None` gives the defaults. Raises `ConfigError` with every complaint."""
    if path is None:
        return Config()
    source = str(path)
    tree = _read(source)
    complaints, warnings = _split_unknown_sections(tree)
    unset = dict(_resolve_references(tree, environ, set()))
    for where, name in unset.items():
        complaints.append(f"{format_path(where)}: the environment variable {name} is not set")
    try:
        config = Config.model_validate(tree)
    except ValidationError as error:
        complaints += [_sentence(item) for item in error.errors(include_url=False) if tuple(item["loc"]) not in unset]
        raise ConfigError(source, complaints) from None
    complaints += guardrail_complaints(config.guardrails, config.model_list)
    warnings += guardrail_warnings(config.guardrails, config.model_list)
    complaints += routing_complaints(config.router_settings, config.model_list)
    if complaints:
        raise ConfigError(source, complaints)
    warnings += [_unused(where, near) for where, near in _unused_keys(config, ())]
    config._warnings.extend([*warnings, *config.router_settings.warnings()])
    return config


def format_path(path: KeyPath) -> str:
    """`('model_list', 0, 'model_name')` is written `model_list[0].model_name`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")


class _Loader(yaml.SafeLoader):
    """Safe YAML that refuses a key given twice, and leaves dates (`api_version: 2025-04-01`) and keys (`on: [prompt]`,
    which YAML 1.1 takes for `true: [prompt]`) as text."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.tag == "tag:yaml.org,2002:bool":
                key.tag = "tag:yaml.org,2002:str"
            if key.value in seen and key.value != "<<":
                problem = f"the key {key.value} is given twice"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _read(source: str) -> dict[str, Any]:
    try:
        tree = yaml.load(Path(source).read_bytes(), _Loader)  # noqa: S506 (a safe loader)
    except OSError as error:
        raise ConfigError(source, [f"the file cannot be read: {error.strerror}"]) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ConfigError(source, [f"{where}{error.problem or 'this is not YAML'}"]) from None
    except yaml.YAMLError as error:
        raise ConfigError(source, [f"this is not YAML: {str(error).splitlines()[0]}"]) from None
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise ConfigError(source, ["the file should hold keys such as model_list, not a single value or a list"])
    return tree


def _split_unknown_sections(tree: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Take what is not ours out of `tree`: complaints for what nobody knows, warnings for what the peer knows."""
    complaints: list[str] = []
    warnings: list[str] = []
    for key in [key for key in tree if key not in Config.model_fields]:
        del tree[key]
        if key in PEER_SECTIONS:
            warnings.append(_unused((key,), None))
        else:
            complaints.append(f"{key}: unknown key{_did_you_mean(str(key), Config.model_fields)}")
    for key in [key for key, value in tree.items() if value is None]:
        del tree[key]
    warnings += _split_peers_settings(tree)
    return complaints, warnings


def _split_peers_settings(tree: dict[str, Any]) -> list[str]:
    """Take what is not ours out of the peer's own section, before anybody looks for its environment variables."""
    section = tree.get(PEERS_SETTINGS)
    if section is None:
        return []
    if not isinstance(section, dict):
        del tree[PEERS_SETTINGS]
        return [_unused((PEERS_SETTINGS,), None)]
    unused = [key for key in section if key not in LitellmSettings.model_fields]
    # A copy: an anchor may stand for it elsewhere.
    tree[PEERS_SETTINGS] = {key: value for key, value in section.items() if key not in unused}
    return [_unused((PEERS_SETTINGS, key), None) for key in unused]


def _resolve_references(
    node: Any, environ: Mapping[str, str], seen: set[int], path: KeyPath = ()
) -> Iterator[tuple[KeyPath, str]]:
    """Replace each `os.environ/NAME` in place; yield path and name of those that are not set.

    YAML anchors make one node appear many times, inside itself even: `seen` holds the nodes already done.
    """
    if id(node) in seen:
        return
    seen.add(id(node))
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in list(items):
        if isinstance(value, str) and value.startswith(ENV_PREFIX):
            name = value.removeprefix(ENV_PREFIX)
            if name in environ:
                node[key] = environ[name]
            else:
                yield (*path, key), name
        else:
            yield from _resolve_references(value, environ, seen, (*path, key))
        if isinstance(key, str) and isinstance(node[key], str) and SECRET_NAME.search(key):
            node[key] = SecretStr(node[key])


def _sentence(item: Mapping[str, Any]) -> str:
    where: KeyPath = tuple(item["loc"])
    match item["type"]:
        case "missing":
            text = "this key is required"
        case "extra_forbidden":
            section = Config.model_fields[str(where[0])].annotation
            text = f"unknown key{_did_you_mean(str(where[-1]), getattr(section, 'model_fields', {}))}"
        case "string_type":
            text = "should be text; put the value in quotes"
        case "model_type" | "dict_type" | "model_attributes_type":
            text = "should hold keys, not a single value or a list"
        case "value_error":
            text = str(item["ctx"]["error"])
        case _:
            text = str(item["msg"])
    return f"{format_path(where)}: {text[0].lower()}{text[1:]}"


def is_option(key: str) -> bool:
    """Whether a key of an account is one that only its provider reads."""
    return key.startswith(OPTION_PREFIXES) or key in OPTIONS


def _unused_keys(model: BaseModel, path: KeyPath) -> Iterator[tuple[KeyPath, str | None]]:
    for key in model.model_extra or {}:
        if is_option(key) and isinstance(model, FilesSettings | LitellmParams):
            continue
        yield (*path, key), _did_you_mean(key, type(model).model_fields) or None
    for name in type(model).model_fields:
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            yield from _unused_keys(value, (*path, name))
        elif isinstance(value, list):
            for index, entry in enumerate(value):
                if isinstance(entry, BaseModel):
                    yield from _unused_keys(entry, (*path, name, index))


def _unused(path: KeyPath, near: str | None) -> str:
    return f"{format_path(path)}: is not used by mediagate{near or ''}"


def _did_you_mean(key: str, known: Mapping[str, object]) -> str:
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.7)
    return f", did you mean {near[0]}?" if near else ""


def _secret(value: str | None) -> SecretStr | None:
    return SecretStr(value) if value else None
