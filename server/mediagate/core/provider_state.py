"""What a request names at a provider by ids of the provider's, which know no owners."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mediagate.core.chat import Body


def foreign_state(body: Body) -> Iterator[tuple[str, str]]:
    """Each place (`input[0]`) in a Responses body that names what lies at the provider by the provider's own id, with
    what to do instead. Whose it is, nobody here can tell."""
    if body.get("conversation") is not None:
        yield "conversation", "Use 'previous_response_id', or send the conversation's items in 'input'."
    given = body.get("input")
    for number, item in enumerate(given if isinstance(given, list) else ()):
        if isinstance(item, Mapping) and _is_reference(item):
            yield f"input[{number}]", "Send the item itself, or use 'previous_response_id'."
    tools = body.get("tools")
    for number, tool in enumerate(tools if isinstance(tools, list) else ()):
        for name in ("container", "environment"):
            if isinstance(tool, Mapping) and _names_container(tool.get(name)):
                yield f"tools[{number}].{name}", 'Use {"type": "auto"} with the ids of files.'


def _is_reference(item: Mapping[str, Any]) -> bool:
    kind = item.get("type")
    if kind == "image_generation_call":
        # Without the picture it stands for the one that the provider keeps.
        return not item.get("result")
    return kind == "item_reference" or (kind is None and "role" not in item and "id" in item)


def _names_container(container: Any) -> bool:
    if isinstance(container, Mapping):
        return container.get("type") == "container_reference"
    return isinstance(container, str)
