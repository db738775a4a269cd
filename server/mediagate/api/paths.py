"""Path variables, from the path as the caller wrote it.

The edge lets a query member or a member of the JSON body replace a path variable of the same name, and leaves `%2F`
escaped in variables that span segments. Neither may happen: `POST /files/A/delete` with `{"file_id": "B"}` deletes A.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from google.api import annotations_pb2
from google.protobuf import descriptor_pool

ORIGINAL_PATH = "x-envoy-original-path"
ORIGINAL_METHOD = "x-envoy-original-method"
"""The edge sets it on transcoded calls and takes it off what clients send."""
_VARIABLE = re.compile(r"\{([a-z_]+)(=\*\*)?\}")


@dataclass(frozen=True, slots=True)
class PathVariables:
    """The REST paths of one method that have variables."""

    patterns: Sequence[re.Pattern[str]]

    @classmethod
    def of(cls, method: str) -> PathVariables:
        """Read the bindings of `/package.Service/Method`; a method without any has no patterns."""
        descriptor = descriptor_pool.Default().FindMethodByName(method.strip("/").replace("/", "."))
        rule = descriptor.GetOptions().Extensions[annotations_pb2.http]
        templates = [_template(binding) for binding in (rule, *rule.additional_bindings)]
        if not any("{" in template for template in templates):
            return cls([])
        # `/v1/videos/status` is no `/v1/videos/{video_id}`: a path without variables is asked first.
        return cls([_pattern(template) for template in sorted(templates, key=lambda template: "{" in template)])

    def apply(self, original_path: str, message: Any) -> None:
        """Write the path's variables into the message, over whatever else was found for them."""
        path = original_path.partition("?")[0]
        for pattern in self.patterns:
            match = pattern.fullmatch(path)
            if match is not None:
                for name, value in match.groupdict().items():
                    setattr(message, name, unquote(value))
                return


def _template(binding: Any) -> str:
    kind = binding.WhichOneof("pattern")
    if kind is None:
        return ""
    return str(binding.custom.path if kind == "custom" else getattr(binding, kind))


def _pattern(template: str) -> re.Pattern[str]:
    return re.compile("".join(_pieces(template)))


def _pieces(template: str) -> Iterator[str]:
    position = 0
    for variable in _VARIABLE.finditer(template):
        yield _literal(template[position : variable.start()])
        yield f"(?P<{variable[1]}>{'.+' if variable[2] else '[^/]+'})"
        position = variable.end()
    yield _literal(template[position:])


def _literal(text: str) -> str:
    """A part of a template without variables, in which `*` is any one segment."""
    return re.escape(text).replace(r"\*", "[^/]+")
