"""The sections of the configuration, one model each. Ours are strict; those in the peer's shape take more.

Every limit bears its unit in its name and is described for `mediagate check-config --schema`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from mediagate.config_storage import Labelled

MIB: Final = 1024**2
GIB: Final = 1024**3


class Strict(BaseModel):
    """A section of our own: an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Peer(BaseModel):
    """A section in the peer's shape: unknown keys are kept in `model_extra`, reported as warnings, hidden in repr."""

    model_config = ConfigDict(extra="allow", frozen=True, protected_namespaces=())

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        return ((name, getattr(self, name)) for name in type(self).model_fields)


class LitellmParams(Labelled, Peer):
    """How one deployment of a model is reached."""

    model: str = Field(min_length=1, description="Provider and its model, as `provider/model`: `local/local-video`.")
    custom_llm_provider: str | None = Field(default=None, description="Provider, where `model` does not name it.")
    api_key: SecretStr | None = Field(default=None, description="The account's key.")
    api_base: str | None = Field(default=None, description="Base URL of the provider, where it is not the public one.")
    api_version: str | None = Field(default=None, description="API version that the provider asks for (Azure).")
    bucket_name: str | None = Field(default=None, description="Bucket, for stores that have buckets.")
    account: str | None = Field(default=None, min_length=1, description="Name of the account, where it needs one.")
    guardrails: list[str] = Field(default=[], description="Guardrails that look at every request for this model.")
    weight: float | None = Field(
        default=None,
        ge=0,
        le=1_000_000,
        allow_inf_nan=False,
        description="Share of the deployment among those of its model. Default 1; 0 serves only where no other can.",
    )
    order: int | None = Field(
        default=None, ge=-1_000_000, le=1_000_000, description="Deployments with a lower number are asked first."
    )
    rpm: int | None = Field(
        default=None, ge=1, le=1_000_000, description="Most submits or chats of the deployment within any minute."
    )
    tpm: int | None = Field(
        default=None, ge=1, le=1_000_000_000, description="Most tokens of the deployment's chats within any minute."
    )
    max_parallel_requests: int | None = Field(
        default=None, ge=1, le=1_000_000, description="Most videos or chats that the deployment has at the same time."
    )
    drop_params: bool | None = Field(
        default=None,
        description="Leave out the settings of a chat that the provider has no word for, in place of an error. "
        "Default: `litellm_settings.drop_params`.",
    )


_SIZE: Final = re.compile(r"[1-9]\d{1,4}x[1-9]\d{1,4}")
_SECONDS: Final = re.compile(r"[1-9]\d{0,3}")
_VIDEO_INFO: Final = {
    "sizes": _SIZE,
    "default_size": _SIZE,
    "seconds": _SECONDS,
    "default_seconds": _SECONDS,
    "inputs": re.compile("text|image|video"),
    "operations": re.compile("create|remix|edit|extend"),
    "audio": re.compile("never|always|optional"),
    "characters": re.compile(r"\d{1,2}"),
}
_LABELS: Final = ("region", "zero_retention", "labels")
_EXAMPLES: Final = {
    "sizes": '["1280x720", "720x1280"]',
    "default_size": "1280x720",
    "seconds": "[4, 8]",
    "default_seconds": "8",
    "inputs": "[text, image]",
    "operations": "[create, remix]",
    "audio": "optional",
    "characters": "2",
}


class ModelEntry(Peer):
    """One deployment under a public model name. Entries that share a name form a group."""

    model_name: str = Field(min_length=1, description="The name that clients send as `model`.")
    litellm_params: LitellmParams
    model_info: dict[str, Any] = Field(
        default_factory=dict,
        description="What the deployment can make (`mode: video_generation`, `sizes`, `default_size`, `seconds`, "
        "`default_seconds`, `inputs`, `operations`, `audio`, `characters`), whether its server has a Responses API "
        "(`supports_responses`, or `/v1/responses` among `supported_endpoints`), and what it costs, in US dollars; "
        "other members are free notes. `region`, `zero_retention` and `labels` say the same as in `litellm_params`.",
    )

    def told_labels(self) -> dict[str, str]:
        """What the entry says its account is like. Raises `ValueError` for a label that is none."""
        given = {name: self.model_info[name] for name in _LABELS if self.model_info.get(name) is not None}
        return {**Labelled.model_validate(given).told_labels(), **self.litellm_params.told_labels()}

    @field_validator("model_info")
    @classmethod
    def _labels(cls, info: dict[str, Any]) -> dict[str, Any]:
        Labelled.model_validate({name: info[name] for name in _LABELS if info.get(name) is not None})
        return info

    @field_validator("model_info")
    @classmethod
    def _abilities(cls, info: dict[str, Any]) -> dict[str, Any]:
        for name, right in _VIDEO_INFO.items():
            given = info.get(name)
            values = given if isinstance(given, list) else [] if given is None else [given]
            if given == [] or not all(right.fullmatch(str(value)) for value in values):
                raise ValueError(f"{name} is not right: {given!r}; write it like {_EXAMPLES[name]}")
        return info

    @field_validator("model_info")
    @classmethod
    def _dialects(cls, info: dict[str, Any]) -> dict[str, Any]:
        if not isinstance(info.get("supports_responses", True), bool):
            raise ValueError(f"supports_responses is true or false, not {info['supports_responses']!r}")
        if not isinstance(info.get("supported_endpoints") or [], list):
            raise ValueError('supported_endpoints is a list, such as ["/v1/chat/completions", "/v1/responses"]')
        return info

    @field_validator("model_info")
    @classmethod
    def _prices(cls, info: dict[str, Any]) -> dict[str, Any]:
        if info:
            from mediagate.pricing.rates import rates_in
            from mediagate.pricing.token_prices import own_tokens

            rates_in(info)
            own_tokens(info)
        return info


class FilesSettings(Labelled, Peer):
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


class LitellmSettings(Peer):
    """What concerns every chat."""

    drop_params: bool = Field(
        default=False,
        description="Leave out the settings of a chat that its provider has no word for, in place of an error.",
    )


class GeneralSettings(Peer):
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


class Limits(Strict):
    """Bounds for one request, and for how many there are. Sizes are bytes (1 MiB = 1048576), waits are seconds."""

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
        default=60,
        gt=0,
        le=70,
        description="Longest a call without content and without a wait may take, s. The edge waits 75 s.",
    )
    requests_in_flight_max: int | None = Field(
        default=1000,
        ge=1,
        description="Most requests, uploads and downloads that one server process works on at a time; more are refused "
        "with 503. Watching, readiness and administration do not count. null is no limit.",
    )


class Videos(Strict):
    """How videos are followed."""

    deadline_s: float | None = Field(
        default=None, gt=0, description="A video not done by then fails, s. Default: the provider's."
    )
    poll_interval_s: float | None = Field(
        default=None, gt=0, description="Time between polls, s. Default: the provider's."
    )
    keepalive_s: float = Field(default=15.0, gt=0, description="A quiet watch says something this often, s.")
    wait_s_max: float = Field(default=60.0, gt=0, description="Longest long poll, s.")
    callback_base: str | None = Field(
        default=None,
        pattern=r"^https?://[^/?#\s]+(/[^?#\s]*)?$",
        description="Where providers reach this gateway, such as `https://gateway.example.com`: those that can then "
        "say when a video is done, and nobody waits for the next poll. Default: only polls.",
    )


class Archive(Strict):
    """Copies of finished videos, so that they outlive the links of their providers."""

    store: str | None = Field(
        default=None, description="Provider or account that keeps a copy of every finished video. Default: none does."
    )
    expires_after_days: int | None = Field(
        default=None, ge=1, le=3650, description="A copy is removed after this long, days. Default: with its video."
    )


class Local(Labelled, Strict):
    """The `local` providers: files on this machine's disk, videos rendered by this machine."""

    parallel_renders: int = Field(default=1, ge=1, description="Videos rendered at the same time.")
    fsync: bool = Field(default=True, description="Flush a file to the disk before it is acknowledged.")


class Server(Strict):
    """The processes of one machine."""

    api_processes: int = Field(default=1, ge=1, le=128, description="gRPC server processes.")
    shutdown_s: float = Field(
        default=20.0, ge=0, description="Running requests may take this long to finish at shutdown, s."
    )
    drain_s: float = Field(
        default=1.0, ge=0, description="Readiness is down this long before new requests are refused, s."
    )
    envoy_concurrency: int = Field(default=2, ge=1, le=256, description="Envoy's worker threads.")
    console: bool = Field(default=True, description="Serve the console at `/console`, and lead from `/` to it.")
    docs: bool = Field(default=True, description="Serve the description of the API at `/docs` and `/openapi.json`.")


def _checked_hosts(hosts: list[str]) -> list[str]:
    if hosts:
        # Only here: the shell and the supervisor read a configuration too, and the parser costs them 40 ms (measured).
        from mediagate.net.urls import allowed_host

        for host in hosts:
            allowed_host(host)
    return hosts


class Files(Strict):
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


class Net(Strict):
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


class Webhooks(Strict):
    """Events that are pushed to URLs of callers, which `net` has the rules for."""

    retry_s_max: float = Field(
        default=72 * 3600, gt=0, le=30 * 86_400, description="An event that nobody acknowledges is sent this long, s."
    )
    retry_wait_s: float = Field(default=5, gt=0, description="Wait before the second attempt, s; it doubles each time.")
    retry_wait_s_max: float = Field(default=4 * 3600, gt=0, description="Longest wait between two attempts, s.")
    timeout_s: float = Field(default=15, gt=0, le=30, description="An endpoint that has not answered by then fails, s.")
    parallel: int = Field(default=4, ge=1, le=64, description="Events that are on their way to one endpoint at once.")
    endpoints_max: int = Field(default=50, ge=1, description="Most endpoints of one owner.")
    retention_days: int = Field(
        default=30, ge=1, le=3650, description="Events and what became of them are kept this long, days."
    )

    @model_validator(mode="after")
    def _kept_while_sent(self) -> Webhooks:
        if self.retry_s_max > self.retention_days * 86_400:
            raise ValueError("retention_days must last for retry_s_max")
        return self


class Copies(Strict):
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
