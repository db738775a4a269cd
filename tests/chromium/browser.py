"""Headless Chromium, the real one: npm's @sparticuz/chromium holds it inside its package, with the libraries and the
fonts that a small machine lacks: https://www.npmjs.com/package/@sparticuz/chromium. Playwright drives it."""

from __future__ import annotations

import os
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.installed import npm_installed

UNPACK = """
const { createReadStream, createWriteStream } = require("node:fs");
const { pipeline } = require("node:stream/promises");
const zlib = require("node:zlib");
const [from, to] = process.argv.slice(1);
pipeline(createReadStream(from), zlib.createBrotliDecompress(), createWriteStream(to));
"""
FONTS = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>{folder}/fonts</dir><cachedir>{folder}/fonts-cache</cachedir></fontconfig>
"""
ARGUMENTS = (
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--autoplay-policy=no-user-gesture-required",
    "--js-flags=--expose-gc",
)
PATIENCE_MS = 30_000
expect.set_options(timeout=PATIENCE_MS)


def installed() -> Path:
    """The folder of the program `chromium`, its libraries in `lib` and its fonts in `fonts`."""
    return npm_installed(Path(__file__).parent, _unpack)


def _unpack(folder: Path) -> None:
    packed = folder / "node_modules" / "@sparticuz" / "chromium" / "bin"
    for name in ("chromium", "al2023.tar", "fonts.tar"):
        target = folder / name
        subprocess.run(["node", "-e", UNPACK, f"{packed / name}.br", str(target)], check=True, timeout=120)
        if target.suffix == ".tar":
            with tarfile.open(target) as tar:
                tar.extractall(folder, filter="data")
            target.unlink()
    (folder / "fonts.conf").write_text(FONTS.format(folder=folder))
    (folder / "chromium").chmod(0o755)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser, until the block ends. Each test makes its own context in it."""
    folder = installed()
    environ: dict[str, str | float | bool] = {
        **os.environ,
        "LD_LIBRARY_PATH": str(folder / "lib"),
        "FONTCONFIG_PATH": str(folder),
    }
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=folder / "chromium", args=ARGUMENTS, env=environ)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def quiet_page(browser: Browser, *expected: str, **options: Any) -> Iterator[Page]:
    """A page of its own context: no cookie and no cache of another; `options` are the context's. That a page broke its
    policy, threw, or wrote an error into the console fails the test, unless it has one of the `expected` words."""
    with browser.new_context(**options) as context:
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        errors: list[str] = []
        page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        # Playwright takes such a dialog over from here on. A listener that comes with the click may be too late.
        page.on("filechooser", lambda chooser: None)
        yield page
        assert not [error for error in errors if not any(word in error for word in expected)]
