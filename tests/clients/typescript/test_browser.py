"""The client on a page in headless Chromium, whose origin is another than the gateway's: gRPC-Web, and forms."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page

from tests.chromium.browser import quiet_page
from tests.clients.lines import cutting
from tests.clients.typescript.package import Package
from tests.clients.typescript.test_node_files import NAME
from tests.clients.typescript.test_node_trouble import CAUGHT
from tests.conftest import Gateway, free_port

MIB = 1 << 20
ORIGIN = "https://app.example"
PAGE = '<!doctype html><link rel="icon" href="data:,"><title>An application</title><input type="file">'
BEGIN = 'const { Client } = await import("/client.js"); const client = new Client(given);' + CAUGHT


@contextmanager
def application(browser: Browser, package: Package, *expected: str, origin: str = ORIGIN) -> Iterator[Page]:
    """A page of somebody's application, with the bundle that the package brings."""
    bundle = (package.client / "dist" / "browser.bundle.js").read_text()
    # A page of the internet asks the person at the screen before it may reach this machine.
    with quiet_page(browser, *expected, permissions=["local-network-access"]) as page:
        page.route(f"{origin}/", lambda route: route.fulfill(body=PAGE, content_type="text/html"))
        page.route(f"{origin}/client.js", lambda route: route.fulfill(body=bundle, content_type="text/javascript"))
        page.goto(f"{origin}/")
        yield page


def run(page: Page, gateway: Gateway, script: str, **given: object) -> object:
    """Run the body of an async function on the page; `given` are the client's options."""
    options = {"url": gateway.url, "key": gateway.key, **given}
    return page.evaluate(f"async (given) => {{ {BEGIN} {script} }}", options)


def test_a_page_stores_makes_watches_and_deletes(
    gateway: Gateway, browser: Browser, package: Package, tmp_path: Path
) -> None:
    data = os.urandom(3 * MIB + 5)
    (tmp_path / NAME).write_bytes(data)
    with application(browser, package) as page:
        page.set_input_files("input", tmp_path / NAME)
        told = run(
            page,
            gateway,
            """
            const [chosen] = document.querySelector("input").files;
            const progress = [];
            const onProgress = (sent) => progress.push(sent);
            const file = await client.files.upload(chosen, { to: ["local"], onProgress });
            const blob = await client.files.download(file.id).blob();
            const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", await blob.arrayBuffer()));
            const wishes = { model: "local-video", seconds: 1, size: "320x180" };
            const video = await client.videos.create("A boat", { ...wishes, inputReference: file.id })
              .catch(() => client.videos.create("A boat", wishes));
            const types = [];
            for await (const event of client.videos.watch(video.id)) types.push(event.type);
            const film = await client.videos.download(video.id).blob();
            const player = document.createElement("video");
            player.src = URL.createObjectURL(film);
            await new Promise((ready, failed) => { player.onloadeddata = ready; player.onerror = failed; });
            const listed = (await client.files.list({ limit: 5 })).data.some((one) => one.id === file.id);
            await client.files.delete(file.id);
            return { file, type: blob.type, digest: [...digest], last: progress.at(-1), types, listed, film: film.type,
                     width: player.videoWidth, gone: await caught(client.files.get(file.id)),
                     deleted: (await client.videos.delete(video.id)).deleted };
            """,
            user="Zoë",
        )
    assert isinstance(told, dict)
    file = told["file"]
    assert (file["filename"], file["bytes"], told["last"]) == (NAME, len(data), len(data))
    assert (file["mediagate"]["sha256"], file["mediagate"]["user"]) == (hashlib.sha256(data).hexdigest(), "Zoë")
    assert bytes(told["digest"]).hex() == file["mediagate"]["sha256"]
    assert (told["types"][0], told["types"][-1]) == ("snapshot", "end")
    assert (told["film"], told["width"], told["listed"], told["deleted"]) == ("video/mp4", 320, True, True)
    gone = told["gone"]
    assert (gone["name"], gone["reason"], gone["status"]) == ("NotFound", "NOT_FOUND", 404)
    assert gone["request"]


LARGE = """
const data = new Uint8Array(18 << 20).map((_, index) => index % 251);
const large = new File([data], "large.bin", { lastModified: 1 });
"""


def test_a_large_file_of_a_page_goes_in_parts_and_goes_on(gateway: Gateway, browser: Browser, package: Package) -> None:
    with cutting(gateway) as cutter, application(browser, package, "Failed to load", "net::ERR", "CORS") as page:
        line = f"http://127.0.0.1:{cutter.port}"
        # Browsers try again by themselves, once.
        cutter.stays = True
        cutter.limits["up"] = 17 * MIB
        script = """
            const cut = await client.files.upload(large, { parts: true }).catch((error) => error);
            return { name: cut.name, resume: JSON.stringify(cut.resume), parts: Object.keys(cut.resume.parts).length };
        """
        interrupted = run(page, gateway, LARGE + script, url=line, maxRetries=0)
        assert isinstance(interrupted, dict)
        assert interrupted["name"] == "UploadInterrupted"
        assert interrupted["parts"] < 2
        cutter.stays = cutter.away = False
        told = run(
            page,
            gateway,
            LARGE
            + f"const resume = {json.dumps(interrupted['resume'])};"
            + """
            const progress = [];
            const file = await client.files.upload(large, { resume, onProgress: (sent) => progress.push(sent) });
            const stop = new AbortController();
            const stopped = await client.files.upload(large, { parts: true,
              signal: stop.signal, onProgress: () => stop.abort(new Error("enough")) }).catch((error) => error.message);
            const back = await client.files.content(file.id);
            return { stopped, last: progress.at(-1),
                     same: back.length === data.length && back.every((byte, index) => byte === data[index]) };
            """,
            url=line,
        )
    assert told == {"stopped": "enough", "last": 18 * MIB, "same": True}


def test_what_goes_wrong_on_a_page(gateway: Gateway, browser: Browser, package: Package, tmp_path: Path) -> None:
    (tmp_path / "gone.bin").write_bytes(bytes(5 * MIB))
    with application(browser, package, "Failed to load resource", "net::ERR") as page:
        page.set_input_files("input", tmp_path / "gone.bin")
        # A page sees a file as it was when it looked first.
        assert page.evaluate("document.querySelector('input').files[0].size") == 5 * MIB
        (tmp_path / "gone.bin").unlink()
        told = run(
            page,
            gateway,
            f"""
            const [chosen] = document.querySelector("input").files;
            const bytes = new Uint8Array(9);
            const stranger = new Client({{ ...given, key: "sk-nobody" }});
            const away = new Client({{ ...given, url: "http://127.0.0.1:{free_port()}", maxRetries: 0 }});
            """
            + """
            return {
              vanished: await caught(client.files.upload(chosen)),
              stranger: await caught(stranger.files.list()),
              stranger_upload: await caught(stranger.files.upload(bytes)),
              purpose: await caught(client.files.upload(bytes, { purpose: "wishes" })),
              away: await caught(away.files.list()),
              away_upload: await caught(away.files.upload(bytes)),
              path: await caught(client.files.upload("a/path")),
            };
            """,
        )
    assert isinstance(told, dict)
    assert "nothing was thrown" not in told.values(), told
    names = {name: (said["name"], said["reason"]) for name, said in told.items() if name != "path"}
    assert names == {
        "vanished": ("FileChanged", "FILE_CHANGED"),
        "stranger": ("AuthenticationFailed", "INVALID_API_KEY"),
        "stranger_upload": ("AuthenticationFailed", "INVALID_API_KEY"),
        "purpose": ("InvalidRequest", "INVALID_FIELD"),
        "away": ("ConnectionFailed", "UNREACHABLE"),
        "away_upload": ("ConnectionFailed", "UNREACHABLE"),
    }
    assert told["stranger"]["request"]
    assert "cors_allowed_origins" in told["away"]["message"]
    assert told["path"]["name"] == "TypeError"


def test_a_page_of_an_origin_that_is_not_admitted(gateway: Gateway, browser: Browser, package: Package) -> None:
    with application(browser, package, "CORS", "Failed to load", origin="https://other.example") as page:
        told = run(page, gateway, "return caught(client.files.list());", maxRetries=0)
    assert isinstance(told, dict)
    assert told["name"] == "ConnectionFailed"
    assert "cors_allowed_origins" in told["advice"]


def test_a_page_of_the_gateway_needs_the_key_alone(gateway: Gateway, browser: Browser, package: Package) -> None:
    with application(browser, package, origin=gateway.url) as page:
        assert run(page, gateway, "return (await client.files.list({ limit: 1 })).data.length;", url=None) in (0, 1)
