"""The bill of one request, whichever deployments it is sent to: opened before the first, ended with the answer.

    async with Tab(money, who, bounds, limits, id_, model) as tab:
        await tab.at(deployment)             # before each that is asked
        answer = await tab.serve(answer)     # the one that answers; its end settles the bill

Leaving without an answer charges nothing, unless the caller left while a provider was at work on it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

from mediagate.chat.bounds import Bounds
from mediagate.chat.exchange import Answer, Outcome
from mediagate.chat.money import Bill, Chat, ChatMoney, TakesTokens
from mediagate.core.chat import Used
from mediagate.core.errors import MediagateError
from mediagate.core.objects import Principal
from mediagate.routing.catalog import Deployment


@dataclass(slots=True)
class Tab:
    """One request's. `id` is that of its answer; `headers` say what it came to, where that is known before they go."""

    money: ChatMoney
    who: Principal
    bounds: Bounds
    limits: TakesTokens | None
    id: str
    model: str
    headers: tuple[tuple[str, str], ...] = ()
    _bill: Bill | None = None
    _outcome: Outcome | None = None
    _refusal: MediagateError | None = None

    async def at(self, deployment: Deployment) -> None:
        """This deployment is asked next. Raises as `ChatMoney.open` does."""
        try:
            if self._bill is None:
                chat = Chat(self.id, self.model, deployment, deployment.model_account)
                self._bill = await self.money.open(self.who, chat, self.bounds, self.limits)
            elif self._bill.chat.deployment.id != deployment.id:
                await self._bill.move(deployment, deployment.model_account)
        except MediagateError as error:
            self._refusal = error
            raise

    def has_refused(self, error: MediagateError) -> bool:
        """Whether it was a limit of the caller's that said so, and not a provider: asking another does not help."""
        return error is self._refusal

    def tokens(self, deployment: Deployment) -> int:
        """About what the answer of a deployment comes to."""
        return self.bounds.expected(self.money.costs.price(deployment))

    async def serve(self, answer: Answer, place: TakesTokens) -> Answer:
        """The answer, which settles the bill before its last byte goes out, and tells its deployment's limits what it
        came to."""
        if self._bill is not None:
            self._bill.place = place
        self._outcome = outcome = answer.outcome
        if outcome.is_complete:
            await self._end()
            return answer
        outcome.price = self._usd
        return replace(answer, chunks=self._metered(answer))

    async def _metered(self, answer: Answer) -> AsyncGenerator[bytes]:
        async for chunk in answer.chunks:
            if answer.outcome.is_over:
                await self._end()
            yield chunk

    async def _end(self) -> None:
        bill, outcome = self._bill, self._outcome
        if bill is not None and outcome is not None:
            self._note(bill, outcome)
            cost = await bill.end(outcome.said_bytes)
            self.headers = cost.headers()

    def _usd(self, used: Used) -> float | None:
        if self._bill is None:
            return None
        self._bill.note(used, self._outcome.grade if self._outcome else None)
        usd = self._bill.cost().usd
        return None if usd is None else float(usd)

    def _note(self, bill: Bill, outcome: Outcome) -> None:
        if outcome.used is not None:
            bill.note(outcome.used, outcome.grade)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        bill, outcome = self._bill, self._outcome
        if bill is None:
            return
        if outcome is None:
            if isinstance(error, asyncio.CancelledError | GeneratorExit):
                bill.cut()
            else:
                await bill.refused()
        elif outcome.is_complete and error is None:
            # A server that never says that it is done.
            await self._end()
        else:
            self._note(bill, outcome)
            bill.cut(outcome.said_bytes)
