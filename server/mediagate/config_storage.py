"""What the configuration says about stored bytes: how long they are kept, and what the accounts that hold them are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import BaseModel, Field, field_validator

from mediagate.core.placement import REGION, ZERO_RETENTION, label_of

_Purpose = Annotated[str, Field(pattern=r"^(assistants|batch|fine-tune|vision|user_data|evals|\*)$")]
Retention = dict[_Purpose, Annotated[int, Field(ge=1, le=3650)]]
RETENTION: Final = (
    "How long files are kept for which nobody says it, days, by purpose; `*` for every other one. Default: `batch` 30, "
    "others until deleted."
)


class Labelled(BaseModel):
    """What an account is like. Placement, in policies and in requests, is held against this."""

    region: str | None = Field(
        default=None, min_length=1, max_length=256, description="Where the account keeps bytes, such as `eu`."
    )
    zero_retention: bool | None = Field(
        default=None, description="Whether the provider keeps nothing of what it is sent, by contract."
    )
    labels: dict[str, str | bool] = Field(
        default={}, description="Further labels of your own, which placement can require."
    )
    storage_cap_bytes: int | None = Field(
        default=None, gt=0, description="What the account can hold, bytes. Default: what its provider documents."
    )

    @field_validator("labels", mode="before")
    @classmethod
    def _plain(cls, labels: Any) -> Any:
        if isinstance(labels, Mapping):
            for name, value in labels.items():
                label_of(name, value if isinstance(value, bool) else str(value))
            return {str(name): value if isinstance(value, bool) else str(value) for name, value in labels.items()}
        return labels

    def told_labels(self) -> dict[str, str]:
        """Every label that is given."""
        given = {**self.labels, REGION: self.region, ZERO_RETENTION: self.zero_retention}
        return dict(label_of(name, value) for name, value in given.items() if value is not None)
