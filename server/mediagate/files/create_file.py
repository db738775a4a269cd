"""Create a file from a stream of form events, whichever door they came through."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mediagate.access.one_time_uploads import OneTimeUploads, Ticket
from mediagate.core.end_users import FIELD, settled_end_user
from mediagate.core.errors import InvalidField, PayloadTooLarge
from mediagate.core.forms import FieldEnd, FileData, FileEnd, FileStart, FormEvent
from mediagate.core.limits import echo
from mediagate.core.nesting import nested
from mediagate.core.objects import File, Principal
from mediagate.core.placement import HEADER, PLACEMENT, required_of, requiring
from mediagate.core.storage import quotas_of
from mediagate.files.facts import FileFacts, Placement
from mediagate.files.intake import IncomingFile, Intake
from mediagate.files.proof import Proof
from mediagate.files.rules import check_expiry, check_filename, check_on_partial, check_purpose
from mediagate.files.spool import Spool
from mediagate.files.upload_terms import within
from mediagate.routing.placement import require, satisfies
from mediagate.routing.stores import LOCAL
from mediagate.routing.targets import Named, Targets, Wish
from mediagate.storage.reserve import SLACK_BYTES, require_room
from mediagate.storage.retention import OPENAI, RetentionDefaults

HERE = Named()


@dataclass(frozen=True, slots=True)
class CreateFile:
    """Store a file. Fields may stand before or behind the bytes; what is wrong before them is refused before them.

    Where the targets are known before the bytes, these go to all of them as they come; else they wait on disk, in
    `spool_dir`.
    """

    intake: Intake
    targets: Targets
    spool_dir: Path
    file_bytes_max: int
    batch_bytes_max: int
    retention: RetentionDefaults = OPENAI

    async def run(
        self,
        who: Principal,
        events: AsyncIterator[FormEvent],
        proof: Proof | None = None,
        *,
        named: Named = HERE,
        file_id: str | None = None,
        body_bytes: int | None = None,
    ) -> File:
        """`events` must end only where the whole body was proven to have come, and raise otherwise; `proof` is read
        then. `named` is what the request names outside its body, `body_bytes` the length of the body where it is known.

        Raises `InvalidField`, `TruncatedUpload`, `ChecksumMismatch`, `PayloadTooLarge`, `StorageQuotaExceeded`, and
        what a target raises; for a caller with a token also what `OneTimeUploads` raises. After a failure, and where
        the caller goes away before the answer, nothing is left, and the token can be used again.
        """
        async with OneTimeUploads(self.intake.db, self.intake.clock).taking(who) as ticket:
            if ticket is not None:
                events = within(ticket.terms, named, events)
            return await self._store(_Form(self, who, proof, named, file_id, body_bytes, ticket), events)

    async def _store(self, form: _Form, events: AsyncIterator[FormEvent]) -> File:
        try:
            async for event in events:
                await form.take(event)
            return await form.finish()
        except BaseException:
            await form.abort()
            raise
        finally:
            form.close()


class _Form:
    """What has come of one form."""

    def __init__(
        self,
        rules: CreateFile,
        who: Principal,
        proof: Proof | None,
        named: Named,
        file_id: str | None,
        body_bytes: int | None,
        ticket: Ticket | None,
    ) -> None:
        self._rules = rules
        self._caller = self._who = who
        self._proof = proof
        self._named = named
        self._file_id = file_id
        self._body_bytes = body_bytes
        self._required = required_of(who)
        self._ticket = ticket
        self._fields: list[tuple[str, str]] = []
        self._wish = Wish()
        self._filename: str | None = None
        self._placement: Placement | None = None
        self._incoming: IncomingFile | None = None
        self._spool: Spool | None = None
        self._purpose = ""
        self._end_user = who.end_user
        self._size_bytes = 0

    async def take(self, event: FormEvent) -> None:
        match event:
            case FileData(data) if self._filename is not None:
                await self._data(data)
            case FieldEnd(name, value):
                self._field(name, value)
            case FileStart(name):
                await self._start(name, event.filename)
            case FileEnd():
                pass

    def _field(self, name: str, value: str) -> None:
        if self._wish.take(name, value):
            # An unknown name is refused before a byte is taken.
            self._rules.targets.named(self._who, self._named, self._wish)
            return
        self._fields.append((name, value))
        if name == FIELD:
            self._end_user = settled_end_user(self._who, value)
        if name == "purpose":
            self._purpose = check_purpose(value)

    async def _start(self, name: str, filename: str) -> None:
        if name != "file":
            shown = echo(name)
            raise InvalidField(f"The file must be in the field 'file', not '{shown}'.", param=shown)
        self._filename = filename
        if self._purpose:
            check_filename(filename, self._purpose)
        self._require_places()
        self._placement = self._placed_early()
        if self._placement is None:
            await self._wait_here()
        else:
            await self._begin(self._placement)

    def _require_places(self) -> None:
        """Add what the fields up to here require of the places."""
        self._who = requiring(self._caller, dict(nested(self._fields)).get(PLACEMENT))
        self._required = required_of(self._who)

    async def _wait_here(self) -> None:
        """The bytes wait on this machine's disk, which is a place like any other."""
        stores = self._rules.intake.stores
        require(stores.accounts.get(LOCAL), LOCAL, self._required, "a file whose target stands behind its bytes")
        if self._body_bytes is not None:
            at_least = max(0, self._body_bytes - SLACK_BYTES)
            await require_room(self._rules.intake.db, quotas_of(self._who, self._end_user), at_least)
        self._spool = Spool(self._rules.spool_dir)

    def _placed_early(self) -> Placement | None:
        """Where the bytes go, if nothing that may still come can change that."""
        stores = self._rules.intake.stores
        accounts = self._rules.targets.named(self._who, self._named, self._wish)
        if accounts is None and (len(stores.accounts) == 1 or not satisfies(stores.accounts[LOCAL], self._required)):
            # There is no other place, or the bytes may not wait here until one is named.
            accounts = self._rules.targets.default(self._who)
        if accounts is None:
            return None
        if not self._purpose and any(stores.account(account).spec.takes_purpose for account in accounts):
            return None
        return self._place(accounts, self._proof.size_bytes if self._proof else None)

    def _place(self, accounts: tuple[str, ...], size_bytes: int | None) -> Placement:
        tree: dict[str, Any] = dict(nested(self._fields))
        purpose = self._purpose or "user_data"
        return Placement(
            targets=accounts,
            filename=check_filename(self._filename or "", purpose),
            purpose=purpose,
            life_s=self._life_so_far(tree.get("expires_after"), purpose),
            size_bytes=size_bytes,
            keeps_partial=check_on_partial(tree.get("on_partial")),
            required=self._required,
        )

    def _life_so_far(self, expires_after: Any, purpose: str) -> int | None:
        """The life that the fields up to here ask for; None where the other half of them may still come."""
        if isinstance(expires_after, dict) and len(expires_after) < 2:
            return None
        return self._rules.retention.life_s(self._who, purpose, check_expiry(expires_after))

    async def _begin(self, placement: Placement) -> IncomingFile:
        self._incoming = await self._rules.intake.begin(
            self._who,
            size_bytes_max=self._rules.file_bytes_max,
            placement=placement,
            file_id=self._file_id,
            end_user=self._end_user,
            bytes_at_most=self._body_bytes,
        )
        return self._incoming

    async def _data(self, data: bytes) -> None:
        self._size_bytes += len(data)
        self._check_size(self._purpose)
        if self._incoming is not None:
            await self._incoming.write(data)
        elif self._spool is not None:
            await self._spool.write(data)

    def _check_size(self, purpose: str) -> None:
        if purpose == "batch" and self._size_bytes > self._rules.batch_bytes_max:
            bytes_max, what = self._rules.batch_bytes_max, "a batch file"
        elif self._size_bytes > self._rules.file_bytes_max:
            bytes_max, what = self._rules.file_bytes_max, "a file"
        else:
            return
        raise PayloadTooLarge(
            f"File is too large: {what} may have {bytes_max} bytes. Larger files go through /v1/uploads.",
            param="file",
            limit_bytes=bytes_max,
        )

    async def finish(self) -> File:
        if self._filename is None:
            raise InvalidField("'file' is a required field: a form part with a file name.", param="file")
        facts = self._facts()
        self._check_size(facts.purpose)
        self._require_places()
        accounts = self._rules.targets.chosen(self._who, self._named, self._wish)
        incoming = self._incoming
        if incoming is None:
            assert self._spool is not None
            incoming = await self._begin(self._place(accounts, self._size_bytes))
            async for chunk in self._spool.read():
                await incoming.write(chunk)
        elif self._placement is not None and set(accounts) != set(self._placement.targets):
            raise InvalidField(
                "The fields before the file and those behind it name different targets. Name all of them in one place.",
                param="custom_llm_provider",
            )
        if self._placement is not None and self._required != self._placement.required:
            raise InvalidField(
                f"'{PLACEMENT}' stands behind the file, whose bytes are on their way by then. Send it before the file, "
                f"or in the header '{HEADER}'.",
                param=PLACEMENT,
            )
        received = await incoming.store(self._proof)
        use = None if self._ticket is None else partial(self._ticket.use, file_id=incoming.id)
        return await incoming.finish(received, facts, also=use)

    async def abort(self) -> None:
        if self._incoming is not None:
            await self._incoming.abort()

    def close(self) -> None:
        if self._spool is not None:
            self._spool.close()

    def _facts(self) -> FileFacts:
        tree: dict[str, Any] = dict(nested(self._fields))
        purpose = tree.get("purpose")
        if purpose is not None and not isinstance(purpose, str):
            raise InvalidField("'purpose' must be one word.", param="purpose")
        checked = check_purpose(purpose)
        check_on_partial(tree.get("on_partial"))
        return FileFacts(
            filename=check_filename(self._filename or "", checked),
            purpose=checked,
            life_s=self._rules.retention.life_s(self._who, checked, check_expiry(tree.get("expires_after"))),
            end_user=self._end_user,
        )
