"""Hold a text file against guardrails while its bytes pass.

Lists of patterns see all of it as one text. Others are asked about pieces that overlap, a few at a time, so that what
is held is bounded. A verdict counts at the end, where the first in the order of the configuration wins.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from mediagate.core.guardrails import Stage, Subject, Verdict
from mediagate.core.objects import Principal
from mediagate.guardrails.ask import ask_one, first_block, refusal
from mediagate.guardrails.check_text import OVERLAP_CHARS, PIECE_CHARS, PIECES_AT_ONCE
from mediagate.guardrails.decode_text import TextDecoder, is_text
from mediagate.guardrails.outcomes import Outcome
from mediagate.guardrails.rules import NO_GUARDRAILS, Guardrails, JudgesText, Rule, RunningScan, ScansText

FAILURES_MAX: Final = 3
SCAN_BYTES: Final = 1 << 18
UNKNOWN: Final = "application/octet-stream"
OVERSIZE: Final = Verdict(True, category="too_large", reason="It has more bytes than the guardrail reads.")


@dataclass(frozen=True, slots=True)
class CheckFile:
    """Begins the check of a file that is being received."""

    guardrails: Guardrails = NO_GUARDRAILS

    def concerns(self, names: Sequence[str]) -> bool:
        """Whether files are looked at, so that their bytes have to pass; `names` are the guardrails that policies name.
        Raises as `begin` does."""
        return bool(self.guardrails.chain(Stage.TEXT_FILE, names=names))

    def begin(
        self, who: Principal, file_id: str, content_type: str, names: Sequence[str] | None = None
    ) -> TextFileCheck | None:
        """None where nobody looks at such a file. `content_type` is what its first bytes are; `names` are in the place
        of what the policies of `who` name. Raises `ProviderRefused` for a name that is no guardrail."""
        if not is_text(content_type) and content_type != UNKNOWN:
            return None
        names = self.guardrails.of_policies(who) if names is None else names
        rules = self.guardrails.chain(Stage.TEXT_FILE, names=names)
        if not is_text(content_type):
            # One byte makes text unknown to whoever looks for text. Patterns can look at anything, others cannot.
            rules = tuple(rule for rule in rules if isinstance(rule.judge, ScansText))
        if not rules:
            return None
        subject = Subject(
            Stage.TEXT_FILE,
            key_id=who.key_id or "",
            user_id=who.user_id or "",
            team_id=who.team_id or "",
            end_user=who.end_user or "",
            object_id=file_id,
        )
        return TextFileCheck(self.guardrails, rules, subject, content_type)


class TextFileCheck:
    """One file on its way."""

    def __init__(self, guardrails: Guardrails, rules: Sequence[Rule], subject: Subject, content_type: str) -> None:
        self._guardrails = guardrails
        self._readers: list[_Scanned | _Asked] = [
            _Scanned(rule, subject, content_type, rule.judge.scan())
            if isinstance(rule.judge, ScansText)
            else _Asked(rule, subject, content_type)
            for rule in rules
        ]

    async def write(self, chunk: bytes) -> None:
        """Take the next bytes; returns when more can be taken."""
        for reader in self._readers:
            await reader.write(chunk)

    async def finish(self) -> None:
        """All bytes have come. Raises `ContentPolicyViolation`, or `Unavailable`, where the file may not pass."""
        found = await asyncio.gather(*(reader.finish() for reader in self._readers))
        for outcome in found:
            self._guardrails.outcomes.note(outcome)
        stops = first_block(found)
        if stops is not None:
            raise refusal(stops, "file")

    async def abort(self) -> None:
        """Nobody waits for a verdict any more."""
        for reader in self._readers:
            await reader.abort()


class _Reader:
    """What one guardrail reads of the file, up to its limit."""

    def __init__(self, rule: Rule, subject: Subject, content_type: str) -> None:
        self.rule = rule
        self.subject = subject
        self.oversize = False
        self._decoder = TextDecoder(content_type)
        self._left = rule.file_bytes_max
        self.began_s = time.monotonic()

    def decoded(self, chunk: bytes) -> str:
        if len(chunk) > self._left:
            self.oversize = True
            chunk = chunk[: self._left]
        self._left -= len(chunk)
        return self._decoder.feed(chunk) if chunk else ""

    def rest(self) -> str:
        return self._decoder.feed(b"", final=True)

    def capped(self, outcome: Outcome) -> Outcome:
        """The outcome of what was read, as that of the whole."""
        outcome = replace(outcome, duration_s=time.monotonic() - self.began_s)
        if not (self.oversize and outcome.passes and self.rule.blocks_oversize):
            return outcome
        return replace(
            outcome, said="blocked", passes=False, category=OVERSIZE.category, reason=OVERSIZE.reason, cause=""
        )


class _Scanned(_Reader):
    """Read by a scan, in a thread."""

    def __init__(self, rule: Rule, subject: Subject, content_type: str, scan: RunningScan) -> None:
        super().__init__(rule, subject, content_type)
        self._scan = scan
        self._waiting = bytearray()

    async def write(self, chunk: bytes) -> None:
        if self.oversize:
            return
        # A thread for each of many small chunks would cost more than what it does.
        self._waiting += chunk
        if len(self._waiting) >= SCAN_BYTES:
            await asyncio.shield(asyncio.to_thread(self._read, self._taken()))

    def _taken(self) -> bytes:
        taken, self._waiting = bytes(self._waiting), bytearray()
        return taken

    def _read(self, data: bytes) -> None:
        self._scan.feed(self.decoded(data))

    async def finish(self) -> Outcome:
        data = self._taken()

        def end() -> Verdict:
            self._read(data)
            self._scan.feed(self.rest())
            return self._scan.end()

        outcome = await ask_one(self.rule, self.subject, lambda: asyncio.to_thread(end))
        return self.capped(outcome)

    async def abort(self) -> None:
        """Nothing runs between two calls."""


class _Asked(_Reader):
    """Asked about in pieces, until one may not pass. Whoever fails again and again is not asked about every piece of a
    long file."""

    def __init__(self, rule: Rule, subject: Subject, content_type: str) -> None:
        super().__init__(rule, subject, content_type)
        self._text = ""
        self._tasks: set[asyncio.Task[None]] = set()
        self._outcomes: dict[int, Outcome] = {}
        self._number = 0

    async def write(self, chunk: bytes) -> None:
        if self.oversize or self._is_settled():
            return
        self._text += self.decoded(chunk)
        while len(self._text) >= PIECE_CHARS:
            await self._ask(self._text[:PIECE_CHARS])
            self._text = self._text[PIECE_CHARS - OVERLAP_CHARS :]

    async def finish(self) -> Outcome:
        if not self._is_settled():
            self._text += self.rest()
            if self._text.strip() and (len(self._text) > OVERLAP_CHARS or not self._number):
                await self._ask(self._text)
        if self._tasks:
            await asyncio.wait(self._tasks)
        found = [outcome for _, outcome in sorted(self._outcomes.items())]
        stops = first_block(found) or next((outcome for outcome in found if outcome.said != "allowed"), None)
        allowed = Outcome(self.rule.name, self.subject, "allowed", passes=True, duration_s=0.0)
        return self.capped(stops or allowed)

    async def abort(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _is_settled(self) -> bool:
        failures = sum(outcome.said == "failed" for outcome in self._outcomes.values())
        return failures >= FAILURES_MAX or any(not outcome.passes for outcome in self._outcomes.values())

    async def _ask(self, text: str) -> None:
        while len(self._tasks) >= PIECES_AT_ONCE:
            await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        task = asyncio.create_task(self._answered(self._number, text))
        self._number += 1
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answered(self, number: int, text: str) -> None:
        judge = self.rule.judge
        assert isinstance(judge, JudgesText)
        self._outcomes[number] = await ask_one(self.rule, self.subject, lambda: judge.judge_text(self.subject, text))
