"""How soon the console is seen, and how much a browser fetches for it.

    uv run python -m bench.console_paint

Each run has a context of its own, so that nothing is cached. Measured are the page as it opens, to its first
contentful paint, with all that it fetches; and what comes behind the key, from the press of the button to the page of
files, with what the API answered.
"""

from __future__ import annotations

import statistics
from typing import Any

from playwright.sync_api import Browser, expect

from bench.harness import KEY, gateway, report
from tests.chromium.browser import chromium

RUNS = 15
PAINT_MS = 1000
BYTES_MAX = 300_000
# The paint is told a moment after it is on the screen. Bytes are those on the wire, headers among them.
PAINT = """() => new Promise((resolve) => {
  new PerformanceObserver((list) => {
    const paint = list.getEntriesByName("first-contentful-paint")[0];
    if (paint) resolve(paint.startTime);
  }).observe({type: "paint", buffered: true});
})"""
FETCHED = """() => [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
  .map((one) => [one.name, one.transferSize])"""


def run(browser: Browser, port: int) -> dict[str, Any]:
    """One visit: milliseconds and bytes."""
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(f"http://127.0.0.1:{port}/console")
        paint_ms = page.evaluate(PAINT)
        expect(page.get_by_role("button", name="Sign in")).to_be_enabled()
        opened = page.evaluate(FETCHED)
        page.get_by_label("Key", exact=True).fill(KEY)
        pressed = page.evaluate("performance.now()")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("heading", name="No files yet")).to_be_visible()
        shown_ms = page.evaluate("performance.now()") - pressed
        everything = page.evaluate(FETCHED)
    return {
        "paint_ms": paint_ms,
        "files_ms": shown_ms,
        "requests": len(opened),
        "sign_in_bytes": sum(size for _, size in opened),
        "all_bytes": sum(size for _, size in everything),
    }


def main() -> None:
    with gateway() as running, chromium() as browser:
        # The first visit of all: the server reads and zips what it serves.
        first = run(browser, running.port)
        runs = [run(browser, running.port) for _ in range(RUNS)]
    figures = {name: statistics.median(one[name] for one in runs) for name in runs[0]}
    figures["worst_paint_ms"] = max(one["paint_ms"] for one in runs)
    figures["first_visit_paint_ms"] = first["paint_ms"]
    print({name: round(value) for name, value in figures.items()})
    report(
        "console_paint",
        figures,
        {
            f"first contentful paint, ms (median of {RUNS})": (figures["paint_ms"], "<", PAINT_MS),
            "first contentful paint of the first visit, ms": (figures["first_visit_paint_ms"], "<", PAINT_MS),
            "bytes on the wire, with the first page behind the sign-in": (figures["all_bytes"], "<", BYTES_MAX),
        },
    )


if __name__ == "__main__":
    main()
