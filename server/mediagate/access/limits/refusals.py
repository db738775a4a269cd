"""What somebody is told who asks for more than a limit allows."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Final

from mediagate.core.errors import RateLimited
from mediagate.core.rates import WINDOW_S, duration_text

CODE: Final = "rate_limit_exceeded"
PARALLEL_RETRY_S: Final = 1.0


class Measure(StrEnum):
    """What is limited, as the member of `Policy` is named."""

    REQUESTS = "requests_per_minute"
    TOKENS = "tokens_per_minute"
    UPLOADS = "uploads_per_minute"
    BYTES = "bytes_per_minute"
    PARALLEL_REQUESTS = "parallel_requests"
    PARALLEL_UPLOADS = "parallel_uploads"

    @property
    def words(self) -> str:
        """For a sentence."""
        return self.value.replace("_", " ")


def rate_refusal(measure: Measure, scope: str, limit: int, retry_after_s: float) -> RateLimited:
    """Nothing is left in this minute. `scope` is `KIND:ID`."""
    kind = scope.partition(":")[0]
    # A limit of nothing never has room again; it may be changed.
    wait_s = max(0.001, retry_after_s) if math.isfinite(retry_after_s) else WINDOW_S
    return RateLimited(
        f"Rate limit reached for {measure.words} of this {kind}: Limit {limit} / min. "
        f"Try again in {duration_text(wait_s)}.",
        code=CODE,
        retry_after_s=wait_s,
        limit=limit,
        measure=measure.value,
        scope=kind,
    )


def parallel_refusal(measure: Measure, scope: str, limit: int) -> RateLimited:
    """As many as are allowed are running."""
    kind = scope.partition(":")[0]
    return RateLimited(
        f"Rate limit reached for {measure.words} of this {kind}: Limit {limit} at once. "
        f"Try again in {duration_text(PARALLEL_RETRY_S)}, or when one of them has ended.",
        code=CODE,
        retry_after_s=PARALLEL_RETRY_S,
        limit=limit,
        measure=measure.value,
        scope=kind,
    )
