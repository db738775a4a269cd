"""How many tokens a chat can come to, before anybody has counted them.

Words are bounded by their bytes, which no tokenizer has more tokens for. Media are bounded by what providers document:
a picture by the most that any of them counts, a document by its bytes, sound and video by their bytes at the lowest
rates that are in use. Nothing is more than the model's window.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from mediagate.core.chat import Dialect, MediaKind, Usage
from mediagate.core.chat_text import size_of
from mediagate.pricing.token_prices import TOKENS_MAX, TokenPrice
from mediagate.pricing.token_rates import GRADES, STANDARD

IMAGE_TOKENS: Final = 6_000
"""Gemini counts up to 2,240 for a picture, Anthropic 4,784, OpenAI 1,536 patches at a factor of 2.46. Two models of
OpenAI's count 33 times as many and ask a 16th of the price."""
IMAGE_TOKENS_GUESS: Final = 1_000
BYTES_PER_TIMED_TOKEN: Final = 16
"""Gemini counts 32 tokens for a second of sound and up to 290 for one of video: 4 kbit/s of sound, 37 of video."""
BYTES_PER_TIMED_TOKEN_GUESS: Final = 200
DOCUMENT_BYTES_PER_TOKEN_GUESS: Final = 20
UNKNOWN_WINDOW: Final = 200_000
"""What media of unknown size, and words that are kept at the provider, come to where nobody says the model's window."""
UNKNOWN_ANSWER: Final = 32_768
"""The longest answer of a model of which nobody says that."""
CHOICES_MAX: Final = 128
LENGTHS: Final = {
    Dialect.CHAT: ("max_completion_tokens", "max_tokens"),
    Dialect.RESPONSES: ("max_output_tokens",),
}
# Words that the provider has already, and that count again.
_KEPT: Final = ("previous_response_id", "conversation", "prompt")


@dataclass(frozen=True, slots=True)
class MediaSize:
    """A file in a body. `size_bytes` is None where nobody knows."""

    kind: MediaKind
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a body says of its tokens. `answer_tokens` is the longest answer that is asked for, None where the model's
    own limit counts; `reads_unknown` where words or media of unknown length are part of it. `guess` is about what the
    request has."""

    input_tokens: int
    guess: int
    audio_tokens: int = 0
    reads_unknown: bool = False
    answer_tokens: int | None = None
    choices: int = 1
    speaks: bool = False
    grade: str = STANDARD

    def most(self, price: TokenPrice | None, assumed_answer: int | None = None) -> Usage:
        """What the call can come to at most. `assumed_answer` is the length of an answer where the caller names
        none."""
        window = None if price is None else price.window
        tokens = self.input_tokens
        if self.reads_unknown:
            tokens += window or UNKNOWN_WINDOW
        if window is not None:
            tokens = min(tokens, window)
        answer = self._answer(price, assumed_answer) * self.choices
        return Usage(
            input_tokens=tokens,
            output_tokens=min(answer, TOKENS_MAX),
            audio_input_tokens=min(self.audio_tokens, tokens),
            audio_output_tokens=answer if self.speaks else 0,
        )

    def _answer(self, price: TokenPrice | None, assumed: int | None) -> int:
        longest = None if price is None else price.answer_max
        if self.answer_tokens is not None:
            return self.answer_tokens if longest is None else min(self.answer_tokens, longest)
        if assumed is not None:
            return assumed if longest is None else min(assumed, longest)
        return longest or UNKNOWN_ANSWER

    def expected(self, price: TokenPrice | None) -> int:
        """About how many tokens count for a limit before the provider has counted them: the request, and the answer as
        long as the caller allows it to be."""
        window = None if price is None else price.window
        tokens = self.guess if window is None else min(self.guess, window)
        return tokens + (0 if self.answer_tokens is None else self._answer(price, None) * self.choices)


def bounds_of(body: Mapping[str, Any], dialect: Dialect, media: Mapping[tuple[str | int, ...], MediaSize]) -> Bounds:
    """Of a caller's body, which may hold anything. `media` are the files in it, by the paths of their parts."""
    size, guess = size_of(body, media.keys())
    tokens = size
    audio, unknown = 0, any(body.get(name) for name in _KEPT if dialect is Dialect.RESPONSES)
    for one in media.values():
        most, about = media_tokens(one)
        unknown = unknown or most is None
        tokens += most or 0
        guess += about
        if one.kind is MediaKind.AUDIO:
            audio += most or UNKNOWN_WINDOW
    modalities = body.get("modalities")
    grade = body.get("service_tier")
    return Bounds(
        input_tokens=tokens,
        guess=guess,
        audio_tokens=audio,
        reads_unknown=unknown,
        answer_tokens=next(
            (count for name in LENGTHS[dialect] if (count := _tokens(body.get(name))) is not None), None
        ),
        choices=min(_tokens(body.get("n")) or 1, CHOICES_MAX),
        speaks=isinstance(modalities, list) and "audio" in modalities,
        grade=grade if isinstance(grade, str) and grade in GRADES[2:] else STANDARD,
    )


def media_tokens(one: MediaSize) -> tuple[int | None, int]:
    """The most, None where nobody can tell, and about how many."""
    if one.kind is MediaKind.IMAGE:
        return IMAGE_TOKENS, IMAGE_TOKENS_GUESS
    if one.size_bytes is None:
        return None, IMAGE_TOKENS_GUESS
    if one.kind is MediaKind.DOCUMENT:
        return one.size_bytes, -(-one.size_bytes // DOCUMENT_BYTES_PER_TOKEN_GUESS)
    return -(-one.size_bytes // BYTES_PER_TIMED_TOKEN), -(-one.size_bytes // BYTES_PER_TIMED_TOKEN_GUESS)


def _tokens(value: object) -> int | None:
    """A length that a caller names; None for what is none, which the provider will say."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        return None
    return min(int(value), TOKENS_MAX) or None
