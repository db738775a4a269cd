"""The section `batches`."""

from __future__ import annotations

from pydantic import Field

from mediagate.config_sections import Strict
from mediagate.core.batches import TrackingRules


class Batches(Strict):
    """How batches are carried to their ends."""

    poll_interval_s: float | None = Field(
        default=None,
        ge=0.1,
        le=3600,
        description="Seconds between two questions about one batch, in the place of each provider's own 30.",
    )
    lost_submit_s: float = Field(
        default=600.0,
        ge=1,
        le=86_400,
        description="A provider that lists no job for a submit whose answer was lost is asked this long before the "
        "batch is submitted again, s.",
    )
    parallel: int = Field(
        default=2, ge=1, le=64, description="Files of batches that one worker reads or writes at the same time."
    )

    @property
    def rules(self) -> TrackingRules:
        """As the tracker wants them."""
        return TrackingRules(self.poll_interval_s, self.lost_submit_s, self.parallel)
