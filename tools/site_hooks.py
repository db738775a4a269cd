"""Hooks of MkDocs (`mkdocs.yml`): pages that lie outside of `docs/`, and links that lead out of it.

The documents link to each other as files of the repository, so that a code host can show them. Here each such link
becomes one of the site: to a page, or to a copy of the file under `source/`.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
PAGES = {
    "README.md": "tour.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "clients/python/README.md": "clients/python.md",
    "clients/typescript/README.md": "clients/typescript.md",
    "clients/examples/README.md": "clients/examples.md",
}
"""Files of the repository that are pages too, and where."""
LINK = re.compile(r"(\]\()(?!https?://|mailto:|#)([^)#\s]+)(#[^)\s]*)?(\))")
FENCE = re.compile(r"^ *(```+).*?^ *\1", re.MULTILINE | re.DOTALL)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Let `folder/*` in the navigation stand for every page of the folder."""
    config.nav = [expanded(item) for item in config.nav or []]
    return config


def expanded(item: object) -> object:
    """One entry of the navigation, with those below it."""
    if isinstance(item, dict):
        return {title: expanded(below) for title, below in item.items()}
    if isinstance(item, list):
        return [expanded(one) for one in item]
    if isinstance(item, str) and item.endswith("/*"):
        folder = ROOT / "docs" / item.removesuffix("/*")
        return [path.relative_to(ROOT / "docs").as_posix() for path in sorted(folder.glob("*.md"))]
    return item


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages from outside, and whatever file of the repository a page links to."""
    for path, place in PAGES.items():
        if (ROOT / path).exists():
            files.append(File.generated(config, place, abs_src_path=str(ROOT / path)))
    known = {file.src_uri for file in files}
    for file in [*files.documentation_pages()]:
        for target, _ in targets(Path(str(file.abs_src_path)).read_text(), file.src_uri):
            place = place_of(target)
            if place and place.startswith("source/") and place not in known:
                known.add(place)
                files.append(File.generated(config, place, content=(ROOT / target).read_bytes()))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead the links of a page to what is on the site."""
    here = page.file.src_uri
    rewritten = []
    for text, is_code in pieces(markdown):
        rewritten.append(text if is_code else LINK.sub(lambda match: moved(match, here), text))
    return "".join(rewritten)


def moved(match: re.Match[str], here: str) -> str:
    """One link, as the site has it; as it was where the repository has no such file, which MkDocs complains of."""
    place = place_of(repository_path(match[2], here))
    if place is None:
        return match[0]
    return f"{match[1]}{posixpath.relpath(place, posixpath.dirname(here) or '.')}{match[3] or ''}{match[4]}"


def targets(markdown: str, here: str) -> Iterator[tuple[str, str]]:
    """Path in the repository and anchor of each link of a page of the site."""
    for text, is_code in pieces(markdown):
        if not is_code:
            for match in LINK.finditer(text):
                yield repository_path(match[2], here), (match[3] or "").lstrip("#")


def pieces(markdown: str) -> Iterator[tuple[str, bool]]:
    """The text in its order, with whether each piece is a fenced block."""
    end = 0
    for fence in FENCE.finditer(markdown):
        yield markdown[end : fence.start()], False
        yield fence[0], True
        end = fence.end()
    yield markdown[end:], False


def repository_path(target: str, here: str) -> str:
    """What a link on a page means in the repository."""
    origin = next((path for path, place in PAGES.items() if place == here), f"docs/{here}")
    return posixpath.normpath(posixpath.join(posixpath.dirname(origin), target))


def place_of(path: str) -> str | None:
    """Where the site has a file or folder of the repository; `None` where there is none."""
    if (ROOT / path).is_dir():
        path = posixpath.join(path, "README.md")
    if not (ROOT / path).is_file():
        return None
    if path in PAGES:
        return PAGES[path]
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    # A page of HTML would be one of the site's, and do what it does.
    return f"source/{path}.txt" if path.endswith(".html") else f"source/{path}"
