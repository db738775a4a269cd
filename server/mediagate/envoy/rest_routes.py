"""The routes of REST requests as they come, made of the table of paths that follows from the protos."""

from __future__ import annotations

import json
import re
from typing import Any, Final

FILTER_OFF: Final = {"@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "disabled": True}
FILTER_ON: Final = {"@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "config": {}}
DECISION_FILTER: Final = "envoy.filters.http.ext_authz"
NOWHERE: Final = {"cluster": "nowhere", "cluster_not_found_response_code": "NOT_FOUND"}


def route_lines(routes: list[dict[str, Any]]) -> str:
    """Routes as items of the template's list, one on each line."""
    return "\n              ".join(f"- {json.dumps(route)}" for route in routes)


def home_routes() -> list[dict[str, Any]]:
    """Where a browser goes that was given no path, or one slash too many."""
    return [
        {
            "name": "home",
            "match": {"path": path},
            "redirect": {"path_redirect": "/console", "response_code": "FOUND"},
            "typed_per_filter_config": {"envoy.filters.http.grpc_json_transcoder": FILTER_OFF},
        }
        for path in ("/", "/console/")
    ]


def content_routes(paths: list[dict[str, Any]], *, max_bytes: int, timeout_s: float) -> list[dict[str, Any]]:
    """The routes of files' and videos' content, with the filters by which the server is asked first."""
    content = [path for path in paths if path["regex"].endswith(("/files/[^/]+/content", "/videos/[^/]+/content"))]
    return [
        {
            **route,
            "name": "content_by_decision",
            "typed_per_filter_config": {
                **route["typed_per_filter_config"],
                DECISION_FILTER: FILTER_ON,
            },
        }
        for route in small_body_routes(content, max_bytes=max_bytes, timeout_s=timeout_s)
    ]


def raw_body_routes(routes: dict[str, Any], *, max_bytes: int, timeout_s: float) -> list[dict[str, Any]]:
    """The routes of bodies that go to the server as they are, and that are larger than others."""
    raw = [{**path, "methods": ["POST"]} for path in routes["paths"] if path["regex"] in routes["raw_body_paths"]]
    return small_body_routes(raw, max_bytes=max_bytes, timeout_s=timeout_s)


def small_body_routes(paths: list[dict[str, Any]], *, max_bytes: int, timeout_s: float) -> list[dict[str, Any]]:
    """One route for each method, with all paths that take it; a body is read whole, within limits of size and time."""
    methods = sorted({method for path in paths for method in path["methods"]})
    return [
        {
            "name": "small_body",
            "match": {
                "safe_regex": {"regex": "|".join(path["regex"] for path in paths if method in path["methods"])},
                "headers": [{"name": ":method", "string_match": {"exact": method}}],
            },
            "route": {
                **NOWHERE,
                "max_stream_duration": {"max_stream_duration": seconds(timeout_s)},
            },
            "typed_per_filter_config": {
                "envoy.filters.http.buffer": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.http.buffer.v3.BufferPerRoute",
                    "buffer": {"max_request_bytes": max_bytes},
                }
            },
        }
        for method in methods
    ]


def wrong_method_routes(paths: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Refusals with 405 and `allow`, one for each set of methods that some path takes."""
    patterns = [(re.compile(path["regex"]), path["methods"]) for path in paths]
    groups: dict[tuple[str, ...], list[str]] = {}
    for path in paths:
        # `/v1/videos/edits` is also a `/v1/videos/{video_id}`, so it takes the methods of both.
        sample = path["regex"].replace("[^/]+", "x").replace(".+", "x").replace("\\", "")
        methods = {method for pattern, allowed in patterns if pattern.fullmatch(sample) for method in allowed}
        groups.setdefault(tuple(sorted(methods)), []).append(path["regex"])
    # The path with the most methods is the most exact one, so it must be asked before those that it also matches.
    ordered = sorted(groups.items(), key=lambda group: (-len(group[0]), group[0]))
    return [
        {
            "name": "wrong_method",
            "match": {"safe_regex": {"regex": "|".join(regexes)}},
            "route": NOWHERE,
            "response_headers_to_add": [
                {"header": {"key": "x-http-status", "value": "405"}},
                {"header": {"key": "allow", "value": ", ".join(methods)}},
            ],
            "typed_per_filter_config": {"envoy.filters.http.grpc_json_transcoder": FILTER_OFF},
        }
        for methods, regexes in ordered
    ]


def upload_paths(routes: dict[str, Any], method: str) -> str:
    """The paths whose bodies are streamed with this method."""
    return "|".join(
        path["regex"]
        for path in routes["paths"]
        if method in path["methods"] and path["regex"] not in routes["json_body_paths"]
    )


def any_of(methods: list[str]) -> str:
    """A regular expression for exactly these paths."""
    return "|".join(re.escape(method) for method in methods)


def seconds(value: float) -> str:
    """A protobuf duration as JSON prints it."""
    return f"{value:.3f}s"
