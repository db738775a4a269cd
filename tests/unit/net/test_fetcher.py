"""The fetcher against real servers on this machine."""

from __future__ import annotations

import asyncio
import datetime
import gzip
import ssl
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from mediagate.core.errors import InvalidField, MediagateError, PayloadTooLarge
from mediagate.net.connection import get
from mediagate.net.errors import TransferBroken
from mediagate.net.fetcher import Fetcher
from mediagate.net.urls import FetchRules, target_of
from tests.doubles.serving import end
from tests.unit.net.site import content_of, fetcher_for, redirect, reply, serving, spying

PUBLIC = "93.184.216.34"


def names(**addresses: Sequence[str]) -> tuple[Callable[[str, int], Awaitable[Sequence[str]]], list[str]]:
    """A resolver that knows `name.example`, and what it was asked. It gives each answer once, the last one for ever."""
    left = {f"{name}.example": [answer.split() for answer in answers] for name, answers in addresses.items()}
    asked: list[str] = []

    async def resolve(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        if host not in left:
            raise OSError("no such name")
        return left[host].pop(0) if len(left[host]) > 1 else left[host][0]

    return resolve, asked


async def refusal(fetcher: Fetcher, url: str, **options: int) -> MediagateError:
    """Why a URL gives no content."""
    with pytest.raises(MediagateError) as error:
        await content_of(fetcher, url, **options)
    assert error.value.param == "source"
    assert "127.0.0.1" not in error.value.message
    return error.value


class TestContent:
    @pytest.mark.parametrize("chunked", [False, True])
    async def test_content_comes_with_what_the_server_says_of_it(self, chunked: bool) -> None:
        headers = (
            "Content-Type: image/PNG; charset=x",
            'ETag: "v1"',
            "Content-Disposition: attachment; filename=a.png",
        )
        async with serving(reply(b"0123456789", *headers, chunked=chunked)) as site:
            found, content = await content_of(fetcher_for(site), f"{site.url}/x/y.bin?z#f")
        assert content == b"0123456789"
        assert (found.content_type, found.size_bytes) == ("image/png", None if chunked else 10)
        assert (found.filename, found.etag) == ("a.png", '"v1"')
        assert site.requests[0].startswith("GET /x/y.bin?z HTTP/1.1\r\n")

    async def test_an_aiohttp_server_is_read_whole_and_in_small_pieces(self) -> None:
        size = 24 << 20

        async def stream(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse()
            await response.prepare(request)
            for _ in range(size >> 20):
                await response.write(b"x" * (1 << 20))
            return response

        app = web.Application()
        app.router.add_get("/", stream)
        runner = web.AppRunner(app)
        await runner.setup()
        server = web.TCPSite(runner, "127.0.0.1", 0)
        await server.start()
        try:
            port = runner.addresses[0][1]
            rules = FetchRules(allow_http=True, allowed_hosts=frozenset({("127.0.0.1", port)}))
            async with Fetcher(rules).open(f"http://127.0.0.1:{port}/", param="source") as found:
                sizes = [len(chunk) async for chunk in found.read()]
        finally:
            await end(runner)
        assert sum(sizes) == size
        assert max(sizes) <= 1 << 20

    @pytest.mark.parametrize(
        ("path", "header", "filename"),
        [
            ("/a/b.mp4", None, "b.mp4"),
            ("/a/b.mp4?c=d.txt", None, "b.mp4"),
            ("/a/b/", None, "b"),
            ("/", None, "upload"),
            ("/%E6%97%A5%20x.png", None, "日 x.png"),
            ("/a%2F..%2Fetc", None, "etc"),
            ("/x", "inline", "x"),
            ("/x", 'attachment; filename="two words.txt"', "two words.txt"),
            ("/x", "attachment; filename=\"plain.txt\"; filename*=UTF-8''na%C3%AFve.txt", "naïve.txt"),
            ("/x", "attachment; filename*=UTF-8''na%C3%AFve.txt; filename=plain.txt", "naïve.txt"),
            ("/x", "attachment; filename*=nonsense''a.txt", "a.txt"),
            ("/x", 'attachment; filename="../../etc/passwd"', "passwd"),
            ("/x", 'attachment; filename="a\u202egpj.exe"', "agpj.exe"),
            ("/x", 'attachment; filename=""', "x"),
            ("/x", ";;;===", "x"),
        ],
    )
    async def test_the_file_name_is_the_servers_or_the_paths_and_always_safe(
        self, path: str, header: str | None, filename: str
    ) -> None:
        headers = () if header is None else (f"Content-Disposition: {header}",)
        async with serving(reply(b"x", *headers)) as site:
            found, _ = await content_of(fetcher_for(site), site.url + path)
        assert found.filename == filename

    async def test_nothing_of_ours_goes_along(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret\n")
        monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
        async with serving(reply(b"through a proxy")) as proxy:
            for variable in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
                monkeypatch.setenv(variable, proxy.url)
            async with serving(redirect("/next"), reply(b"x")) as site:
                assert (await content_of(fetcher_for(site), f"{site.url}/"))[1] == b"x"
            assert proxy.requests == []
        assert len(site.requests) == 2
        for request in range(2):
            head = site.requests[request].lower()
            assert not [name for name in ("authorization", "cookie", "referer", "proxy-") if f"\r\n{name}" in head]
            assert site.header("user-agent", request) == "mediagate"
            assert site.header("accept-encoding", request) == "identity"
            assert site.header("host", request) == f"127.0.0.1:{site.port}"


class TestAddresses:
    @pytest.mark.parametrize(
        "answer",
        ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "fd00:ec2::254", "::ffff:127.0.0.1", "64:ff9b::7f00:1",
         "2002:7f00:1::1", "fe80::1%eth0", f"{PUBLIC} 127.0.0.1", f"10.0.0.1 {PUBLIC}", "2606:4700::1111 ::1"],
    )  # fmt: skip
    async def test_a_name_with_one_refused_address_is_refused_before_any_socket(self, answer: str) -> None:
        resolve, asked = names(evil=[answer])
        with spying() as seen:
            error = await refusal(fetcher_for(resolve=resolve), "https://evil.example/")
        assert (error.code, asked, seen) == ("url_not_allowed", ["evil.example"], [])
        assert not [address for address in answer.split() if address in error.message]

    async def test_a_name_that_is_rebound_is_only_ever_sought_where_it_was_checked(self) -> None:
        async with serving(reply(b"secret")) as site:
            resolve, asked = names(evil=[PUBLIC, "127.0.0.1"])
            rules: dict[str, Any] = {"ports": frozenset({site.port})}
            with spying() as seen:
                error = await refusal(fetcher_for(resolve=resolve, **rules), f"http://evil.example:{site.port}/")
            assert (error.code, asked, set(seen)) == ("url_not_reachable", ["evil.example"], {PUBLIC})
            with spying() as seen:
                error = await refusal(fetcher_for(resolve=resolve, **rules), f"http://evil.example:{site.port}/")
        assert (error.code, seen, site.requests) == ("url_not_allowed", [], [])

    async def test_a_connection_goes_to_the_checked_address_with_the_names_host(self) -> None:
        async with serving(reply(b"x")) as site:
            rules = FetchRules(allow_http=True, ports=frozenset({site.port}))
            target = target_of(f"http://name.example:{site.port}/", rules, param="source")
            answer = await get(target, ["127.0.0.1"], rules, {})
            assert await answer.response.content.read() == b"x"
            await answer.close()
        assert site.header("host") == f"name.example:{site.port}"

    async def test_no_socket_is_made_for_an_address_that_was_not_checked(self) -> None:
        async with serving(reply(b"x")) as site:
            rules = FetchRules(allow_http=True, allowed_hosts=frozenset({("127.0.0.1", site.port)}))
            target = target_of(site.url, rules, param="source")
            with spying() as seen, pytest.raises(aiohttp.ClientConnectorError):
                await get(target, [PUBLIC], rules, {})
        assert (seen, site.requests) == ([], [])

    @pytest.mark.parametrize("host", ["nobody.example", "nobody.invalid", "x" * 63 + ".example"])
    async def test_a_name_without_an_address_is_not_reachable(self, host: str) -> None:
        resolve, _ = names()
        assert (await refusal(fetcher_for(resolve=resolve), f"https://{host}/")).code == "url_not_reachable"

    async def test_the_systems_resolver_is_asked_and_its_answer_checked(self) -> None:
        rules = FetchRules(ports=frozenset({443}))
        with spying() as seen:
            error = await refusal(Fetcher(rules), "https://ip6-localhost/")
        assert error.code in ("url_not_allowed", "url_not_reachable")
        assert seen == []

    async def test_a_resolver_that_does_not_answer_is_not_waited_for(self) -> None:
        async def silent(host: str, port: int) -> Sequence[str]:
            await asyncio.sleep(60)
            return []

        fetcher = fetcher_for(resolve=silent, connect_s=0.05)
        assert (await asyncio.wait_for(refusal(fetcher, "https://slow.example/"), 20)).code == "url_not_reachable"

    async def test_a_certificate_must_be_of_the_name(self, tmp_path: Path) -> None:
        server, client = tls_for("good.example", tmp_path)
        resolve, _ = names(good=["127.0.0.1"], bad=["127.0.0.1"])
        async with serving(reply(b"x"), ssl=server) as site:
            hosts = frozenset({("good.example", site.port), ("bad.example", site.port)})
            fetcher = Fetcher(FetchRules(allowed_hosts=hosts), resolve=resolve, tls=client)
            assert (await content_of(fetcher, f"https://good.example:{site.port}/"))[1] == b"x"
            bad = await refusal(fetcher, f"https://bad.example:{site.port}/")
            unknown = Fetcher(FetchRules(allowed_hosts=hosts), resolve=resolve)
            stranger = await refusal(unknown, f"https://good.example:{site.port}/")
        assert (bad.code, stranger.code, len(site.requests)) == ("url_not_reachable", "url_not_reachable", 1)


class TestRedirects:
    @pytest.mark.parametrize(
        "status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect"]
    )
    async def test_three_redirects_are_followed(self, status: str) -> None:
        async with serving(redirect("b?c", status), redirect("/d", status), redirect("//127.0.0.1/")) as site:
            site.replies = [*site.replies[:2], redirect(f"{site.url}/e.txt", status), reply(b"x")]
            found, content = await content_of(fetcher_for(site), f"{site.url}/a/a")
        assert [request.split()[1] for request in site.requests] == ["/a/a", "/a/b?c", "/d", "/e.txt"]
        assert (content, found.filename) == (b"x", "e.txt")

    async def test_the_fourth_is_not_and_so_a_loop_ends(self) -> None:
        async with serving(redirect("/")) as site:
            error = await refusal(fetcher_for(site), site.url)
        assert (error.code, len(site.requests)) == ("url_not_reachable", 4)

    @pytest.mark.parametrize(
        "location",
        ["http://127.0.0.1:1/", "https://127.0.0.1/", "https://169.254.169.254/latest/meta-data/", "//localhost/",
         "https://[::1]/", "https://evil.example/", "file:///etc/passwd", "ftp://example.com/", "https://u:p@x.example/",
         "https://2130706433/", "\\\\127.0.0.1\\x", "https://[::1", "https://metadata.google.internal/"],
    )  # fmt: skip
    async def test_a_redirect_is_checked_like_the_first_url(self, location: str) -> None:
        resolve, _ = names(evil=["127.0.0.1"])
        async with serving(redirect(location)) as site:
            with spying() as seen:
                error = await refusal(fetcher_for(site, resolve=resolve), site.url)
        assert (error.code, seen, len(site.requests)) == ("url_not_allowed", ["127.0.0.1"], 1)

    async def test_a_redirect_from_https_to_http_is_not_followed(self, tmp_path: Path) -> None:
        server, client = tls_for("good.example", tmp_path)
        resolve, _ = names(good=["127.0.0.1"])
        async with serving(reply(b"x")) as plain, serving(redirect(plain.url), ssl=server) as site:
            hosts = frozenset({("good.example", site.port), ("127.0.0.1", plain.port)})
            fetcher = Fetcher(FetchRules(allowed_hosts=hosts), resolve=resolve, tls=client)
            error = await refusal(fetcher, f"https://good.example:{site.port}/")
        assert (error.code, plain.requests) == ("url_not_allowed", [])

    async def test_a_redirect_to_nowhere_is_none(self) -> None:
        async with serving(reply(b"", status="302 Found")) as site:
            assert (await refusal(fetcher_for(site), site.url)).code == "url_not_reachable"


class TestBounds:
    async def test_a_size_that_is_announced_is_refused_before_a_byte(self) -> None:
        async with serving(reply(b"x" * 11)) as site:
            error = await refusal(fetcher_for(site), site.url, bytes_max=10)
            assert isinstance(error, PayloadTooLarge)
            assert (error.code, error.http_status) == ("url_too_large", 413)
            assert (await refusal(fetcher_for(site, bytes_max=10), site.url, bytes_max=100)).code == "url_too_large"
            assert (await content_of(fetcher_for(site), site.url, bytes_max=11))[1] == b"x" * 11

    async def test_a_body_without_an_end_is_cut_at_the_limit(self) -> None:
        sent = 0

        async def endless(writer: asyncio.StreamWriter) -> None:
            nonlocal sent
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            while True:
                writer.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
                await writer.drain()
                sent += 65536

        async with serving(endless) as site:
            assert (await refusal(fetcher_for(site), site.url, bytes_max=1 << 20)).code == "url_too_large"
        assert sent < 16 << 20

    @pytest.mark.parametrize("coding", ["Content-Encoding: gzip", "Content-Encoding: br", "Transfer-Encoding: gzip"])
    async def test_what_is_compressed_all_the_same_is_refused(self, coding: str) -> None:
        async with serving(reply(gzip.compress(b"0" * 10_000_000), coding)) as site:
            assert (await refusal(fetcher_for(site), site.url)).code == "url_not_reachable"

    async def test_a_server_that_dribbles_is_cut_off_in_the_whole_time(self) -> None:
        async def dribble(writer: asyncio.StreamWriter) -> None:
            writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 10000\r\nETag: "v1"\r\n\r\n')
            while True:
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.02)

        async with serving(dribble) as site:
            fetcher = fetcher_for(site, silence_s=5, whole_s=60)
            with pytest.raises(TransferBroken):
                await asyncio.wait_for(content_of(fetcher, site.url, whole_s=0.4), 20)
        assert len(site.requests) == 1

    async def test_a_head_that_dribbles_is_cut_off_in_the_whole_time(self) -> None:
        async def dribble(writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\n")
            while True:
                writer.write(b"X: y\r\n")
                await writer.drain()
                await asyncio.sleep(0.05)

        async with serving(dribble) as site:
            error = await asyncio.wait_for(refusal(fetcher_for(site, whole_s=0.4), site.url), 20)
        assert error.code == "url_not_reachable"

    @pytest.mark.parametrize("begun", [False, True])
    async def test_a_silent_server_is_not_waited_for(self, begun: bool) -> None:
        async def silent(writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx" if begun else b"")
            await asyncio.sleep(60)

        async with serving(silent) as site:
            with pytest.raises(TransferBroken if begun else InvalidField):
                await asyncio.wait_for(content_of(fetcher_for(site, silence_s=0.1, connect_s=0.1), site.url), 20)

    async def test_a_reader_that_stops_ends_the_connection(self) -> None:
        ended = asyncio.Event()

        async def endless(writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
            try:
                while True:
                    writer.write(b"x" * 65536)
                    await writer.drain()
            finally:
                ended.set()

        async with serving(endless) as site:
            async with fetcher_for(site, bytes_max=1 << 40).open(site.url, param="source") as found:
                async for _ in found.read():
                    break
            await asyncio.wait_for(ended.wait(), 20)


@pytest.mark.parametrize(
    "answer",
    [
        reply(b"x", status="404 Not Found"),
        reply(b"x", status="401 Unauthorized"),
        reply(b"x", status="500 Oops"),
        reply(b"x", "Content-Range: bytes 0-0/1", status="206 Partial Content"),
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"",
    ],
    ids=lambda answer: ascii(answer)[:30],
)
async def test_what_is_no_content_is_not_reachable(answer: bytes) -> None:
    async with serving(answer) as site:
        assert (await refusal(fetcher_for(site), site.url)).code == "url_not_reachable"


async def test_a_port_where_nobody_listens_is_not_reachable() -> None:
    async with serving() as site:
        pass
    assert (await refusal(fetcher_for(site), site.url)).code == "url_not_reachable"


def tls_for(name: str, folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's and a client's side of a certificate for `name` that only these two know."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    ).public_bytes(serialization.Encoding.PEM)
    plain = serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    (folder / "server.pem").write_bytes(pem + certificate)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "server.pem")
    return server, ssl.create_default_context(cadata=certificate.decode())
