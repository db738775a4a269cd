"""The configuration's reference from its JSON Schema: every key with its type, default and meaning."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from markdown_words import table

from mediagate.config import OPTION_PREFIXES, OPTIONS, PEER_SECTIONS, Config, Settings

Schema = Mapping[str, Any]
TYPES = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false", "null": "null"}
VARIABLES = {
    "data_dir": "Where everything is kept; `--data-dir`, default `.mediagate`.",
    "config_path": "The file; `--config`.",
    "database_url": "PostgreSQL's URL; `database_url` in the file. `mediagate dev` starts its own without one.",
    "master_key": "The master key; `--master-key` of `dev`, `general_settings.master_key` in the file.",
}
INTRODUCTION = """# Configuration keys

Every key of the configuration file, from the schema that `mediagate check-config --schema` prints.
[Configuration](../configuration.md) has an example of each section. Any text may be `os.environ/NAME`. `[]` is an entry
of a list, `<name>` a key of the reader's own.
"""


def page() -> str:
    """The whole page."""
    schema = Config.model_json_schema()
    lines = [INTRODUCTION, *environment(), *beside()]
    for name, section in schema["properties"].items():
        resolved = whole(section, schema)
        lines += [f"## {name}", ""]
        described = section.get("description") or resolved.get("description")
        if described:
            lines += [described, ""]
        rows = [*keys(name, section, schema)]
        lines += [*table(("key", "type", "default", "meaning"), rows), ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def environment() -> Iterator[str]:
    """What is set outside of the file. Raises `KeyError` for a variable that nobody has explained."""
    yield "A flag beats the environment, which beats the file. An empty variable counts as unset.\n"
    rows = [(f"`{variable}`", VARIABLES[name]) for name, variable in Settings.ENVIRONMENT.items()]
    yield from (*table(("variable", "what"), rows), "")


def beside() -> Iterator[str]:
    """Keys that the schema does not list one by one."""
    prefixes = ", ".join(f"`{prefix}…`" for prefix in OPTION_PREFIXES)
    options = ", ".join(f"`{name}`" for name in sorted(OPTIONS))
    yield f"`files_settings` and `litellm_params` also take what their providers read: {prefixes}, and {options}.\n"
    sections = ", ".join(f"`{name}`" for name in sorted(PEER_SECTIONS))
    yield f"LiteLLM's other sections load with a warning and have no effect: {sections}.\n"


def keys(path: str, schema: Schema, root: Schema) -> Iterator[tuple[str, str, str, str]]:
    """One row for each key below a path, its own where it holds no others."""
    here = whole(schema, root)
    if "properties" in here:
        for name, inner in here["properties"].items():
            yield from keys(f"{path}.{name}", inner, root)
        return
    inside = list_or_map(here, root)
    if inside:
        suffix, inner = inside
        resolved = whole(inner, root)
        if "properties" in resolved:
            yield row(path, schema, here, root)
            yield from keys(f"{path}{suffix}", inner, root)
            return
    yield row(path, schema, here, root)


def row(path: str, schema: Schema, here: Schema, root: Schema) -> tuple[str, str, str, str]:
    """One key."""
    meaning = schema.get("description") or here.get("description") or ""
    return f"`{path}`", kind(here, root), default(schema), meaning


def list_or_map(here: Schema, root: Schema) -> tuple[str, Schema] | None:
    """What a list or a map holds, and how its path goes on."""
    for choice in [here, *(whole(one, root) for one in here.get("anyOf", []))]:
        if isinstance(choice.get("items"), Mapping):
            return "[]", choice["items"]
        if isinstance(choice.get("additionalProperties"), Mapping):
            return ".<name>", choice["additionalProperties"]
    return None


def whole(schema: Schema, root: Schema) -> Schema:
    """A schema behind its reference."""
    if "$ref" in schema:
        return whole(root["$defs"][schema["$ref"].rpartition("/")[2]], root)
    if len(schema.get("allOf", [])) == 1:
        return whole(schema["allOf"][0], root)
    return schema


def kind(schema: Schema, root: Schema) -> str:
    """The type of a value with its bounds, in words."""
    schema = whole(schema, root)
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(kind(one, root) for one in schema["anyOf"]))
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return ", ".join(f"`{one}`" for one in schema["enum"])
    if "properties" in schema:
        return "keys"
    inside = list_or_map(schema, root)
    if inside:
        suffix, inner = inside
        return f"{'list' if suffix == '[]' else 'map'} of {kind(inner, root)}"
    if schema.get("format") == "password":
        return "secret text"
    return TYPES.get(schema.get("type", ""), "any") + bounds(schema)


def bounds(schema: Schema) -> str:
    """What a number may be."""
    least, most = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    if least is not None and most is not None:
        return f", {least:g} to {most:,}" if isinstance(least, float) else f", {least:,} to {most:,}"
    parts = [(least, "≥"), (above, ">"), (most, "≤"), (below, "<")]
    said = [f"{sign} {value:,}" for value, sign in parts if value is not None]
    return f", {', '.join(said)}" if said else ""


def default(schema: Schema) -> str:
    """What holds where the key is left out."""
    if "default" not in schema:
        return ""
    value = schema["default"]
    if value is None or value in ([], {}):
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return f"`{value}`"
