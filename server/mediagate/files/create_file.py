"""Create a file from a stream of form events, whichever door they came through."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from mediagate.core.errors import ChecksumMismatch, InvalidField, PayloadTooLarge, TruncatedUpload
from mediagate.core.forms import FieldEnd, FileData, FileEnd, FileStart, FormEvent
from mediagate.core.limits import echo
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
        """`events` must end only where the whole body was proven to have come, and raise otherwise; `proof` is read
        then.

        Raises `InvalidField`, `TruncatedUpload`, `ChecksumMismatch`, `PayloadTooLarge`. After a failure, and where the
        caller goes away before the answer, nothing is left.
        """
        form = _Form(self, who)
        try:
            async for event in events:
                await form.take(event)
            return await form.finish(proof)
        except BaseException:
            await form.abort()
            raise


class _Form:
    """What has come of one form."""

    def __init__(self, rules: CreateFile, who: Principal) -> None:
        self._rules = rules
        self._who = who
        self._fields: list[tuple[str, str]] = []
        self._filename = ""
        self._incoming: IncomingFile | None = None
        self._purpose = ""

    async def take(self, event: FormEvent) -> None:
        match event:
            case FileData(data) if self._incoming is not None:
                await self._incoming.write(data)
                self._check_size(self._incoming, self._purpose)
            case FieldEnd(name, value):
                self._fields.append((name, value))
                if name == "purpose":
                    self._purpose = check_purpose(value)
            case FileStart(name):
                await self._start(name, event.filename)
            case FileEnd():
                pass

    async def _start(self, name: str, filename: str) -> None:
        if name != "file":
            shown = echo(name)
            raise InvalidField(f"The file must be in the field 'file', not '{shown}'.", param=shown)
        self._filename = filename
        if self._purpose:
            check_filename(filename, self._purpose)
        self._incoming = await self._rules.intake.begin(self._who, size_bytes_max=self._rules.file_bytes_max)

    async def finish(self, proof: Proof | None) -> File:
        if self._incoming is None:
            raise InvalidField("'file' is a required field: a form part with a file name.", param="file")
        facts = self._facts()
        self._check_size(self._incoming, facts.purpose)
        blob = await self._incoming.store()
        if proof is not None:
            proof.check(blob)
        return await self._incoming.finish(blob, facts)

    async def abort(self) -> None:
        if self._incoming is not None:
            await self._incoming.abort()

    def _check_size(self, incoming: IncomingFile, purpose: str) -> None:
        bytes_max = self._rules.batch_bytes_max
        if purpose == "batch" and incoming.size_bytes > bytes_max:
            raise PayloadTooLarge(
                f"File is too large: a batch file may have {bytes_max} bytes.", param="file", limit_bytes=bytes_max
            )

    def _facts(self) -> FileFacts:
        tree: dict[str, Any] = dict(nested(self._fields))
        purpose = tree.get("purpose")
        if purpose is not None and not isinstance(purpose, str):
            raise InvalidField("'purpose' must be one word.", param="purpose")
        checked = check_purpose(purpose)
        return FileFacts(
            filename=check_filename(self._filename, checked),
            purpose=checked,
            life_s=check_expiry(tree.get("expires_after"), checked),
        )
