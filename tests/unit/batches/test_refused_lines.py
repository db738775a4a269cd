"""Lines of batches that are nested too deep for whoever writes them on, and those that name what may be anybody's."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest

from mediagate.batches.check_line import BadLine, LineChecker
from mediagate.core.json_body import LEVELS_MAX


def line(levels: int) -> bytes:
    """A line that is nested so deep."""
    head = b'{"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "m", "x": '
    return head + b"[" * (levels - 2) + b"]" * (levels - 2) + b', "messages": [{}]}}'


def test_what_is_taken_can_be_written_on() -> None:
    custom_id, body = LineChecker("/v1/chat/completions").read(line(LEVELS_MAX))
    assert orjson.dumps({"custom_id": custom_id, "body": {"request": {"of": {"a": {"provider": body}}}}})


@pytest.mark.parametrize("levels", [LEVELS_MAX + 1, 253, 255, 500, 1_000, 1_100])
def test_what_is_deeper_is_a_bad_line(levels: int) -> None:
    with pytest.raises(BadLine) as bad:
        LineChecker("/v1/chat/completions").read(line(levels))
    assert bad.value.error.code == "invalid_json_line"


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"previous_response_id": "resp_1"}, "body.previous_response_id"),
        ({"conversation": {"id": "conv_1"}}, "body.conversation"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "body.input[0]"),
        ({"input": [{"type": "image_generation_call", "id": "ig_1"}]}, "body.input[0]"),
        ({"tools": [{"type": "code_interpreter", "container": "cntr_1"}]}, "body.tools[0].container"),
    ],
)
def test_what_lies_at_the_provider_is_not_named_in_a_line(more: dict[str, Any], param: str) -> None:
    tree = {"custom_id": "a", "method": "POST", "url": "/v1/responses", "body": {"model": "m", "input": "x"}}
    assert LineChecker("/v1/responses").read(orjson.dumps(tree))
    with pytest.raises(BadLine) as bad:
        LineChecker("/v1/responses").read(orjson.dumps({**tree, "body": {"model": "m", "input": "x", **more}}))
    assert (bad.value.error.code, bad.value.error.param) == ("unsupported_parameter", param)


@pytest.mark.parametrize("model", ["a\0b", "a\ud800", "m" * 300])
def test_a_name_that_no_model_has_is_a_bad_line(model: str) -> None:
    tree = {
        "custom_id": "a",
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {"model": model, "messages": [{}]},
    }
    checker = LineChecker("/v1/chat/completions")
    with pytest.raises(BadLine) as bad:
        checker.read(json.dumps(tree).encode())
    assert bad.value.error.code in ("invalid_request", "invalid_json_line")
    assert checker.model is None
