"""LiteLLM's function names: the same arguments, answers of the same shape."""

from __future__ import annotations

import asyncio
import inspect
import io
import socket

import httpx
import pytest

from mediagate_client import InvalidRequest, NotFound, TimedOut, compat
from tests.api.videos_kit import png
from tests.conftest import Gateway

NOBODYS_FILE = "file-01m80r5888evsr5qhc2d32cd9r"
PEERS_NAMES = (
    *("create_file", "acreate_file", "file_list", "alist_files", "afile_list", "file_retrieve", "aretrieve_file"),
    *("afile_retrieve", "file_delete", "adelete_file", "afile_delete", "file_content", "afile_content"),
    *("video_generation", "avideo_generation", "video_status", "avideo_status", "video_content", "avideo_content"),
    *("video_retrieval", "avideo_retrieval", "video_remix", "avideo_remix"),
)


@pytest.fixture(autouse=True)
def environment(gateway: Gateway, wire: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDIAGATE_URL", gateway.url)
    monkeypatch.setenv("MEDIAGATE_API_KEY", gateway.key)
    monkeypatch.setenv("MEDIAGATE_TRANSPORT", wire)


def test_all_names_are_there() -> None:
    assert set(PEERS_NAMES) <= set(compat.__all__)
    for name in compat.__all__:
        assert inspect.iscoroutinefunction(getattr(compat, name)) == name.startswith("a"), name


EXTRA = ("extra_headers", "extra_body")
QUERY = ("extra_headers", "extra_query", "extra_body")
# What may be given by position, in this order, as the peer's code has it.
ARGUMENTS = {
    "create_file": ("file", "purpose", "expires_after", "custom_llm_provider", *EXTRA),
    "file_list": ("custom_llm_provider", "purpose", *EXTRA),
    "file_retrieve": ("file_id", "custom_llm_provider", *EXTRA),
    "file_delete": ("file_id", "custom_llm_provider", *EXTRA),
    "file_content": ("file_id", "model", "custom_llm_provider", *EXTRA, "chunk_size", "stream"),
    "afile_content": ("file_id", "custom_llm_provider", *EXTRA, "chunk_size", "stream"),
    "video_generation": (
        *("prompt", "model", "input_reference", "seconds", "size", "user", "timeout", "custom_llm_provider"),
        *QUERY,
    ),
    "video_status": ("video_id", "timeout", "custom_llm_provider", *QUERY),
    "video_content": ("video_id", "timeout", "custom_llm_provider", "variant", *QUERY),
    "video_list": ("after", "limit", "order", "timeout", "custom_llm_provider", *QUERY),
    "avideo_list": ("after", "limit", "order", "api_key", "timeout", "custom_llm_provider", *QUERY),
    "video_remix": ("video_id", "prompt", "timeout", "custom_llm_provider", *QUERY),
}


def test_all_arguments_are_the_peers() -> None:
    for name, asked in ARGUMENTS.items():
        for spelling in {name, f"a{name}"} & set(compat.__all__) - (ARGUMENTS.keys() - {name}):
            taken = inspect.signature(getattr(compat, spelling)).parameters.values()
            assert tuple(one.name for one in taken if one.kind is one.POSITIONAL_OR_KEYWORD) == asked, spelling
            assert [one for one in taken if one.kind is one.VAR_KEYWORD], spelling


def test_files(gateway: Gateway) -> None:
    file = compat.create_file(
        file=("data.jsonl", io.BytesIO(b"{}\n"), "application/jsonl"),
        purpose="batch",
        custom_llm_provider="local",
        expires_after={"anchor": "created_at", "seconds": 3600},
        extra_headers={"Authorization": "Bearer of somebody else", "x-mine": "1"},
        num_retries=3,
    )
    assert (file.object, file["filename"], file.purpose) == ("file", "data.jsonl", "batch")
    assert file.expires_at == file.created_at + 3600
    assert compat.file_retrieve(file_id=file.id, api_base=gateway.url, api_key=gateway.key) == file
    assert file.id in [one.id for one in compat.file_list(purpose="batch")]
    assert file.id in [one.id for one in compat.file_list(purpose="batch").data]
    content = compat.file_content(file_id=file.id)
    assert (content.content, content.text, content.read(), content.json()) == (b"{}\n", "{}\n", b"{}\n", {})
    assert compat.file_delete(file_id=file.id).deleted is True
    with pytest.raises(NotFound):
        compat.file_retrieve(file.id)


async def test_async_files() -> None:
    file = await compat.acreate_file(file=b"abc", purpose="user_data", extra_body={"target_model_names": "local-video"})
    assert (await compat.aretrieve_file(file.id)).id == (await compat.afile_retrieve(file.id)).id == file.id
    assert file.id in [one.id for one in await compat.alist_files()]
    assert (await compat.afile_content(file.id)).content == b"abc"
    assert (await compat.adelete_file(file.id)).id == file.id


async def test_a_stream_comes_in_pieces() -> None:
    data = bytes(range(256)) * 40
    file = compat.create_file(file=("streamed.bin", data), purpose="user_data")
    whole = compat.file_content(file.id, stream=True, chunk_size=4096)
    assert whole.headers["content-length"] == str(len(data))
    assert [len(piece) for piece in whole.stream_iterator] == [4096, 4096, 2048]
    stream, _ = await compat.afile_content(file_id=file.id, stream=True)
    assert b"".join([piece async for piece in stream]) == data
    with pytest.raises(NotFound):
        compat.file_content(NOBODYS_FILE, stream=True)


def test_a_timeout_is_kept() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        given = {"api_base": f"http://127.0.0.1:{mute.getsockname()[1]}", "api_key": "sk-a", "max_retries": 0}
        with pytest.raises(TimedOut):
            compat.file_retrieve(NOBODYS_FILE, timeout=0.3, **given)
        with pytest.raises(TimedOut):
            compat.video_status("video_x", 0.3, **given)
        with pytest.raises(TimedOut):
            compat.file_content(NOBODYS_FILE, timeout=httpx.Timeout(60, read=0.3), **given)
        with pytest.raises(InvalidRequest, match="in seconds"):
            compat.file_content(NOBODYS_FILE, timeout="soon", **given)


async def test_videos() -> None:
    video = compat.video_generation("A boat", model="local-video", size="320x180", seconds="1", user="ada")
    assert (video.object, video["status"], video.mediagate.user) == ("video", "queued", "ada")
    while (now := await compat.avideo_status(video_id=video.id, model="x")).status not in ("completed", "failed"):
        await asyncio.sleep(0.1)
    assert now.status == "completed"
    assert compat.video_content(video_id=video.id)[4:8] == b"ftyp"
    assert compat.video_retrieval(video.id, variant="thumbnail")[:4] == b"RIFF"
    remix = compat.video_remix(video_id=video.id, prompt="at night")
    assert remix.remixed_from_video_id == video.id
    assert remix.id in [one.id for one in compat.video_list(limit=50)]
    assert remix.id in [one.id for one in await compat.avideo_list(None, 50)]
    other = await compat.avideo_remix(prompt="at night", model="local-video", input_reference=png(320, 180))
    assert other.remixed_from_video_id is None
    with pytest.raises(InvalidRequest, match="input_reference"):
        compat.video_remix(prompt="at night")
