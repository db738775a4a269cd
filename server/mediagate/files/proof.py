"""What a caller announces of the bytes, held against those that came."""

from __future__ import annotations

from dataclasses import dataclass

from mediagate.core.errors import ChecksumMismatch, TruncatedUpload


@dataclass(frozen=True, slots=True)
class Received:
    """The bytes of one file, whole. `sha256` is lower-case hexadecimal."""

    size_bytes: int
    sha256: str


@dataclass(slots=True)
class Proof:
    """What the caller announces of the bytes, before or behind them; a member may stay unknown."""

    size_bytes: int | None = None
    sha256: str | None = None

    def check(self, received: Received) -> None:
        """Raises `TruncatedUpload` or `ChecksumMismatch` where the bytes are not those that were announced."""
        if self.size_bytes is not None and received.size_bytes != self.size_bytes:
            raise TruncatedUpload(
                f"{received.size_bytes} bytes arrived, {self.size_bytes} were announced. Send the file again, whole.",
                param="size_bytes",
                received_bytes=received.size_bytes,
                expected_bytes=self.size_bytes,
            )
        if self.sha256 is not None and received.sha256 != self.sha256:
            raise ChecksumMismatch(
                "The bytes that arrived do not have the SHA-256 that was announced. Send the file again.",
                param="sha256",
            )
