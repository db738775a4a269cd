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
from typing import Annotated, Any, ClassVar, Final, Self, TypeAlias

import yaml
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, SecretStr, ValidationError, field_validator

MIB: Final = 1024**2
GIB: Final = 1024**3
ENV_PREFIX: Final = "os.environ/"
DEFAULT_DATA_DIR: Final = ".mediagate"

PEER_SECTIONS: Final = frozenset(
    {
        "agents", "callback_settings", "credential_list", "environment_variables", "finetune_settings", "guardrails",
        "include", "litellm_settings", "mcp_servers", "mcp_tools", "policies", "prompts", "router_settings",
        "search_tools", "vector_store_registry",
    }
)  # fmt: skip
OPTION_PREFIXES: Final = ("aws_", "azure_", "gcs_", "s3_", "vertex_")
OPTIONS: Final = frozenset(
    {"client_id", "client_secret", "organization", "project", "spool_dir", "tenant_id", "timeout"}
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


class _Strict(BaseModel):
    """A section of our own: an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class _Peer(BaseModel):
    """A section in the peer's shape: unknown keys are kept in `model_extra`, reported as warnings, hidden in repr."""

    model_config = ConfigDict(extra="allow", frozen=True, protected_namespaces=())

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        return ((name, getattr(self, name)) for name in type(self).model_fields)


class LitellmParams(_Peer):
    """How one deployment of a model is reached."""

    model: str = Field(min_length=1, description="Provider and its model, as `provider/model`: `local/local-video`.")
    custom_llm_provider: str | None = Field(default=None, description="Provider, where `model` does not name it.")
    api_key: SecretStr | None = Field(default=None, description="The account's key.")
    api_base: str | None = Field(default=None, description="Base URL of the provider, where it is not the public one.")
    api_version: str | None = Field(default=None, description="API version that the provider asks for (Azure).")
    bucket_name: str | None = Field(default=None, description="Bucket, for stores that have buckets.")
    account: str | None = Field(default=None, min_length=1, description="Name of the account, where it needs one.")


class ModelEntry(_Peer):
    """One deployment under a public model name. Entries that share a name form a group."""

    model_name: str = Field(min_length=1, description="The name that clients send as `model`.")
    litellm_params: LitellmParams
    model_info: dict[str, Any] = Field(default_factory=dict, description="Free notes about the deployment.")


class FilesSettings(_Peer):
    """One account that can store files."""

    custom_llm_provider: str = Field(min_length=1, description="Provider of the store: `local`, `openai`, ...")
    api_key: SecretStr | None = Field(default=None, description="The account's key.")
    api_base: str | None = Field(default=None, description="Base URL of the provider, where it is not the public one.")
    api_version: str | None = Field(default=None, description="API version that the provider asks for (Azure).")
    bucket_name: str | None = Field(default=None, description="Bucket, for stores that have buckets.")
    retention_period: int | None = Field(
        default=None, ge=1, le=36_500, description="The store keeps a file this long, days. Default: until deleted."
    )
    account: str | None = Field(
        default=None,
        min_length=1,
        max_length=64,
        pattern=r"^[A-Za-z0-9._-]+$",
        description="Name of the account, by which callers and rows refer to it. Default: the provider's.",
    )
    prefix: str = Field(
        default="mediagate",
        pattern=r"^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*$",
        description="What the names of all objects in the bucket begin with.",
    )

    @field_validator("retention_period", mode="before")
    @classmethod
    def _days(cls, value: Any) -> Any:
        """`7`, `"7"`, `"7d"` and `"7 days"` are the same."""
        match = re.fullmatch(r"\s*(\d{1,6})\s*(?:d|days?)?\s*", value) if isinstance(value, str) else None
        return int(match[1]) if match else value


class GeneralSettings(_Peer):
    """What concerns the gateway as a whole."""

    master_key: SecretStr | None = Field(default=None, description="The key that may do everything; any text.")
    database_url: SecretStr | None = Field(
        default=None, description="PostgreSQL URL; the top-level `database_url` beats it."
    )
    cors_allowed_origins: list[str] = Field(
        default=[], description="Origins browsers may call from; `*` for all. Default none."
    )
    diagnostics: bool = Field(
        default=False, description="Serve DiagnosticsService, whose calls measure the server itself."
    )

    @field_validator("master_key")
    @classmethod
    def _not_empty(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value():
            raise ValueError("must not be empty")
        return value


class Limits(_Strict):
    """Bounds for one request. Sizes are bytes (1 MiB = 1048576), waits are seconds."""

    file_bytes_max: int = Field(default=512 * MIB, gt=0, description="Largest file, bytes.")
    jsonl_bytes_max: int = Field(
        default=200 * MIB, gt=0, description="Largest .jsonl file with purpose `batch`, bytes."
    )
    part_bytes_max: int = Field(default=64 * MIB, gt=0, description="Largest part of an upload, bytes.")
    upload_bytes_max: int = Field(default=8 * GIB, gt=0, description="Largest upload in parts, bytes.")
    upload_lifetime_s: float = Field(
        default=3600, gt=0, description="An upload in parts expires this long after its creation, s."
    )
    form_fields_max: int = Field(default=64, gt=0, description="Most fields of one multipart form.")
    form_field_bytes_max: int = Field(default=22 * MIB, gt=0, description="Largest field that is not a file, bytes.")
    input_image_bytes_max: int = Field(default=20 * MIB, gt=0, description="Largest picture given to a video, bytes.")
    upload_idle_s: float = Field(
        default=60, gt=0, description="A request body that stands still this long is cut off, s."
    )
    request_s: float = Field(
        default=60, gt=0, description="Longest a call without file content or a watch may take, s."
    )


class Videos(_Strict):
    """How videos are followed."""

    deadline_s: float | None = Field(
        default=None, gt=0, description="A video not done by then fails, s. Default: the provider's."
    )
    poll_interval_s: float | None = Field(
        default=None, gt=0, description="Time between polls, s. Default: the provider's."
    )
    keepalive_s: float = Field(default=15.0, gt=0, description="A quiet watch says something this often, s.")
    wait_s_max: float = Field(default=60.0, gt=0, description="Longest long poll, s.")


class Local(_Strict):
    """The `local` providers: files on this machine's disk, videos rendered by this machine."""

    parallel_renders: int = Field(default=1, ge=1, description="Videos rendered at the same time.")
    fsync: bool = Field(default=True, description="Flush a file to the disk before it is acknowledged.")


class Server(_Strict):
    """The processes of one machine."""

    api_processes: int = Field(default=1, ge=1, le=128, description="gRPC server processes.")
    shutdown_s: float = Field(
        default=20.0, ge=0, description="Running requests may take this long to finish at shutdown, s."
    )
    drain_s: float = Field(
        default=1.0, ge=0, description="Readiness is down this long before new requests are refused, s."
    )
    envoy_concurrency: int = Field(default=2, ge=1, le=256, description="Envoy's worker threads.")


def _checked_hosts(hosts: list[str]) -> list[str]:
    if hosts:
        # Only here: the shell and the supervisor read a configuration too, and the parser costs them 40 ms (measured).
        from mediagate.net.urls import allowed_host

        for host in hosts:
            allowed_host(host)
    return hosts


class Files(_Strict):
    """Where files go, and how their stores are looked after."""

    default: list[str] = Field(
        default=[], description="Providers or accounts that keep a file for which none is named. Default: local."
    )
    scratch: str = Field(
        default="local",
        description="Account for bytes on their way: parts of uploads, inputs of videos. With API servers on several "
        "machines it must be one that all of them reach.",
    )
    prefix: str = Field(
        default="mediagate", description="What the names of objects in the buckets of `model_list` begin with."
    )
    copy_bytes_max: int = Field(default=64 * GIB, gt=0, description="Largest source of a copy, bytes.")
    orphan_grace_s: float = Field(
        default=60.0, ge=1, description="An object that no row knows is removed when it is this old, s."
    )


class Net(_Strict):
    """Fetching what lies behind a URL that a caller gives."""

    allowed_hosts: list[str] = Field(
        default=[],
        description="Hosts that may lie in a private network, as `host` or `host:port`, exactly. Default none.",
    )
    allow_http: bool = Field(default=False, description="Fetch http:// URLs too, which nothing protects on their way.")
    ports: list[Annotated[int, Field(ge=1, le=65535)]] = Field(
        default=[80, 443], description="Ports of hosts that are not listed with one."
    )
    bytes_max: int = Field(default=512 * MIB, gt=0, description="Largest content, bytes.")
    connect_s: float = Field(default=10, gt=0, description="Longest look-up of a name, and longest connecting, s.")
    silence_s: float = Field(default=30, gt=0, description="A server that says nothing this long is given up, s.")
    whole_s: float = Field(default=300, gt=0, description="Longest a fetch may take as a whole, s.")

    @field_validator("allowed_hosts")
    @classmethod
    def _hosts(cls, hosts: list[str]) -> list[str]:
        return _checked_hosts(hosts)


class Copies(_Strict):
    """Where files may be copied from, beside the caller's own files."""

    sources: list[str] = Field(
        default=[],
        description="Buckets and prefixes that everybody may copy from: `s3://bucket/prefix/`, `gs://bucket/`; a "
        "prefix ends at a slash. Default none.",
    )
    https_hosts: list[str] | None = Field(
        default=None,
        description="Hosts that https:// sources may name, exactly. Default: every host on the public internet.",
    )

    @field_validator("sources")
    @classmethod
    def _prefixes(cls, prefixes: list[str]) -> list[str]:
        if prefixes:
            from mediagate.routing.sources import source_prefix

            for prefix in prefixes:
                source_prefix(prefix)
        return prefixes

    @field_validator("https_hosts")
    @classmethod
    def _hosts(cls, hosts: list[str] | None) -> list[str] | None:
        return hosts and _checked_hosts(hosts)


def _local_video() -> list[ModelEntry]:
    return [ModelEntry(model_name="local-video", litellm_params=LitellmParams(model="local/local-video"))]


class Config(_Strict):
    """mediagate's configuration. Any text may be `os.environ/NAME`: the value of that environment variable."""

    model_list: list[ModelEntry] = Field(
        default_factory=_local_video, description="Public models. Default: local-video."
    )
    files_settings: list[FilesSettings] = Field(default=[], description="Accounts that can store files.")
    general_settings: GeneralSettings = GeneralSettings()
    limits: Limits = Limits()
    videos: Videos = Videos()
    local: Local = Local()
    server: Server = Server()
    files: Files = Files()
    net: Net = Net()
    copies: Copies = Copies()
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
    if complaints:
        raise ConfigError(source, complaints)
    config._warnings.extend(warnings + [_unused(where, near) for where, near in _unused_keys(config, ())])
    return config


def format_path(path: KeyPath) -> str:
    """`('model_list', 0, 'model_name')` is written `model_list[0].model_name`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")


class _Loader(yaml.SafeLoader):
    """Safe YAML that refuses a key given twice and leaves dates (`api_version: 2025-04-01`) as text."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
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
    return complaints, warnings


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
