"""The moderation endpoint: against aimock, against a double with OpenAI's documented format, and on bad days."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from PIL import Image

from mediagate.core.guardrails import CannotJudge, NoAnswer, Picture, Stage, Subject
from mediagate.providers.guardrails.openai_moderation import ModerationRules, OpenAIModeration
from tests.doubles.aimock.server import KEY as AIMOCK_KEY
from tests.doubles.aimock.server import aimock_moderations
from tests.doubles.moderations import DOUBTFUL_WORD, HARMFUL_WORD, KEY, Moderations

SUBJECT = Subject(Stage.PROMPT)


@asynccontextmanager
async def endpoint(url: str, key: str = KEY, **rules: Any) -> AsyncIterator[OpenAIModeration]:
    judge = OpenAIModeration(url, key, ModerationRules(**rules), silence_s=10)
    try:
        yield judge
    finally:
        await judge.close()


@pytest.fixture(scope="module")
def double() -> Iterator[Moderations]:
    with Moderations.running() as running:
        yield running


def picture(color: tuple[int, int, int]) -> Picture:
    made = io.BytesIO()
    Image.new("RGB", (64, 36), color).save(made, "WEBP")
    return Picture(made.getvalue(), "image/webp")


async def test_aimock_flags_and_passes() -> None:
    with aimock_moderations("excalibur", "violence") as url:
        async with endpoint(f"{url}/v1", AIMOCK_KEY) as judge:
            assert not (await judge.judge_text(SUBJECT, "a boat")).blocked
            verdict = await judge.judge_text(SUBJECT, "the sword Excalibur")
            assert (verdict.blocked, verdict.category) == (True, "violence")
        async with endpoint(f"{url}/v1", "sk-wrong") as judge:
            with pytest.raises(NoAnswer, match="credentials_refused"):
                await judge.judge_text(SUBJECT, "a boat")


async def test_texts_and_pictures(double: Moderations) -> None:
    async with endpoint(double.url) as judge:
        assert not (await judge.judge_text(SUBJECT, "a boat")).blocked
        assert (await judge.judge_text(SUBJECT, f"a {HARMFUL_WORD} boat")).category == "violence"
        assert not (await judge.judge_picture(SUBJECT, picture((30, 200, 30)))).blocked
        assert (await judge.judge_picture(SUBJECT, picture((220, 30, 30)))).category == "violence/graphic"


@pytest.mark.parametrize(
    ("rules", "word", "blocked"),
    [
        ({"thresholds": {"harassment": 0.3}}, DOUBTFUL_WORD, True),
        ({"thresholds": {"harassment": 0.41}}, DOUBTFUL_WORD, False),
        ({"thresholds": {"harassment": 0.3}}, HARMFUL_WORD, True),
        ({"thresholds": {"violence": 0.99}}, HARMFUL_WORD, False),
        ({"categories": ["sexual"]}, HARMFUL_WORD, False),
        ({"categories": ["sexual", "violence"]}, HARMFUL_WORD, True),
        ({"categories": ["violence"], "thresholds": {"violence": 0.99}}, HARMFUL_WORD, False),
        ({"categories": ["violence"], "thresholds": {"harassment": 0.3}}, DOUBTFUL_WORD, False),
    ],
)
async def test_categories_and_thresholds(double: Moderations, rules: dict[str, Any], word: str, blocked: bool) -> None:
    async with endpoint(double.url, **rules) as judge:
        assert (await judge.judge_text(SUBJECT, word)).blocked is blocked


async def test_what_is_no_answer(double: Moderations) -> None:
    async with endpoint(double.url, "sk-wrong") as judge:
        with pytest.raises(NoAnswer, match="credentials_refused"):
            await judge.judge_text(SUBJECT, "a boat")
    async with endpoint(double.url, model="omni-nothing") as judge:
        with pytest.raises(NoAnswer, match="provider_not_found"):
            await judge.judge_text(SUBJECT, "a boat")
    async with endpoint(double.url) as judge:
        with pytest.raises(CannotJudge):
            await judge.judge_picture(SUBJECT, Picture(b"nothing", "image/tiff"))
    async with endpoint("http://127.0.0.1:9/v1") as judge:
        with pytest.raises(NoAnswer, match="provider_unavailable"):
            await judge.judge_text(SUBJECT, "a boat")
    async with endpoint(double.url, thresholds={"not-a-category": 0.5}) as judge:
        with pytest.raises(NoAnswer, match="provider_bad_answer"):
            await judge.judge_text(SUBJECT, "a boat")


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"results": []},
        {"results": {}},
        {"results": [{}]},
        {"results": [{"flagged": "no"}]},
        {"results": [{"flagged": False, "categories": [1]}]},
        {"results": [{"flagged": False, "category_scores": {"violence": "NaN"}}]},
        {"results": [{"flagged": False, "category_scores": {"violence": float("nan")}}]},
        {"results": [None]},
    ],
)
def test_an_answer_that_makes_no_sense_is_no_allowance(answer: Any) -> None:
    judge = OpenAIModeration("http://127.0.0.1:9", None, ModerationRules(), silence_s=1)
    with pytest.raises(Exception, match="cannot be read"):
        judge._verdict(answer)


def test_flagged_alone_is_enough() -> None:
    judge = OpenAIModeration("http://127.0.0.1:9", None, ModerationRules(), silence_s=1)
    assert judge._verdict({"results": [{"flagged": True}]}).blocked
    assert judge._verdict({"results": [{"flagged": False, "categories": {"hate": True}}]}).blocked
    assert not judge._verdict({"results": [{"flagged": False}]}).blocked
