"""How `vertex_ai` comes to its bucket, its endpoint and its tokens."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import pytest_asyncio
from aiohttp import web
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from mediagate.core.errors import MediagateError, ProviderRefused, Unavailable, Unsupported
from mediagate.providers.account import Account
from mediagate.providers.files import NewFile
from mediagate.providers.vertex_ai.credentials import GoogleToken, source_of
from mediagate.providers.vertex_ai.files import HOST, build, endpoint_of
from tests.conftest import free_port
from tests.doubles.serving import end


@dataclass
class TokenServer:
    """Google's token endpoint: `life_s` is how long a token lasts, `status` what a call gets."""

    port: int = 0
    life_s: int = 3600
    status: int = 200
    given: int = 0
    grants: list[str] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.Response:
        """Give the next token."""
        form = await request.post()
        self.grants.append(str(form["grant_type"]))
        await asyncio.sleep(0.02)
        if self.status != 200:
            return web.json_response({"error": "invalid_grant", "error_description": "secret-10.0.0.7"}, status=400)
        self.given += 1
        return web.json_response({"access_token": f"token-{self.given}", "expires_in": self.life_s})


@pytest_asyncio.fixture
async def tokens() -> AsyncIterator[TokenServer]:
    """A token endpoint."""
    server = TokenServer()
    app = web.Application()
    app.router.add_post("/token", server.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.port = runner.addresses[0][1]
    yield server
    await end(runner)


@pytest.fixture(scope="module")
def private_key() -> str:
    """A key that no account has."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def key_file(private_key: str, port: int) -> dict[str, Any]:
    """A service account's key, as Google gives it."""
    return {
        "type": "service_account",
        "project_id": "p",
        "private_key_id": "1",
        "private_key": private_key,
        "client_email": "a@p.iam.gserviceaccount.com",
        "token_uri": f"http://127.0.0.1:{port}/token",
    }


def account(**more: Any) -> Account:
    return Account("a", "vertex_ai", bucket_name="some-bucket", **more)


@pytest.mark.parametrize(
    "form", ["path", "text", "mapping", "GCS_PATH_SERVICE_ACCOUNT", "GOOGLE_APPLICATION_CREDENTIALS"]
)
async def test_a_service_account_in_every_form(
    tokens: TokenServer, private_key: str, tmp_path: Path, form: str
) -> None:
    info = key_file(private_key, tokens.port)
    path = tmp_path / "key.json"
    path.write_text(json.dumps(info))
    if form in ("path", "text", "mapping"):
        said: Any = {"path": str(path), "text": json.dumps(info), "mapping": info}[form]
        used = account(options={"vertex_credentials": said}, environ={"GCS_PATH_SERVICE_ACCOUNT": "/nowhere"})
    else:
        used = account(environ={form: str(path)})
    token = GoogleToken(source_of(used), "Google")
    assert await token.headers() == {"authorization": "Bearer token-1"}
    assert tokens.grants == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
    token.close()


async def test_calls_at_the_same_time_share_a_token(tokens: TokenServer, private_key: str) -> None:
    token = GoogleToken(
        source_of(account(options={"vertex_credentials": key_file(private_key, tokens.port)})), "Google"
    )
    found = await asyncio.gather(*(token.headers() for _ in range(20)))
    assert {headers["authorization"] for headers in found} == {"Bearer token-1"}
    assert tokens.given == 1
    token.close()


async def test_a_token_is_renewed_before_it_ends_and_used_while_it_cannot_be(
    tokens: TokenServer, private_key: str
) -> None:
    tokens.life_s = 200
    token = GoogleToken(
        source_of(account(options={"vertex_credentials": key_file(private_key, tokens.port)})), "Google"
    )
    assert (await token.headers())["authorization"] == "Bearer token-1"
    assert (await token.headers())["authorization"] == "Bearer token-2"
    tokens.status = 400
    assert (await token.headers())["authorization"] == "Bearer token-2"
    token.close()


async def test_a_caller_who_goes_away_does_not_break_the_token_of_others(tokens: TokenServer, private_key: str) -> None:
    token = GoogleToken(
        source_of(account(options={"vertex_credentials": key_file(private_key, tokens.port)})), "Google"
    )
    first = asyncio.create_task(token.headers())
    await asyncio.sleep(0.01)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert (await token.headers())["authorization"].startswith("Bearer token-")
    token.close()


async def failure_of(used: Account) -> MediagateError:
    provider = build(used)
    try:
        with pytest.raises(MediagateError) as failed:
            await provider.get("gs://some-bucket/object")
    finally:
        await provider.close()
    for secret in ("10.0.0.7", "127.0.0.1", "PRIVATE", "/nowhere"):
        assert secret not in failed.value.message
    return failed.value


async def test_what_google_refuses_is_refused(tokens: TokenServer, private_key: str) -> None:
    tokens.status = 400
    found = await failure_of(account(options={"vertex_credentials": key_file(private_key, tokens.port)}))
    assert (type(found), found.code) == (ProviderRefused, "provider_credentials_refused")


async def test_a_token_endpoint_that_is_away_is_worth_another_try(private_key: str) -> None:
    found = await failure_of(account(options={"vertex_credentials": key_file(private_key, free_port())}))
    assert (type(found), found.code) == (Unavailable, "provider_unavailable")


@pytest.mark.parametrize("said", ["/nowhere/key.json", "{", "[1]", {"type": "service_account"}, {"type": "?"}])
async def test_credentials_that_cannot_be_read(said: Any) -> None:
    found = await failure_of(account(options={"vertex_credentials": said}))
    assert (type(found), found.code) == (ProviderRefused, "provider_credentials_missing")


async def test_without_credentials_the_first_use_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    found = await failure_of(account())
    assert (type(found), found.code) == (ProviderRefused, "provider_credentials_missing")
    assert "vertex_credentials" in found.message


ENDPOINTS: list[tuple[str | None, dict[str, str], str, bool]] = [
    (None, {}, HOST, False),
    (None, {"STORAGE_EMULATOR_HOST": "127.0.0.1:9023"}, "http://127.0.0.1:9023", True),
    (None, {"STORAGE_EMULATOR_HOST": "https://emulator/"}, "https://emulator", True),
    (None, {"GOOGLE_STORAGE_API_ENDPOINT": "https://storage.private"}, "https://storage.private", False),
    (None, {"API_ENDPOINT_OVERRIDE": "https://storage.private/storage/v1/"}, "https://storage.private", False),
    ("https://storage.private", {"STORAGE_EMULATOR_HOST": "127.0.0.1:9023"}, "https://storage.private", False),
    ("http://127.0.0.1:9023", {}, "http://127.0.0.1:9023", True),
    ("http://127.0.0.1:9023", {"GCS_PATH_SERVICE_ACCOUNT": "/key"}, "http://127.0.0.1:9023", False),
    ("https://us-central1-aiplatform.googleapis.com/v1", {}, HOST, False),
    ("https://aiplatform.googleapis.com", {"STORAGE_EMULATOR_HOST": "emulator:1"}, "http://emulator:1", True),
]


@pytest.mark.parametrize(("api_base", "environ", "url", "is_anonymous"), ENDPOINTS)
def test_where_the_store_is(api_base: str | None, environ: dict[str, str], url: str, is_anonymous: bool) -> None:
    assert endpoint_of(account(api_base=api_base, environ=environ)) == (url, is_anonymous)


@pytest.mark.parametrize(
    ("given", "ref"),
    [
        ({"bucket_name": "some-bucket"}, "gs://some-bucket/mediagate/"),
        ({"bucket_name": "gs://some-bucket/team/"}, "gs://some-bucket/team/mediagate/"),
        ({"options": {"gcs_bucket_name": "some-bucket"}}, "gs://some-bucket/mediagate/"),
        ({"environ": {"GCS_BUCKET_NAME": "some-bucket"}, "prefix": "/a/b/"}, "gs://some-bucket/a/b/"),
    ],
)
async def test_where_objects_lie(given: dict[str, Any], ref: str) -> None:
    provider = build(Account("a", "vertex_ai", **{"api_base": "http://127.0.0.1:1", **given}))
    writer = await provider.create(NewFile(key="file-x", filename="name.txt"))
    assert writer.ref == f"{ref}file-x/name.txt"
    await provider.close()


def test_what_is_missing_is_named() -> None:
    with pytest.raises(ValueError, match="bucket_name is missing; set it in files_settings or GCS_BUCKET_NAME"):
        build(Account("a", "vertex_ai"))
    with pytest.raises(ValueError, match="prefix is empty"):
        build(account(prefix="/"))


async def test_the_key_of_a_service_account_signs_links(private_key: str, tokens: TokenServer) -> None:
    used = account(options={"vertex_credentials": key_file(private_key, tokens.port)})
    store = build(used)
    assert store.signs_links
    link = urlsplit(await store.signed_link("gs://some-bucket/mediagate/a b.mp4", 60.0))
    given = dict(parse_qsl(link.query))
    assert link.path == "/some-bucket/mediagate/a%20b.mp4"
    assert given["X-Goog-Credential"].startswith("a@p.iam.gserviceaccount.com/")
    query = link.query.partition("&X-Goog-Signature=")[0]
    request = f"GET\n{link.path}\n{query}\nhost:{link.netloc}\n\nhost\nUNSIGNED-PAYLOAD"
    scope = given["X-Goog-Credential"].partition("/")[2]
    digest = hashlib.sha256(request.encode()).hexdigest()
    signed = f"GOOG4-RSA-SHA256\n{given['X-Goog-Date']}\n{scope}\n{digest}".encode()
    key = serialization.load_pem_private_key(private_key.encode(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    key.public_key().verify(bytes.fromhex(given["X-Goog-Signature"]), signed, padding.PKCS1v15(), hashes.SHA256())
    assert not tokens.grants, "nobody was asked"
    await store.close()


async def test_credentials_without_a_key_sign_nothing() -> None:
    store = build(account(api_key="ya29.token"))
    with pytest.raises(Unsupported):
        await store.signed_link("gs://some-bucket/a", 60.0)
    await store.close()
    emulator = build(account(environ={"STORAGE_EMULATOR_HOST": "http://127.0.0.1:1"}))
    assert not emulator.signs_links
    with pytest.raises(Unsupported):
        await emulator.signed_link("gs://some-bucket/a", 60.0)
    await emulator.close()
