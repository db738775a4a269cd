"""The id of a finished video where a file may stand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from mediagate.chat.mentioned import Reader
from mediagate.core.chat import Dialect, FileUse, MediaKind, Way
from mediagate.core.chat_mentions import mentions
from mediagate.core.errors import MediagateError, NotFound, StateConflict
from mediagate.core.objects import Principal
from mediagate.providers.registry import chat_spec
from mediagate.routing.catalog import Deployment
from tests.api.access_kit import issue_key
from tests.clouds.references_kit import process
from tests.clouds.studio import VIDEO, Studio

NOVA = "amazon.nova-pro-v1:0"
WHO = Principal("master", uses_providers=True, is_admin=True)


@pytest.fixture(scope="module")
def studio(studios: Callable[[str], Studio]) -> Studio:
    return studios("bedrock")


@pytest.fixture
def http(studio: Studio) -> Iterator[httpx.Client]:
    with studio.gateway.http() as client:
        yield client


def told(studio: Studio, video_id: str, provider: str = "bedrock", who: Principal = WHO) -> tuple[MediaKind, FileUse]:
    body = {"messages": [{"role": "user", "content": [{"type": "video_url", "video_url": {"url": video_id}}]}]}
    deployment = Deployment("d", "m", provider, NOVA, account=provider)
    reader = Reader(deployment, chat_spec(provider), Dialect.CHAT)

    async def run() -> tuple[MediaKind, FileUse]:
        async with process(studio.gateway) as parts:
            files = await parts.resolve_files.load(who, mentions(body, Dialect.CHAT))
            (plan,) = parts.resolve_files.plans(who, files, [reader])
            async with parts.resolve_files.uses(plan) as uses:
                (found,) = uses.values()
                return found

    return asyncio.run(run())


def failure(studio: Studio, *arguments: Any, **options: Any) -> MediagateError:
    with pytest.raises(MediagateError) as error:
        told(studio, *arguments, **options)
    assert error.value.param == "messages[0].content[0].video_url.url"
    return error.value


def test_a_video_is_read_from_its_archive(studio: Studio, http: httpx.Client) -> None:
    done, _ = studio.make(http)
    kind, use = told(studio, done["id"])
    assert (kind, use.way, use.media_type, use.file_id) == (MediaKind.VIDEO, Way.URI, "video/mp4", done["id"])
    assert use.filename == f"{done['id']}.mp4"
    assert use.value.startswith("s3://")
    assert studio.archived(done["id"]) in use.value
    _, linked = told(studio, done["id"], "openai_compatible")
    assert httpx.get(linked.value, verify=False).content == VIDEO


def test_what_is_no_finished_video_of_the_callers_is_refused(studio: Studio, http: httpx.Client) -> None:
    running, job = studio.begin(http)
    error = failure(studio, running["id"])
    assert isinstance(error, StateConflict)
    assert error.code == "video_not_ready"
    studio.deliver(job)
    done, _ = studio.make(http)
    stranger = issue_key(studio.gateway)
    for video_id, who in (
        (done["id"], Principal(f"key:{stranger.id}")),
        (done["id"], Principal("master", end_user="alice")),
        ("video_01jd0000000000000000000000", WHO),
        ("video_nonsense", WHO),
    ):
        assert isinstance(failure(studio, video_id, who=who), NotFound)
    assert http.delete(f"/v1/videos/{done['id']}").status_code == 200
    assert isinstance(failure(studio, done["id"]), NotFound)


def test_a_video_of_which_nothing_is_kept_says_what_helps(studio: Studio, http: httpx.Client) -> None:
    done, _ = studio.make(http)
    studio.rows("UPDATE video SET archive_file_id = NULL WHERE id = %s RETURNING id", done["id"])
    error = failure(studio, done["id"])
    assert error.code == "video_not_kept"
    assert "POST /v1/files" in error.message
