"""Files that have to be copied before a chat, through a gateway with two server processes, and links without a key."""

from __future__ import annotations

import concurrent.futures
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import httpx
import openai
import pytest

from tests.api.wire import eventually, sql
from tests.chat.conftest import entry
from tests.conftest import TEST_CONFIG, Gateway, data_folder, free_port, start_gateway
from tests.doubles.chat import KEY as CHAT_KEY
from tests.doubles.chat import ChatServer, chat_server
from tests.doubles.files_and_chat import KEY, SAID, FilesAndChat, files_and_chat
from tests.doubles.gemini import GeminiApi
from tests.doubles.google_chat import GoogleChatApi

PDF = b"%PDF-1.4 a report "
MP4 = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom"
LINK_S = 10
ANSWER = {
    "candidates": [{"content": {"role": "model", "parts": [{"text": SAID}]}, "finishReason": "STOP", "index": 0}],
    "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2},
    "modelVersion": "gemini-flash",
    "responseId": "r1",
}


class Gemini(GeminiApi):
    """Files and models at one place."""

    def __init__(self) -> None:
        super().__init__()
        self.model = GoogleChatApi(is_vertex=False)
        self.model.pieces = [ANSWER]

    def routes(self) -> list[Any]:
        """Those of both."""
        return [*super().routes(), *self.model.routes()]

    def uris(self) -> list[str]:
        """The URIs that were asked about."""
        bodies = [asked.json for asked in self.asked if ":generateContent" in asked.path]
        parts = [part for body in bodies for content in body["contents"] for part in content["parts"]]
        return [part["fileData"]["fileUri"] for part in parts if "fileData" in part]


@dataclass
class Setting:
    gateway: Gateway
    openai: FilesAndChat
    gemini: Gemini
    vllm: ChatServer


@pytest.fixture(scope="module")
def setting() -> Iterator[Setting]:
    with ExitStack() as stack:
        served = stack.enter_context(files_and_chat())
        gemini = Gemini()
        stack.enter_context(gemini.running())
        vllm = stack.enter_context(chat_server())
        port = free_port()
        config = {
            **TEST_CONFIG,
            "model_list": [
                entry("gpt", "openai/gpt-5", f"{served.url}/v1", KEY),
                entry("gem", "gemini/gemini-flash", gemini.url, gemini.key),
                entry("vllm", "openai_compatible/qwen", f"{vllm.url}/v1", CHAT_KEY),
            ],
            "server": {"api_processes": 2},
            "handles": {"public_url": f"http://127.0.0.1:{port}"},
            "chat_files": {"link_s": LINK_S, "wait_s": 60},
        }
        gateway = stack.enter_context(start_gateway(stack.enter_context(data_folder()), config, port))
        yield Setting(gateway, served, gemini, vllm)


@pytest.fixture
def sdk(setting: Setting) -> Iterator[openai.OpenAI]:
    with setting.gateway.openai() as client:
        yield client


def stored(sdk: openai.OpenAI, data: bytes, name: str = "report.pdf") -> str:
    return sdk.files.create(file=(name, data), purpose="user_data", extra_body={"custom_llm_provider": "local"}).id


def ask(sdk: openai.OpenAI, model: str, part: dict[str, Any]) -> str | None:
    content: Any = [{"type": "text", "text": "What is it?"}, part]
    reply = sdk.chat.completions.create(model=model, messages=[{"role": "user", "content": content}])
    return reply.choices[0].message.content


def about(file_id: str) -> dict[str, Any]:
    return {"type": "file", "file": {"file_id": file_id}}


def test_twenty_over_two_processes_make_one_copy(setting: Setting, sdk: openai.OpenAI) -> None:
    file_id = stored(sdk, PDF + secrets.token_bytes(2 << 20))
    setting.openai.slow_s, setting.openai.creates = 1.0, 0
    setting.openai.chats.clear()
    try:
        with concurrent.futures.ThreadPoolExecutor(20) as pool:
            said = list(pool.map(lambda _: one_more(setting, file_id), range(20)))
    finally:
        setting.openai.slow_s = 0.0
    assert said == [SAID] * 20
    assert setting.openai.creates == 1
    assert len(set(setting.openai.told())) == 1
    assert len(setting.openai.told()) == 20


def one_more(setting: Setting, file_id: str) -> str | None:
    """A client of its own, so that connections and with them processes differ."""
    with setting.gateway.openai() as client:
        return ask(client, "gpt", about(file_id))


@pytest.mark.soak
def test_a_killed_copier_delays_nobody_for_good(setting: Setting, sdk: openai.OpenAI) -> None:
    file_id = stored(sdk, PDF + secrets.token_bytes(20 << 20))
    setting.openai.slow_s, setting.openai.creates = 3.0, 0
    said: list[Any] = []
    asking = threading.Thread(target=lambda: said.append(one_more(setting, file_id)))
    asking.start()
    try:
        eventually(lambda: setting.openai.creates, "the copy is on its way")
        setting.gateway.kill("worker")
        setting.openai.slow_s = 0.0
        asking.join(90)
    finally:
        setting.openai.slow_s = 0.0
    assert said == [SAID]
    # What the dead one has left there, if anything, is of no row, and found by its name.
    (ref,) = {row[0] for row in sql(setting.gateway, f"SELECT ref FROM file_replica WHERE file_id = '{file_id}'"
              " AND account = 'openai' AND state = 'ready'")}  # fmt: skip
    assert setting.openai.told()[-1] == ref


def test_a_copy_that_gemini_let_expire_is_made_anew(setting: Setting, sdk: openai.OpenAI) -> None:
    file_id = stored(sdk, PDF + b"for Gemini")
    assert ask(sdk, "gem", about(file_id)) == SAID
    assert ask(sdk, "gem", about(file_id)) == SAID
    assert setting.gemini.uris()[-1] == setting.gemini.uris()[-2]
    first = setting.gemini.uris()[-1]
    assert first.startswith("https://generativelanguage.googleapis.com/v1beta/files/")
    setting.gemini.files.clear()
    sql(
        setting.gateway,
        "UPDATE file_replica SET expires_at = now() - interval '1 second'"
        f" WHERE file_id = '{file_id}' AND account = 'gemini' RETURNING 1",
    )
    assert ask(sdk, "gem", about(file_id)) == SAID
    assert setting.gemini.files, "it is there again"


def test_a_copy_that_is_gone_is_made_anew_and_asked_about_once_more(setting: Setting, sdk: openai.OpenAI) -> None:
    file_id = stored(sdk, PDF + b"that goes")
    assert ask(sdk, "gpt", about(file_id)) == SAID
    setting.openai.files.clear()
    setting.openai.contents.clear()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda _: one_more(setting, file_id), range(8))) == [SAID] * 8
    assert len(setting.openai.files) == 1


def test_a_provider_that_takes_no_files_now_fails_the_chat_as_it_is(setting: Setting, sdk: openai.OpenAI) -> None:
    file_id = stored(sdk, PDF + b"refused")
    setting.openai.keys.clear()
    began = time.monotonic()
    try:
        with pytest.raises(openai.APIStatusError) as failed:
            ask(sdk, "gpt", about(file_id))
    finally:
        setting.openai.keys.add(KEY)
    assert failed.value.status_code == 502
    assert time.monotonic() - began < 30, "told at once, and not waited for"
    assert ask(sdk, "gpt", about(file_id)) == SAID


def test_a_server_that_fetches_gets_a_link_that_works_for_a_while(setting: Setting, sdk: openai.OpenAI) -> None:
    data = MP4 + secrets.token_bytes(100_000)
    video = stored(sdk, data, "clip.mp4")
    ask(sdk, "vllm", {"type": "video_url", "video_url": {"url": f"mediagate://{video}", "fps": 2}})
    told = setting.vllm.journal[-1].body["messages"][0]["content"][1]
    assert told["type"] == "video_url"
    assert told["video_url"]["fps"] == 2
    link = told["video_url"]["url"]
    with httpx.Client(verify=False) as nobody:
        assert nobody.get(link).content == data
        assert nobody.get(link, headers={"range": "bytes=0-7"}).content == data[:8]
        assert nobody.head(link).headers["content-length"] == str(len(data))
        eventually(lambda: nobody.get(link).status_code == 401, "the link is over")


def test_inline_content_and_unknown_members_reach_the_provider_untouched(setting: Setting, sdk: openai.OpenAI) -> None:
    part = {
        "type": "image_url",
        "image_url": {"url": "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ", "detail": "low"},
        "prompt_cache_breakpoint": {"mode": "explicit"},
    }
    ask(sdk, "gpt", part)
    assert setting.openai.chats[-1]["messages"][0]["content"][1] == part
