"""The rendered configuration: what Envoy makes of it, and what must not drift."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from edge_harness import envoy_program
from hypothesis import given
from hypothesis import strategies as st

from mediagate.api.errors import envelope, status
from mediagate.core.errors import Overloaded
from mediagate.envoy import SLOW_METHODS
from mediagate.envoy.render import (
    LUA,
    OVERLOADED_DETAILS,
    ROUTES,
    TEMPLATE,
    VALID_PATH,
    EdgeSettings,
    render_config,
)


def settings(*targets: str, **options: Any) -> EdgeSettings:
    return EdgeSettings("127.0.0.1", 4000, list(targets), "/tmp/admin.sock", **options)


def virtual_host(config: str) -> dict[str, Any]:
    listener = yaml.safe_load(config)["static_resources"]["listeners"][0]
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    return dict(manager["route_config"]["virtual_hosts"][0])


@pytest.mark.parametrize(
    ("targets", "options"),
    [
        (["unix:/run/a.sock"], {}),
        (["unix:/run/a.sock", "127.0.0.1:50051", "[::1]:50051"], {"cors_allowed_origins": ["*"]}),
        (["api-0.api:50051", "api-1.api:50051"], {"trusted_proxies": 2, "access_log_min_status": 0, "drain_s": 0.5}),
    ],
)
def test_envoy_takes_it_without_a_warning(tmp_path: Path, targets: list[str], options: dict[str, Any]) -> None:
    config = tmp_path / 'odd "$name" #.yaml'
    config.write_text(render_config(settings(*targets, **options)))
    command = [envoy_program(), "--mode", "validate", "--log-level", "warning", "--config-path", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("target", ["/run/a.sock", "api", "api:", ":50051", "api:http"])
def test_a_target_that_is_none_is_refused(target: str) -> None:
    with pytest.raises(ValueError, match="neither"):
        render_config(settings(target))


def test_odd_values_stay_values() -> None:
    config = yaml.safe_load(render_config(settings('unix:/tmp/a "b": [$x] #')))
    endpoint = config["static_resources"]["clusters"][0]["load_assignment"]["endpoints"][0]["lb_endpoints"][0]
    assert endpoint["endpoint"]["address"]["pipe"]["path"] == '/tmp/a "b": [$x] #'
    config = render_config(settings("unix:/a", cors_allowed_origins=["https://a.example", 'x"y']))
    cors = virtual_host(config)["typed_per_filter_config"]["envoy.filters.http.cors"]
    assert cors["allow_origin_string_match"] == [{"exact": "https://a.example"}, {"exact": 'x"y'}]


def test_every_method_has_its_time_limits() -> None:
    table = json.loads(ROUTES.read_text())
    routes = list(virtual_host(render_config(settings("unix:/a", upload_idle_s=33)))["routes"])
    limits = {
        "upload": ("0s", "33.000s"),
        "content": ("0s", "600s"),
        "watch": ("0s", "600s"),
        "slow": ("0s", "600s"),
        "unary": ("75s", "80s"),
    }
    for method in [*table["streaming_methods"], *SLOW_METHODS, "/mediagate.v1.FileService/GetFile"]:
        name = next(
            route["name"]
            for route in routes
            if re.fullmatch(route["match"].get("safe_regex", {}).get("regex", "-"), method)
            or (route["name"] == "unary" and method.startswith(route["match"]["prefix"]))
        )
        expected = (
            "upload"
            if method in table["client_streaming_methods"]
            else "content"
            if method.endswith("ContentHttp")
            else "watch"
            if "/Watch" in method
            else "slow"
            if method in (*table["streaming_methods"], *SLOW_METHODS)
            else "unary"
        )
        assert name == expected
        route = next(route for route in routes if route["name"] == name)["route"]
        assert (route["timeout"], route["idle_timeout"]) == limits[name]
        assert float(route["max_stream_duration"]["max_stream_duration"][:-1]) in {300, 86400}


def test_what_waits_or_must_always_work_is_not_counted_among_the_requests() -> None:
    config = yaml.safe_load(render_config(settings("unix:/a", requests_in_flight_max=7)))
    api = next(cluster for cluster in config["static_resources"]["clusters"] if cluster["name"] == "api")
    bounds = {one.get("priority", "DEFAULT"): one["max_requests"] for one in api["circuit_breakers"]["thresholds"]}
    assert bounds == {"DEFAULT": 7, "HIGH": 100_000}
    routes = [route for route in virtual_host(yaml.safe_dump(config))["routes"] if "route" in route]
    reserved = {route["name"] for route in routes if route["route"].get("priority") == "HIGH"}
    assert reserved == {"watch", "reserved", "long_poll"}


def test_the_edge_says_that_it_is_overloaded_as_the_server_does() -> None:
    details = base64.b64encode(status(Overloaded()).SerializeToString()).decode()
    assert details == OVERLOADED_DETAILS
    said = json.loads(envelope(Overloaded()))["error"]
    line = f'local OVERLOADED = {{"{said["type"]}", "{said["code"]}", "{said["message"]}"}}'
    assert line in LUA.read_text()
    assert said["message"] in TEMPLATE.read_text()


def test_rendering_needs_nothing_heavy() -> None:
    heavy = ("google", "grpc", "yaml", "pydantic")
    check = f"import sys, mediagate.envoy.render; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True, env=os.environ)
    assert done.stdout.strip() == "[]"


def decodes(escaped: bytes) -> bool:
    try:
        return "\0" not in escaped.decode()
    except UnicodeDecodeError:
        return False


@given(st.one_of(st.binary(max_size=6), st.text(max_size=6).map(lambda text: text.encode("utf-8", "surrogatepass"))))
def test_a_path_is_valid_exactly_where_its_escapes_are_utf8(data: bytes) -> None:
    path = "/v1/files/" + "".join(f"%{byte:02x}" if byte & 1 else f"%{byte:02X}" for byte in data)
    assert bool(re.fullmatch(VALID_PATH, path)) == decodes(data)


@pytest.mark.parametrize("path", ["/a%", "/a%2", "/a%zz", "/%ff", "/?a=%f", "/%e2%82"])
def test_broken_escapes_are_not_valid(path: str) -> None:
    assert not re.fullmatch(VALID_PATH, path)
