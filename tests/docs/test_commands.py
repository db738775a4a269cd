"""Every block of the documents is accounted for: it runs as it is printed, or it says beside it who runs it, or why
nobody can here. Only port, keys, folders and pauses are put in."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from mediagate.config import load_config
from mediagate.providers.registry import BATCH_PROVIDERS, CHAT_PROVIDERS, FILE_PROVIDERS, VIDEO_PROVIDERS
from mediagate_client.cli.root import root
from tests.api.videos_kit import SMALL
from tests.conftest import Gateway
from tests.docs.blocks import ROOT, RUNNABLE, SHELL, Anything, Block, blocks, documents, run_elsewhere
from tests.docs.session import Session, run_page

# Pages whose text cannot say who runs them, and pages that need accounts at providers.
ELSEWHERE = {
    "README.md": (
        "tests/docs/test_readme.py",
        "tests/clients/typescript/test_readme.py",
        "tests/clouds/test_readme.py",
        "tests/clouds/test_one_file_many_models.py",
    ),
    "clients/examples/README.md": ("tests/clients/examples/test_examples.py",),
    "clients/python/README.md": ("tests/clients/python/test_client_readme.py",),
    "clients/typescript/README.md": ("tests/clients/typescript/test_readme.py",),
    "docs/batches.md": ("tests/clouds/test_one_file_many_models.py",),
    "docs/chat.md": ("tests/clouds/test_one_file_many_models.py",),
    "docs/responses.md": ("tests/clouds/test_one_file_many_models.py",),
}
EVERY = [block for page in documents() for block in blocks(page)]
COMMAND = re.compile(r"^\s*(?:\$ |curl |uv |pip |npm |mediagate |docker |buf )", re.MULTILINE)
INLINE = re.compile(r"`(?:uv run )?mediagate((?: [^`]+)?)`")


def elsewhere(page: str) -> tuple[str, ...]:
    """The tests that run a page."""
    return ELSEWHERE.get(page, ()) + ((run_elsewhere(page),) if run_elsewhere(page) else ())


def pages_to_run() -> list[str]:
    """Pages with something to run that nobody else runs."""
    found = dict.fromkeys(block.page for block in EVERY if block.language in RUNNABLE and block.language != "yaml")
    return [page for page in found if not elsewhere(page)]


@pytest.fixture
def variables(request: pytest.FixtureRequest, gateway: Gateway) -> dict[str, str]:
    """What a page takes for granted."""
    if request.node.callspec.params["page"] != "docs/handles.md":
        return {}
    with gateway.openai() as client:
        video = client.videos.create_and_poll(**SMALL, prompt="A boat", poll_interval_ms=200)
    return {"VIDEO_ID": video.id}


@pytest.mark.parametrize("page", pages_to_run())
def test_what_a_page_tells_to_run_runs(page: str, gateway: Gateway, variables: dict[str, str], tmp_path: Path) -> None:
    run_page(page, gateway, tmp_path, variables)


def test_who_is_said_to_run_a_page_does() -> None:
    said = {(block.page, block.note) for block in EVERY if block.mark == "run by"}
    said |= {(page, test) for page in documents() for test in elsewhere(page)}
    for page, test in said:
        assert (ROOT / test).is_file(), f"{page} says that {test} runs it"
        assert Path(page).stem in (ROOT / test).read_text(), f"{test} does not name {page}"


# The README's blocks, by a word that each has alone, with the test that runs it and the words by which it finds it.
README = {
    "uv run mediagate dev\n": ("tests/docs/test_commands.py", "test_the_readmes_first_command"),
    "mediagate files upload": ("tests/docs/test_readme.py", '"videos create"'),
    "client.files.list()": ("tests/docs/test_readme.py", '"client.files.list()"'),
    "stream_cls": ("tests/docs/test_readme.py", '"stream_cls"'),
    "curl -N ": ("tests/docs/test_readme.py", '"curl -N"'),
    "from mediagate_client": ("tests/docs/test_readme.py", '"mediagate_client"'),
    "<<'JS'": ("tests/clients/typescript/test_readme.py", "<<'JS'"),
    "WatchVideo(": ("tests/docs/test_readme.py", '"WatchVideo"'),
    "files_settings:": ("tests/clouds/test_readme.py", 'snippets(section, "yaml")'),
    "-F purpose=fine-tune": ("tests/clouds/test_readme.py", "upload, copy = snippets"),
    '"source": "bedrock://': ("tests/clouds/test_readme.py", "upload, copy = snippets"),
    "client.files.retrieve(file.id)": ("tests/clouds/test_readme.py", 'snippets(section, "python")'),
    "for model in models": ("tests/clouds/test_one_file_many_models.py", "## Ask a model about a file"),
    "client.batches.create": ("tests/clouds/test_one_file_many_models.py", "## Ask a model about a file"),
    "cat > share.yaml": ("tests/docs/test_readme.py", '"share.yaml"'),
    "teams create": ("tests/docs/test_readme.py", '"teams create"'),
    "poe test": (".ci/run", "poe test"),
}


def test_every_block_of_the_readme_has_its_test() -> None:
    for block in blocks("README.md"):
        words = [word for word in README if word in block.text]
        assert len(words) == 1, f"{block.name} is run by {words or 'nobody'}"
        test, how = README[words[0]]
        assert how in (ROOT / test).read_text(), f"{test} does not run {block.name}"


def test_the_readmes_first_command_is_one(gateway: Gateway, tmp_path: Path) -> None:
    with Session(gateway, tmp_path) as reader:
        reader.run(next(blocks("README.md")))


def test_few_blocks_cannot_run_and_say_why() -> None:
    left = [block for block in EVERY if block.mark == "not run"]
    assert [block.name for block in left if len(block.note) < 10] == []
    # Whoever adds one shortens this list elsewhere, or has a reason.
    counts: dict[str, int] = defaultdict(int)
    for block in left:
        counts[block.page] += 1
    assert dict(counts) == {"docs/testing.md": 4}, "\n".join(f"{block.name}: {block.note}" for block in left)


def test_blocks_without_a_language_hold_no_commands() -> None:
    hidden = [block for block in EVERY if block.language in ("", "text", "json") and COMMAND.search(block.text)]
    assert [block.name for block in hidden] == []


def configurations() -> Iterator[Any]:
    for block in EVERY:
        if block.language == "yaml" and block.mark == "":
            yield pytest.param(block, id=block.name)
        for inner in re.findall(r"<<'YAML'\n(.*?)\nYAML", block.text, re.DOTALL) if block.language in SHELL else ():
            yield pytest.param(Block(block.page, block.line, "yaml", inner, "", ""), id=f"{block.name} inside")


@pytest.mark.parametrize("block", [*configurations()])
def test_a_configuration_loads_without_a_warning(block: Block, tmp_path: Path) -> None:
    (tmp_path / "our-ca.pem").touch()
    (tmp_path / "config.yaml").write_text(block.text.replace("/etc/ssl/", f"{tmp_path}/"))
    assert load_config(tmp_path / "config.yaml", Anything()).warnings == []


TEMPLATE = (
    "What it can do",
    "Account and permissions",
    "A configuration",
    "What is made there",
    "Limits and expiry",
    "What it costs",
    "Not confirmed with a real account",
)
PROVIDERS = {*FILE_PROVIDERS, *CHAT_PROVIDERS, *BATCH_PROVIDERS, *VIDEO_PROVIDERS} - {"local"}


@pytest.mark.parametrize("provider", sorted(PROVIDERS))
def test_every_provider_has_a_page_of_one_shape(provider: str) -> None:
    """Its configuration names the provider, and is loaded with all others above."""
    page = f"docs/providers/{provider}.md"
    headings = re.findall(r"^## (.+)$", (ROOT / page).read_text(), re.MULTILINE)
    assert tuple(headings[: len(TEMPLATE)]) == TEMPLATE
    assert any(provider in block.text for block in blocks(page) if block.language == "yaml")


def test_commands_in_sentences_exist() -> None:
    """`mediagate keys create --x` in running text names a command and options that there are."""
    said = (
        (page, choice)
        for page in documents()
        for words in INLINE.findall(re.sub(r"```.*?```", "", (ROOT / page).read_text(), flags=re.DOTALL))
        for choice in said_together(words.split())
    )
    assert [f"{page}: mediagate {' '.join(words)}" for page, words in said if not exists(words)] == []


def said_together(words: list[str]) -> Iterator[list[str]]:
    """`retention plan|apply` says two commands."""
    for at, word in enumerate(words):
        if "|" in word and not word.startswith("["):
            for one in word.split("|"):
                yield [*words[:at], one, *words[at + 1 :]]
            return
    yield words


def exists(words: list[str]) -> bool:
    command: Any = root()
    context = typer.Context(command, info_name="mediagate")
    for word in words:
        if word.startswith(("-", "[-")):
            options = {name for param in command.params for name in (*param.opts, *param.secondary_opts)}
            if word.strip("[]").partition("=")[0] not in options | {"--help", "--debug"}:
                return False
        elif hasattr(command, "get_command"):
            below = command.get_command(context, word)
            if below is None:
                return word.isupper() or word == "…"
            command = below
    return True
