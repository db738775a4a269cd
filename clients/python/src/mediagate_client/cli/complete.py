"""What TAB offers for ids and names. Whatever goes wrong offers nothing."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import Any, Final

import typer

from mediagate_client.cli.where import Flags, find

PATIENCE_S: Final = 2.0
MOST: Final = 100

Offers = list[tuple[str, str]]


def _asked(ctx: typer.Context, path: str, **params: Any) -> list[dict[str, Any]]:
    from mediagate_client.cli.rest import Rest

    names = ("profile", "url", "key", "data_dir", "ca_file", "user")
    own = Flags(**{name: ctx.params.get(name) for name in names})
    before = ctx.obj if isinstance(ctx.obj, Flags) else Flags()
    place = find(Flags(timeout_s=PATIENCE_S).over(own.over(before)), os.environ)
    data: list[dict[str, Any]] = Rest(place).get(path, params)["data"]
    return data


def _offered(incomplete: str, found: Callable[[], Iterator[tuple[str, str]]]) -> Offers:
    with contextlib.suppress(Exception):
        return [(name, about) for name, about in found() if name.startswith(incomplete)]
    return []


def files(ctx: typer.Context, incomplete: str) -> Offers:
    """Ids of the newest files, with their names."""
    return _offered(incomplete, lambda: ((one["id"], one["filename"]) for one in _asked(ctx, "/v1/files", limit=MOST)))


def videos(ctx: typer.Context, incomplete: str) -> Offers:
    """Ids of the newest videos, with what they are to show."""
    return _offered(
        incomplete,
        lambda: (
            (one["id"], f"{one['status']} {one.get('prompt') or ''}"[:60])
            for one in _asked(ctx, "/v1/videos", limit=MOST)
        ),
    )


def models(ctx: typer.Context, incomplete: str) -> Offers:
    """Names of models."""
    return _offered(incomplete, lambda: ((one["id"], "") for one in _asked(ctx, "/v1/models")))


def providers(incomplete: str) -> Offers:
    """Names of providers."""
    known = (
        *("anthropic", "azure", "bedrock", "fal", "gemini", "local", "mistral", "openai", "openai_compatible"),
        *("openrouter", "replicate", "runwayml", "vertex_ai", "xai"),
    )
    return _offered(incomplete, lambda: ((name, "") for name in known))


def profiles(incomplete: str) -> Offers:
    """Names of profiles."""
    from mediagate_client.cli.profiles_file import load

    return _offered(incomplete, lambda: ((name, one.url) for name, one in load(os.environ).known.items()))
