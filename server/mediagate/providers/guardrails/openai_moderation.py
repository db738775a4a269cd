"""The moderation endpoint of OpenAI, and of every server that speaks it: `POST {api_base}/moderations`.

https://platform.openai.com/docs/api-reference/moderations. One text or one picture a request, so that there is one
result.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from mediagate.core.errors import InvalidRequest, MediagateError, ProviderRefused
from mediagate.core.guardrails import CannotJudge, NoAnswer, Picture, Subject, Verdict
from mediagate.providers.answers import bad_answer, reading
from mediagate.providers.http import ProviderHttp
from mediagate.providers.http_failures import nowhere

BASE_URL: Final = "https://api.openai.com/v1"
MODEL: Final = "omni-moderation-latest"
TITLE: Final = "The moderation endpoint"
ANSWER_BYTES_MAX: Final = 1 << 20
NAMED_MAX: Final = 4


@dataclass(frozen=True, slots=True)
class ModerationRules:
    """What counts. `thresholds` are scores from 0 to 1, by category, from which on it is flagged, whatever the endpoint
    says of it; `categories` are those that count, None is every one."""

    model: str = MODEL
    categories: Sequence[str] | None = None
    thresholds: Mapping[str, float] = field(default_factory=dict)


class OpenAIModeration:
    """One endpoint with one key."""

    def __init__(self, api_base: str, api_key: str | None, rules: ModerationRules, *, silence_s: float) -> None:
        async def headers() -> Mapping[str, str]:
            return {"authorization": f"Bearer {api_key}"} if api_key else {}

        self._http = ProviderHttp(TITLE, api_base, headers, silence_s=silence_s)
        self._rules = rules

    async def judge_text(self, subject: Subject, text: str) -> Verdict:
        """Raises `CannotJudge`, `NoAnswer`."""
        return await self._judged(text)

    async def judge_picture(self, subject: Subject, picture: Picture) -> Verdict:
        """Raises `CannotJudge`, `NoAnswer`."""
        content = base64.b64encode(picture.data).decode()
        url = f"data:{picture.content_type};base64,{content}"
        return await self._judged([{"type": "image_url", "image_url": {"url": url}}])

    async def _judged(self, given: Any) -> Verdict:
        try:
            answer = await self._http.json(
                "POST", "moderations", json={"model": self._rules.model, "input": given}, bytes_max=ANSWER_BYTES_MAX
            )
            return self._verdict(answer)
        except FileNotFoundError:
            raise NoAnswer(nowhere(TITLE).code) from None
        except InvalidRequest as error:
            raise CannotJudge(error.code) from None
        except MediagateError as error:
            # A refusal of the key is the operator's to mend, and looks like an endpoint that is away to everybody else.
            raise NoAnswer("credentials_refused" if isinstance(error, ProviderRefused) else error.code) from None

    def _verdict(self, answer: Mapping[str, Any]) -> Verdict:
        with reading(TITLE):
            results = answer["results"]
            if not isinstance(results, list) or not results:
                raise bad_answer(TITLE)
            found = [flag for result in results for flag in self._flags(result)]
        if not found:
            return Verdict(False)
        named = list(dict.fromkeys(found))
        return Verdict(True, category=", ".join(named[:NAMED_MAX]), findings=tuple(named))

    def _flags(self, result: Mapping[str, Any]) -> list[str]:
        """The categories for which one result is flagged, the surest first."""
        flagged, categories = result["flagged"], dict(result.get("categories") or {})
        scores = {name: _score(score) for name, score in dict(result.get("category_scores") or {}).items()}
        if not isinstance(flagged, bool):
            raise bad_answer(TITLE)
        rules = self._rules
        if not rules.thresholds and rules.categories is None:
            named = [name for name, value in categories.items() if value is True]
            return sorted(named, key=lambda name: -scores.get(name, 0.0)) or (["flagged"] if flagged else [])
        counted = rules.categories if rules.categories is not None else {**categories, **scores, **rules.thresholds}
        named = [name for name in counted if self._is_flagged(name, categories, scores)]
        return sorted(named, key=lambda name: -scores.get(name, 0.0))

    def _is_flagged(self, name: str, categories: Mapping[str, Any], scores: Mapping[str, float]) -> bool:
        least = self._rules.thresholds.get(name)
        if least is None:
            return categories.get(name) is True
        if name not in scores:
            # Without the score nothing is known of what was to be held against it.
            raise bad_answer(TITLE)
        return scores[name] >= least

    async def close(self) -> None:
        """Close every connection."""
        await self._http.close()


def _score(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise bad_answer(TITLE)
    return float(value)
