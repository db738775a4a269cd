"""A chat model in OpenAI's shape, and in Anthropic's, as cheap as it can be, so that what is measured is the gateway.

`python -m bench.chat_server` prints its port. Every answer is a stream: the first words after `FIRST_S`, the others a
few dozen times a second. A model whose name ends in `-hold` says its first words and then nothing more.
"""

from __future__ import annotations

import asyncio
import json

import uvloop

FIRST_S = 0.05
WORDS = 20
PAUSE_S = 0.025


def event(tree: dict[str, object], name: str = "") -> bytes:
    named = f"event: {name}\n" if name else ""
    return f"{named}data: {json.dumps(tree)}\n\n".encode()


def chunk(delta: dict[str, object], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    head = {"id": "chatcmpl-bench", "object": "chat.completion.chunk", "created": 1, "model": "bench"}
    return event({**head, "choices": [choice]})


CHAT = (
    chunk({"role": "assistant", "content": "Well"}),
    chunk({"content": " and so on"}),
    chunk({}, "stop") + b"data: [DONE]\n\n",
)
MESSAGES = (
    event(
        {
            "type": "message_start",
            "message": {
                "id": "msg_bench", "type": "message", "role": "assistant", "model": "bench", "content": [],
                "stop_reason": None, "usage": {"input_tokens": 5, "output_tokens": 1},
            },
        },
        "message_start",
    )
    + event(
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        "content_block_start",
    )
    + event(
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Well"}},
        "content_block_delta",
    ),
    event(
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": " and so on"}},
        "content_block_delta",
    ),
    event({"type": "content_block_stop", "index": 0}, "content_block_stop")
    + event(
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": WORDS}},
        "message_delta",
    )
    + event({"type": "message_stop"}, "message_stop"),
)  # fmt: skip


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n", 1)[0] or 0)
            body = await reader.readexactly(length)
            first, word, last = MESSAGES if b"/messages" in head.split(b"\r\n", 1)[0] else CHAT
            await asyncio.sleep(FIRST_S)
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
            send(writer, first)
            if b"-hold" in body[:200]:
                await asyncio.Event().wait()
            for _ in range(WORDS):
                await asyncio.sleep(PAUSE_S)
                send(writer, word)
            send(writer, last)
            writer.write(b"0\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


def send(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(b"%x\r\n%s\r\n" % (len(data), data))


async def main() -> None:
    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
