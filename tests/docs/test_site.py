"""The documents as a site: it builds strictly, every link leads somewhere, and nothing is loaded from elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from playwright.sync_api import Browser

from tests.chromium.browser import quiet_page

ROOT = Path(__file__).resolve().parents[2]


class Links(HTMLParser):
    """What a page links to, what it loads, and the places in it that can be linked to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.places: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.places.add(given.get("id") or given.get("name") or "")
        if tag == "a" and given.get("href"):
            self.links.append(str(given["href"]))
        elif tag == "link" and given.get("rel") != "canonical":
            self.loads.append(given.get("href") or "")
        elif given.get("src"):
            self.loads.append(str(given["src"]))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr + done.stdout
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Links]:
    return {path.resolve(): Links(path.read_text()) for path in site.rglob("*.html")}


def test_it_opens_from_the_disk_and_is_searched_there(site: Path, browser: Browser) -> None:
    with quiet_page(browser) as page:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto((site / "architecture.html").as_uri())
        picture = page.locator("article img")
        picture.wait_for()
        assert picture.evaluate("image => image.complete && image.naturalWidth > 0")
        page.get_by_role("textbox", name="Search").fill("idempotency")
        page.get_by_role("link", name="Repeating a call safely").first.wait_for()
        assert [url for url in asked if not url.startswith("file:")] == []


def test_every_link_of_the_site_leads_somewhere(pages: dict[Path, Links]) -> None:
    assert len(pages) > 40
    lost = []
    for page, found in pages.items():
        if page.name == "404.html":
            continue
        for link in found.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            target = target / "index.html" if target.is_dir() else target
            place = unquote(parts.fragment)
            if not target.exists() or (target in pages and place and place not in pages[target].places):
                lost.append(f"{page.name}: {link}")
    assert lost == []


def test_the_site_loads_nothing_from_elsewhere(pages: dict[Path, Links]) -> None:
    loaded = {link for found in pages.values() for link in found.loads}
    assert {link for link in loaded if urlsplit(link).netloc} == set()
    assert any(link.endswith(".js") for link in loaded)
    assert any(link.endswith(".css") for link in loaded)
