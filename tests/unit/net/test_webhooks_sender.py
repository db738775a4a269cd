"""What posts events: which addresses it goes to, and what it makes of answers that are none."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from mediagate.core.errors import InvalidField
from mediagate.net.urls import FetchRules
from mediagate.net.webhooks import WebhookSender
from tests.unit.net.site import Reply, redirect, reply, serving, spying

PUBLIC = "93.184.216.34"


def resolving(*answers: str) -> Callable[[str, int], Awaitable[Sequence[str]]]:
    """A resolver that gives each answer once, the last one for ever."""
    left = list(answers)

    async def resolve(_host: str, _port: int) -> Sequence[str]:
        return (left.pop(0) if len(left) > 1 else left[0]).split()

    return resolve


def sender_to(port: int, *, timeout_s: float = 5.0) -> WebhookSender:
    """One that may go to a port of this machine."""
    return WebhookSender(FetchRules(allow_http=True, allowed_hosts=frozenset({("127.0.0.1", port)})), timeout_s)


async def test_a_name_that_turns_private_after_it_was_checked_is_not_connected_to() -> None:
    async with serving(reply(b"inside")) as site:
        rules = FetchRules(allow_http=True, ports=frozenset({site.port}))
        for turned in ("127.0.0.1", "10.0.0.1", "::1", "169.254.169.254", f"{PUBLIC} 127.0.0.1"):
            sender = WebhookSender(rules, 5, resolve=resolving(PUBLIC, turned))
            url = f"http://turns.example:{site.port}/hook"
            await sender.check(url, param="url")
            with spying() as connections:
                answer = await sender.post(url, {}, b"{}")
            assert (answer.status_code, answer.error) == (None, "not_allowed")
            assert connections == []
        assert site.requests == []


async def test_a_name_without_an_address_is_told_apart() -> None:
    async def nowhere(_host: str, _port: int) -> Sequence[str]:
        raise OSError("no such name")

    sender = WebhookSender(FetchRules(), 5, resolve=nowhere)
    with pytest.raises(InvalidField) as refused:
        await sender.check("https://nowhere.example/", param="url")
    assert (refused.value.param, refused.value.code) == ("url", "url_not_reachable")
    assert (await sender.post("https://nowhere.example/", {}, b"{}")).error == "not_reachable"


async def test_the_bytes_and_headers_go_as_they_are_and_nothing_of_ours_with_them() -> None:
    async with serving(reply(b"thanks")) as site:
        answer = await sender_to(site.port).post(f"{site.url}/a%2Fb?c=d%20e", {"webhook-id": "evt_1"}, b"{}")
    assert (answer.status_code, answer.error, answer.response) == (200, None, "thanks")
    assert site.requests[0].startswith("POST /a%2Fb?c=d%20e HTTP/1.1\r\n")
    assert (site.header("webhook-id"), site.header("content-length")) == ("evt_1", "2")
    assert (site.header("user-agent"), site.header("accept-encoding")) == ("mediagate", "identity")
    assert site.header("cookie") is None
    assert site.header("authorization") is None


async def test_a_redirect_is_an_answer() -> None:
    async with serving(redirect("http://127.0.0.1:1/")) as site:
        answer = await sender_to(site.port).post(site.url, {}, b"{}")
    assert (answer.status_code, answer.error) == (302, None)
    assert len(site.requests) == 1


async def _never(_: asyncio.StreamWriter) -> None:
    await asyncio.sleep(3600)


async def _half_a_body(writer: asyncio.StreamWriter) -> None:
    writer.write(reply(b"half", length=100))
    await asyncio.sleep(3600)


async def _drips(writer: asyncio.StreamWriter) -> None:
    for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 10_000:
        writer.write(bytes([byte]))
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("answer", "status", "error"),
    [
        (_never, None, "timeout"),
        (_drips, None, "timeout"),
        (_half_a_body, 200, None),
        (b"", None, "not_reachable"),
        (b"SSH-2.0-OpenSSH_9.9\r\n", None, "not_reachable"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n", None, "not_reachable"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: nine\r\n\r\n", None, "not_reachable"),
        (reply(b"\x1f\x8b\x08", "Content-Encoding: gzip"), 200, None),
    ],
)
async def test_an_answer_that_is_none_is_no_fault_of_ours(answer: Reply, status: int | None, error: str | None) -> None:
    async with serving(answer) as site:
        sender = sender_to(site.port, timeout_s=1.5)
        began = asyncio.get_running_loop().time()
        found = await sender.post(site.url, {}, b"{}")
        took_s = asyncio.get_running_loop().time() - began
    assert (found.status_code, found.error) == (status, error)
    assert took_s < 20


async def test_a_closed_port_is_not_reachable() -> None:
    async with serving(reply(b"")) as site:
        pass
    assert (await sender_to(site.port).post(site.url, {}, b"{}")).error == "not_reachable"
