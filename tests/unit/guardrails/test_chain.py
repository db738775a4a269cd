"""Which guardrails run, which of their answers counts, and how long that may take."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
import structlog

from mediagate.core.access import Policy, Scope, ScopeKind
from mediagate.core.errors import ContentPolicyViolation, InvalidField, ProviderRefused, Unavailable
from mediagate.core.guardrails import CannotJudge, NoAnswer, Picture, Stage, Subject, Verdict
from mediagate.core.objects import Principal
from mediagate.guardrails.check_file import PIECE_CHARS, CheckFile
from mediagate.guardrails.check_picture import CheckPicture
from mediagate.guardrails.check_text import CheckText
from mediagate.guardrails.outcomes import Outcome, Outcomes
from mediagate.guardrails.patterns import PatternList
from mediagate.guardrails.rules import Guardrails, Rule

TEXTS = frozenset({Stage.PROMPT, Stage.TEXT_FILE})
SUBJECT = Subject(Stage.PROMPT, model="m")
Answer = Callable[[str], Awaitable[Verdict]]


class Scripted:
    """Says what a test wants."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.seen: list[str] = []

    async def judge_text(self, subject: Subject, text: str) -> Verdict:
        self.seen.append(text)
        return await self.answer(text)

    async def judge_picture(self, subject: Subject, picture: Picture) -> Verdict:
        return await self.answer("picture")

    async def close(self) -> None:
        """Nothing is open."""


async def allow(_: str) -> Verdict:
    return Verdict(False)


async def block(_: str) -> Verdict:
    return Verdict(True, category="evil")


async def slow_block(_: str) -> Verdict:
    await asyncio.sleep(0.05)
    return Verdict(True)


async def away(_: str) -> Verdict:
    raise NoAnswer("unavailable")


async def puzzled(_: str) -> Verdict:
    raise CannotJudge("picture")


async def stumble(text: str) -> Verdict:
    raise RuntimeError(text)


async def never(_: str) -> Verdict:
    await asyncio.Event().wait()
    raise AssertionError


def rule(name: str, answer: Answer, **more: object) -> Rule:
    return Rule(**{"name": name, "judge": Scripted(answer), "stages": TEXTS, "timeout_s": 0.2, **more})  # type: ignore[arg-type]


async def checked(*rules: Rule) -> None:
    await CheckText(Outcomes()).run(rules, SUBJECT, "what was said", param="prompt")


@pytest.mark.parametrize(
    ("rules", "expected", "named"),
    [
        ([rule("a", allow), rule("b", block)], ContentPolicyViolation, "b"),
        ([rule("a", slow_block), rule("b", block)], ContentPolicyViolation, "a"),
        ([rule("a", away), rule("b", slow_block)], ContentPolicyViolation, "b"),
        ([rule("a", away), rule("b", puzzled)], ContentPolicyViolation, "b"),
        ([rule("a", puzzled), rule("b", block)], ContentPolicyViolation, "b"),
        ([rule("a", never), rule("b", away)], Unavailable, "a"),
        ([rule("a", away, blocks_unjudged=False), rule("b", away)], Unavailable, "b"),
        ([rule("a", stumble)], Unavailable, "a"),
        ([rule("a", block, blocks_unjudged=False)], ContentPolicyViolation, "a"),
    ],
)
async def test_which_answer_counts(rules: list[Rule], expected: type[Exception], named: str) -> None:
    with pytest.raises(expected) as raised:
        await checked(*rules)
    assert raised.value.metadata["guardrail"] == named  # type: ignore[attr-defined]


@pytest.mark.parametrize("answer", [away, puzzled, stumble, never, allow])
async def test_what_opens(answer: Answer) -> None:
    await checked(rule("a", answer, blocks_unjudged=False), rule("b", allow))


async def test_all_are_asked_at_the_same_time() -> None:
    everybody = asyncio.Barrier(5)

    async def together(_: str) -> Verdict:
        await everybody.wait()
        return Verdict(False)

    await checked(*(rule(str(number), together, timeout_s=60) for number in range(5)))


async def test_one_that_stumbles_tells_the_log_its_kind_alone() -> None:
    with structlog.testing.capture_logs() as lines, pytest.raises(Unavailable):
        await checked(rule("a", stumble))
    assert [line["cause"] for line in lines] == ["RuntimeError"]
    assert "what was said" not in str(lines)


class Noting(Outcomes):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[Outcome] = []

    def note(self, outcome: Outcome) -> None:
        self.told.append(outcome)


async def test_every_outcome_is_noted_once() -> None:
    noting = Noting()
    with pytest.raises(ContentPolicyViolation):
        await CheckText(noting).run([rule("a", allow), rule("b", block), rule("c", away)], SUBJECT, "x", param="prompt")
    assert [(outcome.guardrail, outcome.said, outcome.passes) for outcome in noting.told] == [
        ("a", "allowed", True),
        ("b", "blocked", False),
        ("c", "failed", False),
    ]


async def test_no_picture_can_be_judged() -> None:
    outcome = await CheckPicture(Outcomes()).run([rule("a", allow)], SUBJECT, None)
    assert outcome is not None
    assert outcome.said == "unjudged"
    assert await CheckPicture(Outcomes()).run([rule("a", allow, blocks_unjudged=False)], SUBJECT, None) is None


def who(**named: tuple[str, ...]) -> Principal:
    scopes = tuple(Scope(ScopeKind(kind), kind, Policy(guardrails=names)) for kind, names in named.items())
    return Principal("owner", key_id="key", scopes=scopes)


RULES = Guardrails(
    [
        rule("always", allow, default_on=True),
        rule("never", allow),
        rule("one-model", allow, default_on=True, models=("veo*",)),
        rule("named-model", allow, models=("veo*",)),
    ],
    {"sora": ("never",)},
)


@pytest.mark.parametrize(
    ("models", "names", "expected"),
    [
        (["other"], (), ["always"]),
        (["veo-3"], (), ["always", "one-model"]),
        (["sora"], (), ["always", "never"]),
        (["sora"], ("never", "always"), ["always", "never"]),
        (["other"], ("never", "named-model"), ["always", "never"]),
        (["alias", "veo-3"], ("named-model",), ["always", "one-model", "named-model"]),
    ],
)
def test_which_run(models: list[str], names: tuple[str, ...], expected: list[str]) -> None:
    assert [found.name for found in RULES.chain(Stage.PROMPT, models=models, names=names)] == expected
    assert RULES.chain(Stage.IMAGE, models=models, names=names) == ()


def test_names() -> None:
    assert RULES.of_policies(who(team=("a", "b"), user=("b",), key=("c", "a"))) == ("a", "b", "c")
    with pytest.raises(ProviderRefused, match="'gone'"):
        RULES.chain(Stage.IMAGE, names=["never", "gone"])
    with pytest.raises(InvalidField, match="'gone'"):
        RULES.asked_for(["gone"])


async def run_file(rules: list[Rule], data: bytes, content_type: str = "text/plain", size: int = 1000) -> None:
    check = CheckFile(Guardrails(rules)).begin(who(), "file-1", content_type)
    assert check is not None
    for at in range(0, len(data), size):
        await check.write(data[at : at + size])
    await check.finish()


def list_of(*words: str, **more: object) -> Rule:
    return rule("list", allow, judge=PatternList(words=words), default_on=True, **more)


async def test_the_first_of_the_chain_counts_for_files_too() -> None:
    later = b"bomb " + b"." * 400_000
    with pytest.raises(ContentPolicyViolation) as raised:
        await run_file([rule("asked", slow_block, default_on=True), list_of("bomb")], later)
    assert raised.value.metadata["guardrail"] == "asked"
    with pytest.raises(ContentPolicyViolation) as raised:
        await run_file([list_of("bomb"), rule("asked", block, default_on=True)], later)
    assert raised.value.metadata["guardrail"] == "list"


async def test_pieces_overlap_and_few_are_on_their_way() -> None:
    now, most = 0, 0

    async def counting(text: str) -> Verdict:
        nonlocal now, most
        now, most = now + 1, max(most, now + 1)
        await asyncio.sleep(0)
        now -= 1
        return Verdict(False)

    text = "".join(f"{number:07} " for number in range(20_000))
    asked = rule("asked", counting, default_on=True)
    await run_file([asked], text.encode())
    seen = asked.judge.seen  # type: ignore[attr-defined]
    whole = seen[0]
    for piece in seen[1:]:
        assert whole.endswith(piece[:256])
        whole += piece[256:]
    assert whole == text
    assert all(len(piece) <= PIECE_CHARS for piece in seen)
    assert most <= 4


async def test_one_that_is_away_is_not_asked_about_every_piece() -> None:
    asked = rule("asked", away, default_on=True, blocks_unjudged=False)
    await run_file([asked], b"a" * 1_000_000)
    assert len(asked.judge.seen) < 10  # type: ignore[attr-defined]


@pytest.mark.parametrize(("blocks", "at", "passes"), [(True, 500, False), (False, 500, False), (False, 5000, True)])
async def test_what_lies_behind_the_limit(blocks: bool, at: int, passes: bool) -> None:
    data = b"." * at + b" bomb " + b"." * 5000
    run = run_file([list_of("bomb", file_bytes_max=1000, blocks_oversize=blocks)], data)
    if passes:
        await run
    else:
        with pytest.raises(ContentPolicyViolation):
            await run
    with pytest.raises(ContentPolicyViolation, match="more bytes"):
        await run_file([list_of("bomb", file_bytes_max=1000)], b"." * 1001)
    await run_file([list_of("bomb", file_bytes_max=1000)], b"." * 1000)


async def test_a_check_that_is_given_up_leaves_no_task() -> None:
    check = CheckFile(Guardrails([rule("asked", never, default_on=True, timeout_s=60)])).begin(who(), "f", "text/plain")
    assert check is not None
    await check.write(b"a" * 40_000)
    before = len(asyncio.all_tasks())
    await check.abort()
    assert len(asyncio.all_tasks()) < before


def test_who_looks_at_what() -> None:
    asked, lists = rule("asked", allow, default_on=True), list_of("bomb")
    check = CheckFile(Guardrails([asked, lists]))
    assert check.begin(who(), "f", "image/png") is None
    assert check.begin(who(), "f", "text/csv") is not None
    assert CheckFile(Guardrails([asked])).begin(who(), "f", "application/octet-stream") is None
    assert CheckFile(Guardrails([lists])).begin(who(), "f", "application/octet-stream") is not None
    assert CheckFile().begin(who(), "f", "text/plain") is None
