"""What is said of a file before its bytes are known, checked: what it is called and for, and where it goes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mediagate.core.placement import Required


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What the caller says of a file, checked."""

    filename: str
    purpose: str
    life_s: int | None = None
    source: str | None = None
    end_user: str | None = None


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a file goes, and what its stores are told before the first byte. All targets or none, unless
    `keeps_partial`; `size_bytes` only where it is certain. `copies` are the targets whose store copies an object by
    itself, each with the object's URI; `content_type` is what the source says, for when no byte passes
    here. `required` is what the targets must be like, now and whenever the file is copied, by label."""

    targets: tuple[str, ...]
    filename: str = ""
    purpose: str = "user_data"
    life_s: int | None = None
    size_bytes: int | None = None
    keeps_partial: bool = False
    content_type: str | None = None
    copies: Mapping[str, str] = field(default_factory=dict)
    required: Required = field(default_factory=dict)

    @property
    def only_copies(self) -> bool:
        """Whether no byte passes this process."""
        return set(self.copies) == set(self.targets)
