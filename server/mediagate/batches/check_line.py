"""Whether a line of an input file is a request, in OpenAI's words for batches.

https://platform.openai.com/docs/api-reference/batch/request-input
"""

from __future__ import annotations

from typing import Any, Final

import orjson

from mediagate.batches.custom_ids import CustomIds
from mediagate.core.batches import LineError
from mediagate.core.json_body import LEVELS_MAX, is_deep
from mediagate.core.limits import echo, is_model_name
from mediagate.core.provider_state import foreign_state
from mediagate.providers.batches import CHAT, EMBEDDINGS, RESPONSES

CUSTOM_ID_CHARS_MAX: Final = 512
_ASKS: Final = {CHAT: "messages", RESPONSES: "input", EMBEDDINGS: "input"}


class BadLine(Exception):
    """A line that is no request. `error` has no line number yet."""

    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.error = LineError(code, message, param=param)


class LineChecker:
    """Reads the lines of one file: each a request to `endpoint`, all for the model of the first."""

    def __init__(self, endpoint: str, model: str | None = None) -> None:
        self.model = model
        self._endpoint = endpoint
        self._asks = _ASKS[endpoint]
        self._ids = CustomIds()

    def read(self, line: bytes) -> tuple[str, dict[str, Any]]:
        """The `custom_id` and the body of a line. Raises `BadLine`."""
        try:
            tree = orjson.loads(line)
        except orjson.JSONDecodeError:
            raise BadLine("invalid_json_line", "This line is not parseable as valid JSON.") from None
        if type(tree) is not dict:
            raise BadLine("invalid_json_line", "This line is not a JSON object.")
        if is_deep(line, tree):
            raise BadLine("invalid_json_line", f"This line is nested more than {LEVELS_MAX} levels deep.")
        custom_id = tree.get("custom_id")
        if type(custom_id) is not str or not custom_id:
            raise _missing("custom_id", "a text that tells this line from every other")
        if len(custom_id) > CUSTOM_ID_CHARS_MAX:
            raise BadLine(
                "invalid_custom_id", f"'custom_id' may have {CUSTOM_ID_CHARS_MAX} characters.", param="custom_id"
            )
        if tree.get("method") != "POST":
            raise BadLine("invalid_method", "'method' must be POST.", param="method")
        if tree.get("url") != self._endpoint:
            shown = echo(str(tree.get("url")))
            raise BadLine(
                "invalid_url",
                f"The URL '{shown}' of this line does not match the batch's endpoint, which is {self._endpoint}.",
                param="url",
            )
        body = tree.get("body")
        if type(body) is not dict:
            raise _missing("body", "an object with the request")
        self._check_body(body)
        if not self._ids.add(custom_id):
            raise BadLine(
                "duplicate_custom_id",
                f"The custom_id '{echo(custom_id)}' is used by an earlier line too. Each line needs its own.",
                param="custom_id",
            )
        return custom_id, body

    def _check_body(self, body: dict[str, Any]) -> None:
        model = body.get("model")
        if type(model) is not str or not model:
            raise _missing("body.model", "the name of a model")
        if model != self.model:
            if not is_model_name(model):
                shown = echo(model)
                raise BadLine("invalid_request", f"'{shown}' is no name of a model.", param="body.model")
            if self.model is not None:
                raise BadLine(
                    "mismatched_model",
                    f"This line is for the model '{echo(model)}', and the batch is for '{echo(self.model)}'. All lines "
                    "of a batch have one model.",
                    param="body.model",
                )
            self.model = model
        if body.get("stream"):
            raise BadLine("invalid_request", "A batch has no streams. Leave 'stream' out.", param="body.stream")
        if self._endpoint == RESPONSES:
            _require_no_state(body)
        asked = body.get(self._asks)
        if not asked and (self._asks == "input" or not body.get("input")):
            raise _missing(f"body.{self._asks}", "what is asked")


def _require_no_state(body: dict[str, Any]) -> None:
    """A line goes to the provider's account, where other owners' responses lie as well."""
    if body.get("previous_response_id") is not None:
        raise BadLine(
            "unsupported_parameter",
            "'previous_response_id' cannot be told in a batch. Send the earlier items in 'input'.",
            param="body.previous_response_id",
        )
    for param, _ in foreign_state(body):
        raise BadLine(
            "unsupported_parameter",
            f"'{param}' names what lies at the provider, and the gateway cannot tell whose it is. Send the content "
            "itself.",
            param=f"body.{param}",
        )


def _missing(param: str, what: str) -> BadLine:
    return BadLine("missing_required_parameter", f"'{param}' is missing or not what it must be: {what}.", param=param)
