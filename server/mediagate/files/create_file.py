"""Create a file from a stream of form events, whichever door they came through."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from mediagate.core.errors import ChecksumMismatch, InvalidField, PayloadTooLarge, TruncatedUpload
from mediagate.core.forms import FieldEnd, FileData, FileEnd, FileStart, FormEvent
from mediagate.core.nesting import nested
from mediagate.core.objects import File, Principal
from mediagate.files.intake import FileFacts, IncomingFile, Intake
from mediagate.files.rules import check_expiry, check_filename, check_purpose
from mediagate.providers.base import StoredBlob


@dataclass(slots=True)
class Proof:
    """What the caller announces of the bytes, before or behind them; a member may stay unknown."""

    size_bytes: int | None = None
    sha256: str | None = None

    def check(self, blob: StoredBlob) -> None:
        """Raises `TruncatedUpload` or `ChecksumMismatch` where the bytes are not those that were announced."""
        if self.size_bytes is not None and blob.size_bytes != self.size_bytes:
            raise TruncatedUpload(
                f"{blob.size_bytes} bytes arrived, {self.size_bytes} were announced. Send the file again, whole.",
                param="size_bytes",
                received_bytes=blob.size_bytes,
                expected_bytes=self.size_bytes,
            )
        if self.sha256 is not None and blob.sha256 != self.sha256:
            raise ChecksumMismatch(
                "The bytes that arrived do not have the SHA-256 that was announced. Send the file again.",
                param="sha256",
            )


@dataclass(frozen=True, slots=True)
class CreateFile:
    """Store a file. Fields may stand before or behind the bytes; what is wrong before them is refused before them."""

    intake: Intake
    file_bytes_max: int
    batch_bytes_max: int

    async def run(self, who: Principal, events: AsyncIterator[FormEvent], proof: Proof | None = None) -> File:
        """`events` must end only where the whole body was proven to have come, and raise otherwise; `proof` is read then.

        Raises `InvalidField`, `TruncatedUpload`, `ChecksumMismatch`, `PayloadTooLarge`. After a failure nothing is left.
        """
        fields: list[tuple[str, str]] = []
        filename = ""
        incoming: IncomingFile | None = None
        try:
            async for event in events:
                match event:
                    case FileData(data) if incoming is not None:
                        await incoming.write(data)
                    case FieldEnd(name, value):
                        fields.append((name, value))
                        if name == "purpose":
                            check_purpose(value)
                    case FileStart(name):
                        if name != "file":
                            raise InvalidField(f"The file must be in the field 'file', not '{name}'.", param=name)
                        filename = event.filename
                        self._refuse_early(filename, fields)
                        incoming = await self.intake.begin(who, size_bytes_max=self.file_bytes_max)
                    case FileEnd():
                        pass
            if incoming is None:
                raise InvalidField("'file' is a required field: a form part with a file name.", param="file")
            facts = self._facts(filename, fields)
            if facts.purpose == "batch" and incoming.size_bytes > self.batch_bytes_max:
                raise PayloadTooLarge(
                    f"File is too large: a batch file may have {self.batch_bytes_max} bytes.",
                    param="file",
                    limit_bytes=self.batch_bytes_max,
                )
            blob = await incoming.store()
            if proof is not None:
                proof.check(blob)
            return await incoming.finish(blob, facts)
        except BaseException:
            if incoming is not None:
                await incoming.abort()
            raise

    def _refuse_early(self, filename: str, fields: list[tuple[str, str]]) -> None:
        purpose = dict(fields).get("purpose")
        if purpose:
            check_filename(filename, purpose)

    def _facts(self, filename: str, fields: list[tuple[str, str]]) -> FileFacts:
        tree: dict[str, Any] = dict(nested(fields))
        purpose = tree.get("purpose")
        if purpose is not None and not isinstance(purpose, str):
            raise InvalidField("'purpose' must be one word.", param="purpose")
        checked = check_purpose(purpose)
        return FileFacts(
            filename=check_filename(filename, checked),
            purpose=checked,
            life_s=check_expiry(tree.get("expires_after"), checked),
        )
