"""Where outputs may be read from: every hop of a link is somebody else's word."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from mediagate.core.errors import ProviderFailed, Unavailable
from mediagate.providers.account import Account
from mediagate.providers.http import ProviderHttp
from mediagate.providers.media_hosts import MediaHosts, PublicHosts
from mediagate.providers.video_calls import settled
from tests.doubles.origin import running_origin

BASE = "http://10.0.0.5:8000/v1"
NAMES = {"video.example": ["93.184.215.14"], "inside.example": ["10.1.2.3"], "both.example": ["93.184.215.14", "::1"]}


@pytest.fixture(autouse=True)
def names(monkeypatch: pytest.MonkeyPatch) -> None:
    """A resolver that knows these and addresses."""
    real = socket.getaddrinfo

    def resolve(host: str, port: Any, *more: Any, **named: Any) -> Any:
        if host.endswith(".example"):
            if host not in NAMES:
                raise socket.gaierror("no such name")
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in NAMES[host]]
        return real(host, port, *more, **named)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)


def hosts(allowed: str = "") -> PublicHosts:
    return PublicHosts(Account("a", "xai", options={"media_hosts": allowed}))


@pytest.mark.parametrize(
    "url",
    [
        f"{BASE}/videos/1/content",
        "https://video.example/1.mp4?sig=a@b",
        "https://93.184.215.14/1.mp4",
        "https://video.example:8443/1.mp4",
    ],
)
async def test_the_account_and_the_public_internet_are_read(url: str) -> None:
    assert await hosts().allow(url, BASE)


@pytest.mark.parametrize(
    "url",
    [
        "http://video.example/1.mp4",
        "http://10.0.0.5:5432/",
        "https://10.0.0.5:8000/v1/videos/1",
        "https://127.0.0.1/1.mp4",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/1.mp4",
        "https://2130706433/1.mp4",
        "https://localhost/1.mp4",
        "https://inside.example/1.mp4",
        "https://both.example/1.mp4",
        "https://user@video.example/1.mp4",
        "https://video.example\\@127.0.0.1/",
        "https://video.example:99999/1.mp4",
        "ftp://video.example/1.mp4",
        "https:///1.mp4",
    ],
)
async def test_nothing_else_is(url: str) -> None:
    assert not await hosts().allow(url, BASE)


async def test_the_configuration_may_allow_more() -> None:
    allowed = hosts("10.0.0.6:9000, inside.example, 127.0.0.1:*")
    for url in ("http://10.0.0.6:9000/1.mp4", "https://inside.example/1.mp4", "https://127.0.0.1:4443/1.mp4"):
        assert await allowed.allow(url, BASE)
    for url in ("http://10.0.0.6:9001/1.mp4", "http://inside.example/1.mp4", "http://127.0.0.1:4443/1.mp4"):
        assert not await allowed.allow(url, BASE)


async def test_of_a_provider_of_anybodys_models_only_known_hosts_are_read() -> None:
    known = MediaHosts(None, ".fal.media")
    assert await known.allow("https://v3.fal.media/1.mp4", BASE)
    for url in ("https://video.example/1.mp4", f"{BASE}/requests/1", "http://v3.fal.media/1.mp4"):
        assert not await known.allow(url, BASE)


async def nothing() -> dict[str, str]:
    return {"authorization": "Bearer secret"}


@pytest.mark.parametrize("hops", [0, 1, 2])
async def test_each_hop_is_judged_before_it_is_asked(hops: int) -> None:
    with running_origin() as own, running_origin() as inside:
        inside.hold("/1.mp4", b"x")
        http = ProviderHttp("Test", own.url, nothing)
        target = f"{inside.url}/1.mp4"
        for hop in range(hops):
            own.hold(f"/{hop}.mp4", b"", status=302, headers={"location": target})
            target = f"{own.url}/{hop}.mp4"
        with pytest.raises(ProviderFailed) as refused:
            await settled(http, target)
        assert refused.value.code == "provider_bad_redirect"
        assert not inside.asked
        there = PublicHosts(Account("a", "xai", options={"media_hosts": inside.url.removeprefix("http://")}))
        origin = await settled(http, target, there)
        assert origin.url == f"{inside.url}/1.mp4"
        assert not origin.headers
        await http.close()


async def test_only_known_hosts_hold_for_redirects_too() -> None:
    with running_origin() as known, running_origin() as other:
        known.hold("/1.mp4", b"", status=302, headers={"location": f"{other.url}/1.mp4"})
        http = ProviderHttp("Test", other.url, nothing)
        account = Account("f", "fal", options={"media_hosts": known.url.removeprefix("http://")})
        with pytest.raises(ProviderFailed):
            await settled(http, f"{known.url}/1.mp4", MediaHosts(account))
        assert not other.asked
        await http.close()


async def test_a_name_that_cannot_be_looked_up_is_no_verdict() -> None:
    http = ProviderHttp("Test", BASE, nothing)
    with pytest.raises(Unavailable):
        await settled(http, "https://unknown.example/1.mp4")
    await http.close()
