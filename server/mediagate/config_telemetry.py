"""The section `telemetry`: logs, metrics, traces, and where lines of requests are pushed to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal
from urllib.parse import unquote, urlsplit

from pydantic import Field, SecretStr, field_validator

from mediagate.config_sections import Strict

_HTTP_URL: Final = r"^https?://[^/?#\s@]+(:\d+)?(/[^#\s]*)?$"
_WEBHOOK_SECRET: Final = re.compile(r"whsec_[A-Za-z0-9+/]{32,}={0,2}")
_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_OTLP_VARIABLES: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
OTLP_PORT: Final = 4317
_OURS: Final = ("content-type", "content-length", "host", "webhook-id", "webhook-timestamp", "webhook-signature")


class RequestLogSink(Strict):
    """A server of the operator's that gets the lines of requests, in batches."""

    url: str = Field(pattern=_HTTP_URL, description="Where batches are posted; it may lie in a private network.")
    headers: dict[str, SecretStr] = Field(default={}, description="Headers that go with every batch.")
    secret: SecretStr | None = Field(
        default=None, description="Signs batches as Standard Webhooks do: `whsec_` and the base64 of 24 to 64 bytes."
    )
    batch_lines_max: int = Field(default=200, ge=1, le=10_000, description="Most lines of one batch.")
    wait_s: float = Field(default=1.0, gt=0, le=60, description="A batch that is not full goes after this long, s.")
    queue_lines_max: int = Field(
        default=20_000, ge=1, le=1_000_000, description="More lines than these wait for nobody: new ones are dropped."
    )
    timeout_s: float = Field(default=10.0, gt=0, le=60, description="An attempt fails after this long, s.")
    retry_s_max: float = Field(
        default=300.0, ge=0, le=86_400, description="A batch that nobody takes is dropped after this long, s."
    )

    @field_validator("secret")
    @classmethod
    def _signs(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None and not _WEBHOOK_SECRET.fullmatch(secret.get_secret_value()):
            raise ValueError("write whsec_ and the base64 of 24 to 64 random bytes")
        return secret

    @field_validator("headers")
    @classmethod
    def _sendable(cls, headers: dict[str, SecretStr]) -> dict[str, SecretStr]:
        for name, value in headers.items():
            if not _HEADER_NAME.fullmatch(name) or re.search(r"[\r\n\0]", value.get_secret_value()):
                raise ValueError(f"{name!r} cannot be sent as a header")
            if name.lower() in _OURS:
                raise ValueError(f"{name} is set by the gateway")
        return headers


@dataclass(frozen=True, slots=True)
class Otlp:
    """Where traces go."""

    endpoint: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    share: float = 1.0

    @property
    def is_tls(self) -> bool:
        """Whether the receiver proves who it is."""
        return self.endpoint.startswith("https://")

    @property
    def host(self) -> str:
        """Its name or address."""
        return urlsplit(self.endpoint).hostname or "localhost"

    @property
    def port(self) -> int:
        """Its port; OTLP/gRPC's own where none is given."""
        return urlsplit(self.endpoint).port or OTLP_PORT


class Telemetry(Strict):
    """What the processes tell of themselves."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least level that is logged; the environment's MEDIAGATE_LOG_LEVEL beats it."
    )
    format: Literal["json", "console"] = Field(
        default="json", description="One JSON object a line, or `console`: a line for people."
    )
    exception_texts: bool = Field(
        default=False,
        description="Log what exceptions say, too. They may quote what callers sent, prompts among it: for debugging.",
    )
    metrics_need_key: bool = Field(default=False, description="`/metrics` asks for an admin key. Default: open.")
    worker_metrics_listen: str | None = Field(
        default=None,
        pattern=r"^\S+:\d{1,5}$",
        description="Where a `mediagate worker` serves metrics of its own, as `host:port`, on a machine without a "
        "server. Default: nowhere; a server on the same machine answers for it.",
    )
    otlp_endpoint: str | None = Field(
        default=None,
        pattern=r"^https?://[^/?#\s@]+(:\d+)?/?$",
        description="OTLP/gRPC receiver of traces, such as `http://collector:4317`; the environment's "
        "OTEL_EXPORTER_OTLP_ENDPOINT beats it. Default: no traces.",
    )
    otlp_headers: dict[str, SecretStr] = Field(
        default={}, description="Metadata that go with every export, such as a collector's token."
    )
    trace_share: float = Field(
        default=1.0, ge=0, le=1, description="Share of calls that are traced where the caller does not say."
    )
    request_log: RequestLogSink | None = Field(
        default=None, description="Pushes the lines of requests to a server. Default: they are only logged."
    )

    def otlp(self, environ: Mapping[str, str]) -> Otlp | None:
        """Where traces go: OpenTelemetry's own variables beat the file. None where nobody wants any."""
        given = next((environ[name] for name in _OTLP_VARIABLES if environ.get(name)), None)
        endpoint = (given or self.otlp_endpoint or "").rstrip("/")
        if not endpoint or environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
            return None
        if not endpoint.startswith(("http://", "https://")):
            endpoint = f"http://{endpoint}"
        headers = {name.lower(): value.get_secret_value() for name, value in self.otlp_headers.items()}
        for pair in environ.get("OTEL_EXPORTER_OTLP_HEADERS", "").split(","):
            name, separator, value = pair.partition("=")
            if separator and name.strip():
                headers[name.strip().lower()] = unquote(value.strip())
        return Otlp(endpoint, headers, self.trace_share)
