"""What the text of a URL may be. Nothing of what is refused opens a socket."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediagate.core.addresses import is_public
from mediagate.core.errors import InvalidField
from mediagate.net.fetcher import Fetcher
from mediagate.net.urls import FetchRules, allowed_host, target_of
from tests.unit.net.site import spying

HOSTILE = [
    # other schemes, and what is no URL
    *("", "x", "/etc/passwd", "//example.com/", "https:", "https:/", "https://", "https:///x", "https:example.com"),
    *("http://example.com/", "HTTP://example.com/", "ftp://example.com/", "file:///etc/passwd", "file://localhost/x"),
    *("gopher://127.0.0.1:6379/_x", "dict://127.0.0.1:11211/", "ldap://127.0.0.1/", "unix:/x.sock"),
    *("data:text/plain,x", "jar:https://example.com!/", "ws://example.com/", "javascript:alert(1)"),
    # loopback
    *("https://localhost/", "https://LOCALHOST/", "https://localhost./", "https://a.localhost/", "https://127.0.0.1/"),
    *("https://127.0.0.1./", "https://127.8.8.8/", "https://0.0.0.0/", "https://0/", "https://127.1/", "https://127.0.1/"),
    *("https://2130706433/", "https://017700000001/", "https://0x7f000001/", "https://0x7f.0.0.1/", "https://0177.0.0.1/"),
    *("https://127.0.0.0x1/", "https://0x7f.1/", "https://00000177.1/", "https://127.000.000.001/", "https://0X7F.1/"),
    *("https://4294967297/", "https://340282366920938463463374607431768211457/", "https://127.0.0.1.0/"),
    *("https://１２７.0.0.1/", "https://127。0。0。1/", "https://①②⑦.0.0.1/", "https://ⓛocalhost/", "https://%31%32%37.0.0.1/"),
    *("https://localhost.localdomain/", "https://x.local/", "https://256.256.256.256/", "https://127.0.0.1%00.example/"),
    # private, carrier-grade NAT, metadata
    *("https://10.0.0.1/", "https://172.16.0.1/", "https://192.168.1.1/", "https://100.64.0.1/", "https://169.254.169.254/"),
    *("https://2852039166/", "https://0xA9FEA9FE/", "https://0251.0376.0251.0376/", "https://169.254.43518/"),
    *("https://metadata.google.internal/", "https://metadata.google.internal./", "https://x.internal/"),
    *("https://100.100.100.200/", "https://192.0.0.192/", "https://168.63.129.16/", "https://224.0.0.1/"),
    *("https://255.255.255.255/", "https://198.18.0.1/", "https://203.0.113.1/"),
    # IPv6
    *("https://[::]/", "https://[::1]/", "https://[0:0:0:0:0:0:0:1]/", "https://[::ffff:127.0.0.1]/", "https://[::127.0.0.1]/"),
    *("https://[::ffff:7f00:1]/", "https://[::FFFF:a9fe:a9fe]/", "https://[64:ff9b::127.0.0.1]/", "https://[fe80::1]/"),
    *("https://[64:ff9b::a9fe:a9fe]/", "https://[2002:7f00:1::]/", "https://[fd00:ec2::254]/", "https://[fc00::1]/"),
    *("https://[fe80::1%25eth0]/", "https://[fe80::1%eth0]/", "https://[ff02::1]/", "https://[2001:db8::1]/"),
    *("https://[::1", "https://::1/", "https://[v1.a]/", "https://[]/", "https://[127.0.0.1]/", "https://[::1]x/", "https://[]@"),
    # credentials, ports, and what parsers disagree about
    *("https://user@example.com/", "https://user:pass@example.com/", "https://@example.com/", "https://:@example.com/"),
    *("https://example.com:pass@127.0.0.1/", "https://example.com@127.0.0.1/", "https://127.0.0.1#@example.com/"),
    *("https://127.0.0.1\\@example.com/", "https://example.com\\@127.0.0.1/", "https://example.com:22/"),
    *("https://example.com:8443/", "https://example.com:0/", "https://example.com:99999/", "https://example.com:-1/"),
    *("https://example.com:443:80/", "https://example.com:https/", "https://exa mple.com/", " https://example.com/"),
    *("https://example.com/\r\nX: y", "https://example.com/\nx", "https://example.com/\x00", "https://exam\tple.com/"),
    *("ht\ntps://example.com/", "https://a..b/", "https://.example.com/", "https://-x.example/", "https://ex$ample.com/"),
    *("https://example.com/\u2028", "https://" + "a" * 64 + ".example/", "https://example.com/" + "x" * 9000),
    *("https://example.com/\ud800", "https://a\u202eb.com/", "https://xn--\ud800/"),
]  # fmt: skip


async def nobody(host: str, port: int) -> list[str]:
    raise AssertionError(f"{host} was looked up")


def test_the_table_is_as_long_as_it_is_said_to_be() -> None:
    assert len(set(HOSTILE)) == len(HOSTILE) >= 120


@pytest.mark.parametrize("url", HOSTILE, ids=lambda url: ascii(url)[:48])
async def test_a_hostile_url_is_refused_without_a_look_up_or_a_socket(url: str) -> None:
    with spying() as seen, pytest.raises(InvalidField) as refused:
        async with Fetcher(FetchRules(), resolve=nobody).open(url, param="source"):
            pass
    assert (refused.value.code, refused.value.param, refused.value.http_status) == ("url_not_allowed", "source", 400)
    assert seen == []


@given(
    st.one_of(
        st.text(max_size=60),
        st.text(max_size=60).map("https://{}".format),
        st.text("0123456789abcdefxX.:[]%@/\\#?-", max_size=40).map("https://{}".format),
        st.tuples(st.ip_addresses(), st.text(max_size=5)).map(lambda pair: f"https://{pair[0]}{pair[1]}/"),
        st.ip_addresses(v=6).map("https://[{}]/".format),
        st.ip_addresses(v=4).map(lambda address: f"https://{int(address):#o}/"),
    )
)
def test_any_text_is_refused_or_leads_to_a_public_address_or_to_a_name(text: str) -> None:
    try:
        target = target_of(text, FetchRules(), param="source")
    except InvalidField as refused:
        assert refused.code == "url_not_allowed"
        return
    assert (target.url.scheme, target.url.user, target.url.password) == ("https", None, None)
    assert target.url.raw_host is not None
    assert target.url.raw_host.rstrip(".").lower() == target.host
    assert is_public(target.host) if target.is_address else not re.search(r"(^|\.)(0x[0-9a-f]*|[0-9]+)$", target.host)


@pytest.mark.parametrize(
    ("text", "host", "asked"),
    [
        ("https://example.com", "example.com", "https://example.com/"),
        ("HTTPS://ExAmple.COM:443/x", "example.com", "https://example.com/x"),
        ("https://example.com./x#part", "example.com", "https://example.com./x"),
        ("https://h.example/a%2Cb%7E%41%2f,?x=%2C%3a%20+&y=%41%2b", "h.example", None),
        ("https://h.example?x=1", "h.example", "https://h.example/?x=1"),
        ("https://bücher.example/ü?ö", "xn--bcher-kva.example", "https://xn--bcher-kva.example/%C3%BC?%C3%B6"),
        ("https://ⓔxample。com/", "example.com", "https://example.com/"),
        ("https://1.1.1.1/", "1.1.1.1", None),
        ("https://[2606:4700:0::1111]:443/", "2606:4700::1111", "https://[2606:4700::1111]/"),
        ("https://localhost.example/", "localhost.example", None),
        ("https://127.0.0.1.example/", "127.0.0.1.example", None),
        ("https://a_b.example/@/:x", "a_b.example", None),
    ],
)
def test_a_url_in_order_keeps_its_spelling(text: str, host: str, asked: str | None) -> None:
    target = target_of(text, FetchRules(), param="source")
    assert (target.host, str(target.url), target.port, target.trusted) == (host, asked or text, 443, False)


@pytest.mark.parametrize(
    ("entry", "url", "allowed"),
    [
        ("127.0.0.1:9000", "http://127.0.0.1:9000/", True),
        ("127.0.0.1:9000", "https://127.0.0.1:9000/", True),
        ("127.0.0.1:9000", "http://127.0.0.1:9001/", False),
        ("127.0.0.1:9000", "http://127.0.0.1/", False),
        ("127.0.0.1", "http://127.0.0.1/", True),
        ("127.0.0.1", "http://127.0.0.1:9000/", False),
        ("files.internal", "https://files.internal/", True),
        ("files.internal", "https://FILES.internal./", True),
        ("files.internal", "https://x.files.internal/", False),
        ("files.internal", "https://files.internal.example:444/", False),
        ("[::1]:9000", "http://[0::1]:9000/", True),
        ("Bücher.example:8080", "http://xn--bcher-kva.example:8080/", True),
        ("127.0.0.1:9000", "http://user@127.0.0.1:9000/", False),
        ("127.0.0.1:9000", "http://2130706433:9000/", False),
    ],
)
def test_an_allowed_host_is_exact(entry: str, url: str, allowed: bool) -> None:
    rules = FetchRules(allowed_hosts=frozenset({allowed_host(entry)}), allow_http=True)
    if allowed:
        assert target_of(url, rules, param="source").trusted
    else:
        with pytest.raises(InvalidField):
            target_of(url, rules, param="source")


def test_an_allowed_host_is_no_leave_for_http() -> None:
    rules = FetchRules(allowed_hosts=frozenset({("127.0.0.1", 9000)}))
    with pytest.raises(InvalidField, match="must begin with https://"):
        target_of("http://127.0.0.1:9000/", rules, param="source")


def test_ports_are_those_of_the_rules() -> None:
    rules = FetchRules(ports=frozenset({8443}))
    assert target_of("https://example.com:8443/", rules, param="source").port == 8443
    with pytest.raises(InvalidField, match="port 443"):
        target_of("https://example.com/", rules, param="source")


@pytest.mark.parametrize(
    "entry", ["", "*", "*.example", "a/b", "http://a", "a@b", "a:x", "a:99999", "a b", "127.1", "::1"]
)
def test_what_is_no_host_is_not_allowed(entry: str) -> None:
    with pytest.raises(ValueError, match="host or host:port"):
        allowed_host(entry)
