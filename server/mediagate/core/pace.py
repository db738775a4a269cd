"""How slow a transfer may be before it is given up.

Silence alone ends no transfer that trickles, and a few of those would hold every place that there is for transfers.
"""

from __future__ import annotations

from typing import Final

from mediagate.core.limits import KIB

PATIENCE_S: Final = 600.0
BYTES_PER_S_MIN: Final = 256 * KIB


def transfer_s_max(size_bytes: int) -> float:
    """The longest that so many bytes may take, in seconds."""
    return PATIENCE_S + size_bytes / BYTES_PER_S_MIN
