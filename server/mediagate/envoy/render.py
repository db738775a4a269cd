"""Envoy's configuration, from one template and what few things differ between dev, tests and production.

The supervisor imports this, so it imports nothing heavy: no protobuf, no grpc, no YAML.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from typing import Any, Final

from mediagate.envoy import ORIGINS_MAX, RESERVED_SERVICES, SLOW_METHODS, is_watch
from mediagate.envoy.rest_routes import (
    any_of,
    content_routes,
    home_routes,
    raw_body_routes,
    route_lines,
    seconds,
    small_body_routes,
    upload_paths,
    wrong_method_routes,
)

HERE: Final = Path(__file__).resolve().parent
TEMPLATE: Final = HERE / "envoy.yaml.tmpl"
LUA: Final = HERE / "edge.lua"
ORIGIN_LUA: Final = HERE / "origin.lua"
DESCRIPTORS: Final = HERE / "api.binpb"
ROUTES: Final = HERE / "routes.json"

MIB: Final = 1 << 20
# Debian and Alpine, Red Hat, macOS.
SYSTEM_CA_FILES: Final = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
)
# Per connection to a server; one more stream opens another connection.
UPSTREAM_STREAMS_MAX: Final = 128

UNBOUNDED_REQUESTS: Final = 100_000
# `google.rpc.Status` with ErrorInfo and RetryInfo, as the server itself says that it is overloaded; made by
# `mediagate.api.errors`, which is not imported here.
OVERLOADED_DETAILS: Final = (
    "CA4SP1RoZSBzZXJ2aWNlIGhhcyBhcyBtdWNoIHRvIGRvIGFzIGl0IGNhbi4gVHJ5IGFnYWluIGluIGEgbW9tZW50LhpDCih0eXBlLmdvb2dsZWFw"
    "aXMuY29tL2dvb2dsZS5ycGMuRXJyb3JJbmZvEhcKCk9WRVJMT0FERUQSCW1lZGlhZ2F0ZRowCih0eXBlLmdvb2dsZWFwaXMuY29tL2dvb2dsZS5y"
    "cGMuUmV0cnlJbmZvEgQKAggB"
)

# What the browser may send: our own headers, gRPC-Web's, and all that OpenAI's SDKs add.
CORS_REQUEST_HEADERS: Final = (
    "authorization, api-key, content-type, accept, idempotency-key, last-event-id, range, if-range, if-none-match, "
    "prefer, custom-llm-provider, x-mediagate-user, x-mediagate-placement, "
    "openai-organization, openai-project, x-grpc-web, x-user-agent, grpc-timeout, x-stainless-lang, "
    "x-stainless-package-version, x-stainless-os, x-stainless-arch, x-stainless-runtime, x-stainless-runtime-version, "
    "x-stainless-async, x-stainless-retry-count, x-stainless-timeout, x-stainless-read-timeout, "
    "x-stainless-helper-method, x-stainless-poll-helper, x-stainless-custom-poll-interval, x-stainless-raw-response"
)
CORS_REPLY_HEADERS: Final = (
    "x-request-id, openai-processing-ms, openai-poll-after-ms, openai-version, openai-organization, retry-after, "
    "retry-after-ms, x-should-retry, idempotent-replayed, x-mediagate-deployment, "
    "x-ratelimit-limit-requests, x-ratelimit-remaining-requests, x-ratelimit-reset-requests, "
    "x-ratelimit-limit-tokens, x-ratelimit-remaining-tokens, x-ratelimit-reset-tokens, "
    "x-mediagate-chat-id, x-mediagate-cost-usd, x-litellm-response-cost, "
    "x-mediagate-input-tokens, x-mediagate-output-tokens, "
    "x-ratelimit-limit-uploads, x-ratelimit-remaining-uploads, x-ratelimit-reset-uploads, "
    "x-ratelimit-limit-bytes, x-ratelimit-remaining-bytes, x-ratelimit-reset-bytes, "
    "content-range, content-length, content-disposition, accept-ranges, etag, allow, "
    "grpc-status, grpc-message, grpc-status-details-bin, x-http-status, x-openai-error"
)
# A path and query whose escapes are well-formed and stand for UTF-8 without NUL. What else arrives would be a protobuf
# string that Python cannot decode.
_HEX: Final = "[0-9A-Fa-f]"
_TAIL: Final = f"%[89AaBb]{_HEX}"
VALID_PATH: Final = (
    "(?:[^%]"
    f"|%(?:[1-7]{_HEX}|0[1-9A-Fa-f])"
    f"|%(?:[Cc][2-9A-Fa-f]|[Dd]{_HEX}){_TAIL}"
    f"|%[Ee](?:0%[AaBb]{_HEX}|[Dd]%[89]{_HEX}|[1-9A-Ca-cE-Fe-f]{_TAIL}){_TAIL}"
    f"|%[Ff](?:0%[9AaBb]{_HEX}|4%8{_HEX}|[1-3]{_TAIL}){_TAIL}{_TAIL}"
    ")*"
)


@dataclass(frozen=True, slots=True)
class TracesTo:
    """A receiver of traces. `share` is that of requests which are traced where the caller does not say."""

    host: str
    port: int
    is_tls: bool
    headers: Mapping[str, str] = field(repr=False)
    share: float


@dataclass(frozen=True, slots=True)
class EdgeSettings:
    """What differs from one edge to the next. Paths are absolute, times are seconds, sizes are bytes."""

    listen_host: str
    listen_port: int
    # Each `unix:/path` or `host:port`. Names are resolved again and again and all their addresses are used.
    api_targets: list[str]
    # Unix socket of Envoy's admin interface; only its owner can open it.
    admin_socket: str
    # Exact origins, or `*`; none means that no CORS header is ever sent.
    cors_allowed_origins: list[str] = field(default_factory=list)
    # An upload may pause for this long, and its server may take this long to answer after the last byte.
    upload_idle_s: float = 120.0
    # A client must have sent the headers of a request by then.
    headers_timeout_s: float = 10.0
    # And the body by then, unless it is an upload.
    small_body_timeout_s: float = 60.0
    # A request that declares a longer body is refused with 413 before it is read.
    max_request_bytes: int = 16 << 30
    # How long Envoy tells clients to go away before `drain_listeners?graceful` closes the port.
    drain_s: float = 5.0
    # Body and reply of a unary call. A page of 10,000 files is about 4 MB.
    json_request_max_bytes: int = 2 * MIB
    json_response_max_bytes: int = 16 * MIB
    # Body of a chat, which may hold files as base64.
    raw_request_max_bytes: int = 31 * MIB
    # How many proxies before this one may be believed about `x-forwarded-for`.
    trusted_proxies: int = 0
    connections_max: int = 10_000
    # Replies with this status or a higher one are logged to stdout as JSON: 0 logs all, 1000 none.
    access_log_min_status: int = 500
    # Worker threads.
    concurrency: int = 2
    # HTTP/2 windows and socket buffers bound what Envoy holds for one slow stream, and for one client's connection.
    window_bytes: int = MIB
    connection_window_bytes: int = 16 * MIB
    buffer_bytes: int = MIB
    # Whether the server is asked where content lies before it is asked for it: of use where a provider serves directly.
    content_by_decision: bool = False
    # The server may look at several copies before it decides.
    decision_timeout_s: float = 20.0
    # An origin may take this long to accept a connection.
    origin_connect_timeout_s: float = 5.0
    # And may say nothing for this long, before its first byte or between two. A client that pauses looks the same.
    origin_silence_s: float = 120.0
    # Where traces go by OTLP/gRPC; None traces nothing.
    traces: TracesTo | None = None
    # The certificates by which origins prove who they are, as PEM.
    trusted_ca_file: str = field(default_factory=lambda: trusted_ca_file())
    # Most requests that the servers together have at once, but for those that always pass; None for no bound.
    requests_in_flight_max: int | None = None
    # Whether there is a console, to which `/` leads.
    console: bool = False


def render_config(settings: EdgeSettings) -> str:
    """The complete bootstrap file as YAML; raises ValueError for a target that is neither a socket nor `host:port`."""
    routes = json.loads(ROUTES.read_text())
    uploads = routes["client_streaming_methods"]
    downloads = [method for method in routes["streaming_methods"] if method not in uploads]
    content = [method for method in downloads if method.endswith("ContentHttp")]
    values = {
        "admin_socket": settings.admin_socket,
        "connections_max": settings.connections_max,
        "listen_host": settings.listen_host,
        "listen_port": settings.listen_port,
        "trusted_proxies": settings.trusted_proxies,
        "drain_time": seconds(settings.drain_s),
        "headers_timeout": seconds(settings.headers_timeout_s),
        "window_bytes": settings.window_bytes,
        "connection_window_bytes": settings.connection_window_bytes,
        "upstream_streams_max": UPSTREAM_STREAMS_MAX,
        "upstream_connection_window_bytes": UPSTREAM_STREAMS_MAX * settings.window_bytes,
        "downstream_buffer_bytes": settings.buffer_bytes,
        "upstream_buffer_bytes": settings.buffer_bytes,
        "access_log_min_status": settings.access_log_min_status,
        "lua_file": str(LUA),
        "origin_lua_file": str(ORIGIN_LUA),
        "descriptor_file": str(DESCRIPTORS),
        "services": routes["services"],
        "json_request_max_bytes": settings.json_request_max_bytes,
        "unary_request_max_bytes": max(settings.json_request_max_bytes, settings.raw_request_max_bytes),
        "json_response_max_bytes": settings.json_response_max_bytes,
        "cors_origins": [origin_match(origin) for origin in settings.cors_allowed_origins],
        "cors_request_headers": CORS_REQUEST_HEADERS,
        "cors_reply_headers": CORS_REPLY_HEADERS,
        "upload_methods": any_of(uploads),
        "upload_idle": seconds(settings.upload_idle_s),
        "content_methods": any_of(content),
        "watch_methods": any_of([method for method in downloads if is_watch(method)]),
        "slow_methods": any_of(
            [*(method for method in downloads if method not in content and not is_watch(method)), *SLOW_METHODS]
        ),
        "reserved_methods": "|".join(f"/{re.escape(service)}/.*" for service in RESERVED_SERVICES),
        "requests_max": settings.requests_in_flight_max or UNBOUNDED_REQUESTS,
        "overloaded_details": OVERLOADED_DETAILS,
        "request_over_max_bytes": settings.max_request_bytes + 1,
        "valid_path": VALID_PATH,
        "upload_paths": upload_paths(routes, "POST"),
        "put_paths": upload_paths(routes, "PUT"),
        "origins_max": ORIGINS_MAX,
        "decision_timeout": seconds(settings.decision_timeout_s),
        "origin_connect_timeout": seconds(settings.origin_connect_timeout_s),
        "origin_silence": seconds(settings.origin_silence_s),
        "trusted_ca_file": settings.trusted_ca_file,
        "discovery": discovery(settings.api_targets),
        "endpoints": [{"endpoint": {"address": address(target)}} for target in settings.api_targets],
    }
    template = Template(TEMPLATE.read_text())
    bounds: Any = {"max_bytes": settings.json_request_max_bytes, "timeout_s": settings.small_body_timeout_s}
    return template.substitute(
        {name: json.dumps(value) for name, value in values.items()},
        tracing=f"tracing: {json.dumps(tracing(settings.traces))}" if settings.traces else "",
        traces_cluster=f"- {json.dumps(traces_cluster(settings.traces, settings))}" if settings.traces else "",
        content_routes=route_lines(content_routes(routes["paths"], **bounds) if settings.content_by_decision else []),
        raw_body_routes=route_lines(raw_body_routes(routes, **{**bounds, "max_bytes": settings.raw_request_max_bytes})),
        small_body_routes=route_lines(small_body_routes(routes["paths"], **bounds)),
        wrong_method_routes=route_lines(wrong_method_routes(routes["paths"])),
        home_routes=route_lines(home_routes() if settings.console else []),
    )


def envoy_arguments(settings: EdgeSettings, config_file: str) -> list[str]:
    """What to start Envoy with, after its name."""
    return [
        *("--config-path", config_file),
        *("--concurrency", str(settings.concurrency)),
        *("--drain-time-s", str(max(1, round(settings.drain_s)))),
        *("--drain-strategy", "immediate"),
        *("--log-level", "warning"),
        *("--file-flush-interval-msec", "500"),
        "--disable-hot-restart",
    ]


def tracing(to: TracesTo) -> dict[str, Any]:
    """What the connection manager traces, and where it sends that."""
    return {
        "random_sampling": {"value": to.share * 100},
        "custom_tags": [
            # In the place of the URL, whose query and whose last segment may be a token.
            {"tag": "http.url", "literal": {"value": "-"}},
        ],
        "provider": {
            "name": "envoy.tracers.opentelemetry",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig",
                "service_name": "mediagate-edge",
                "grpc_service": {
                    "envoy_grpc": {"cluster_name": "traces"},
                    "timeout": "5s",
                    "initial_metadata": [{"key": name, "value": value} for name, value in to.headers.items()],
                },
            },
        },
    }


def traces_cluster(to: TracesTo, settings: EdgeSettings) -> dict[str, Any]:
    """The receiver of traces."""
    cluster: dict[str, Any] = {
        "name": "traces",
        "type": discovery([f"{to.host}:{to.port}"]),
        "connect_timeout": "2s",
        "load_assignment": {
            "cluster_name": "traces",
            "endpoints": [
                {
                    "lb_endpoints": [
                        {"endpoint": {"address": {"socket_address": {"address": to.host, "port_value": to.port}}}}
                    ]
                }
            ],
        },
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": {"http2_protocol_options": {}},
                "upstream_http_protocol_options": {"auto_sni": True, "auto_san_validation": True},
            }
        },
    }
    if to.is_tls:
        cluster["transport_socket"] = {
            "name": "envoy.transport_sockets.tls",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
                "common_tls_context": {
                    "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
                    "validation_context": {"trusted_ca": {"filename": settings.trusted_ca_file}},
                },
            },
        }
    return cluster


def trusted_ca_file() -> str:
    """The certificate authorities that this machine trusts; where it names none, those that Python's clients bring."""
    named = os.environ.get("SSL_CERT_FILE", "")
    for path in (named, *SYSTEM_CA_FILES):
        if path and os.path.isfile(path):
            return path
    from certifi import where

    return where()


def origin_match(origin: str) -> dict[str, Any]:
    """One origin, or every origin for `*`."""
    return {"safe_regex": {"regex": ".*"}} if origin == "*" else {"exact": origin}


def address(target: str) -> dict[str, Any]:
    """`unix:/path` or `host:port` as Envoy's Address."""
    if target.startswith("unix:"):
        return {"pipe": {"path": target.removeprefix("unix:")}}
    host, _, port = target.rpartition(":")
    if not host or not port.isdecimal():
        raise ValueError(f"{target!r} is neither unix:/path nor host:port")
    return {"socket_address": {"address": host.strip("[]"), "port_value": int(port)}}


def discovery(targets: list[str]) -> str:
    """STATIC when no name has to be resolved."""
    return "STATIC" if all(target.startswith("unix:") or is_ip(target) for target in targets) else "STRICT_DNS"


def is_ip(target: str) -> bool:
    """Whether the host of `host:port` is an address rather than a name."""
    try:
        ipaddress.ip_address(target.rpartition(":")[0].strip("[]"))
    except ValueError:
        return False
    return True
