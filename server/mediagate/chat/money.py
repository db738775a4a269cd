"""The money of one chat, from before it is sent until it is over.

    bill = await money.open(who, chat, bounds, admission)    # 429, 400 price_unknown: nothing was sent
    await bill.move(deployment)                              # another deployment is asked
    bill.note(used)                                          # what the provider says it used
    cost = await bill.end(said_bytes)                        # or `refused()`, or `cut(...)` where nobody waits

A bill is settled once, by the first of its ends. Under a hard budget the most that the chat can cost is held first; a
process that dies leaves it held, where an admin sees it. Without one nothing is written before the chat is over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Final, Protocol

import structlog

from mediagate.chat.bounds import Bounds
from mediagate.chat.cost import DELIVERED, TOKENS, Cost, TokenCosts
from mediagate.chat.spend_writer import SpendWriter
from mediagate.core.chat import Usage, Used
from mediagate.core.errors import InsufficientQuota
from mediagate.core.objects import Principal
from mediagate.core.spend import ZERO, Charge
from mediagate.pricing.token_prices import TokenPrice
from mediagate.routing.catalog import Deployment
from mediagate.spend.adjust import AdjustSpend
from mediagate.spend.record import Spent
from mediagate.spend.reserve import Hold
from mediagate.spend.settle import Settlement
from mediagate.spend.till import Till
from mediagate.store.database import Database

log = structlog.get_logger(__name__)
REFUSED: Final = "not_charged"
SETTLE_TRIES: Final = 6
END_S: Final = 2.0
BYTES_PER_TOKEN: Final = 4
"""Of an answer that nobody has counted: four letters of a western alphabet are about a token, and so is one of another,
which has three bytes."""
PRICE_KEYS: Final = "'input_cost_per_token' and 'output_cost_per_token'"
_HINT: Final = " A smaller 'max_tokens' holds less."


class TakesTokens(Protocol):
    """The limits of a caller; `mediagate.access.limits.admission.Admission`."""

    async def take_tokens(self, amount: int) -> None:
        """Count so many. Raises `RateLimited`."""
        ...

    def tokens_were(self, amount: int) -> None:
        """So many it was in the end; once more does no harm."""
        ...


class NoLimits:
    """Of a caller without limits."""

    async def take_tokens(self, amount: int) -> None:
        """Nothing."""

    def tokens_were(self, amount: int) -> None:
        """Nothing."""


@dataclass(frozen=True, slots=True)
class Chat:
    """One chat. `ref` is its id, by which it is in the ledger; `model` is the public name that the caller used."""

    ref: str
    model: str
    deployment: Deployment
    account: str
    end_user: str | None = None


@dataclass(frozen=True, slots=True)
class ChatMoney:
    """Opens bills, and has the background in which those are settled for which nobody waits."""

    db: Database
    costs: TokenCosts
    till: Till
    writer: SpendWriter
    _background: set[asyncio.Task[Any]] = field(default_factory=set)

    async def open(self, who: Principal, chat: Chat, bounds: Bounds, limits: TakesTokens | None = None) -> Bill:
        """Count the tokens under the caller's limits, and hold the money where a hard budget counts.

        Raises `RateLimited` and `InsufficientQuota` where there is too little of either, `InvalidField` with the code
        `price_unknown` where a hard budget cannot be kept; then nothing is counted and nothing held.
        """
        limits = limits or NoLimits()
        bill = Bill(self, who, chat, bounds, limits, self.costs.price(chat.deployment))
        await limits.take_tokens(bounds.expected(bill.price))
        try:
            await bill.reserve()
        except BaseException:
            limits.tokens_were(0)
            raise
        return bill

    async def close(self) -> None:
        """Settle what is open."""
        if self._background:
            await asyncio.wait(self._background, timeout=10)
        await self.writer.close()

    def later(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Have something done whoever goes away."""
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task


@dataclass(slots=True)
class Bill:
    """One chat's. To be ended by `end`, `refused` or `cut`, whatever happens; the first of them counts."""

    money: ChatMoney
    who: Principal
    chat: Chat
    bounds: Bounds
    limits: TakesTokens
    price: TokenPrice | None
    held: bool = False
    place: TakesTokens = field(default_factory=NoLimits)
    """The limits of the deployment that answers."""
    used: Used | None = None
    grade: str | None = None
    _settling: asyncio.Task[None] | None = None
    _cost: Cost | None = None

    @property
    def estimate_usd(self) -> Decimal | None:
        """The most that it can cost; None where nobody knows a price."""
        return self.money.costs.most(self.price, self.bounds)

    async def reserve(self) -> None:
        """Hold the money, where a hard budget counts."""
        charge = self._charge()
        reserve = self.money.till.reserve
        limits = reserve.rules.limits(self.who.scopes, charge.provider)
        if all(limit.max_usd is None for limit in limits):
            return
        reserve.require_price(charge, limits)
        if not charge.usd:
            # What costs nothing is within any budget.
            return
        try:
            # A caller who goes away meanwhile leaves nothing held.
            await _whole(self.money, self.money.till.hold(Hold(charge, self.who.scopes)), self._give_back)
        except InsufficientQuota as error:
            raise _hinted(error) from None
        self.held = True

    async def _give_back(self) -> None:
        await self._settled_in_ledger(ZERO, REFUSED)

    async def move(self, deployment: Deployment, account: str) -> None:
        """Another deployment is asked, and its price holds. Raises as `ChatMoney.open` does; the bill is then still to
        be ended."""
        self.chat = replace(self.chat, deployment=deployment, account=account)
        self.price = self.money.costs.price(deployment)
        charge = self._charge()
        if not self.held:
            await self.reserve()
            return
        adjust = AdjustSpend(self.money.till.reserve.rules, price_keys=PRICE_KEYS)
        try:
            await _whole(self.money, self._adjusted(adjust, charge), None)
        except InsufficientQuota as error:
            raise _hinted(error) from None

    async def _adjusted(self, adjust: AdjustSpend, charge: Charge) -> None:
        async with self.money.db.transaction() as tx:
            await adjust.run(
                tx,
                charge.ref,
                charge.usd,
                deployment=charge.deployment,
                provider=charge.provider,
                account=charge.account,
            )

    def note(self, used: Used, grade: str | None = None) -> None:
        """What the provider says it used, and the grade of service where it names one; later ones replace earlier."""
        self.used = used
        self.grade = self.grade if grade is None else grade

    def cost(self, said_bytes: int = 0, *, is_whole: bool = True) -> Cost:
        """What it comes to by now. `said_bytes` are those of the words, the thoughts and the arguments of tools that
        the caller was sent: of an answer that was cut it is never less than they are."""
        used = self.used or Used(Usage())
        usage, cost_usd = used.usage, used.cost_usd
        counted = self.used is not None and usage != Usage()
        if not counted or not is_whole:
            guessed = replace(
                usage,
                input_tokens=usage.input_tokens or self.bounds.guess,
                output_tokens=max(usage.output_tokens, -(-said_bytes // BYTES_PER_TOKEN)),
            )
            if guessed != usage:
                usage, counted, cost_usd = guessed, False, cost_usd if is_whole else None
        grade = self.bounds.grade if self.grade is None else self.grade
        usd, reason, source = self.money.costs.of(self.price, usage, cost_usd, grade)
        return Cost(usage, usd, DELIVERED if reason == TOKENS and not counted else reason, source, counted)

    async def end(self, said_bytes: int = 0) -> Cost:
        """The answer is whole: settle it. To be awaited before its last byte goes out, so that the caller's next chat
        finds the money free."""
        return await self._ended(self.cost(said_bytes))

    async def refused(self) -> None:
        """Nobody answered: nothing is charged."""
        await self._ended(Cost(Usage(), ZERO, REFUSED, None, is_counted=False))

    def cut(self, said_bytes: int = 0) -> Cost:
        """The answer was broken off, or nobody waits for it any longer: settle what was delivered, in the
        background."""
        cost = self.cost(said_bytes, is_whole=False)
        if self._cost is None:
            self._begin(cost)
        return self._cost or cost

    async def _ended(self, cost: Cost) -> Cost:
        if self._cost is None:
            self._begin(cost)
        if self._settling is not None:
            # It goes on where the database is away; the caller does not wait for that.
            await asyncio.wait([self._settling], timeout=END_S)
        return self._cost or cost

    def _begin(self, cost: Cost) -> None:
        self._cost = cost
        usd = cost.usd or ZERO
        for limits in (self.limits, self.place):
            limits.tokens_were(cost.usage.input_tokens + cost.usage.output_tokens)
        if self.held:
            self._settling = self.money.later(self._settled_in_ledger(usd, cost.reason))
        elif cost.reason != REFUSED:
            self.money.writer.add(Spent(self._charge(), usd, cost.reason, self.who.scopes))

    async def _settled_in_ledger(self, usd: Decimal, reason: str) -> None:
        """Settles what is held, and tries again where the database does not answer; what cannot be settled stays
        held."""
        for number in range(SETTLE_TRIES):
            try:
                await self.money.till.settle(self._charge(), Settlement(self.chat.ref, usd, reason))
                return
            except Exception as error:
                log.warning("spend_not_settled", ref=self.chat.ref, usd=usd, error=type(error).__name__)
            await asyncio.sleep(2**number)
        log.error("spend_left_held", ref=self.chat.ref, usd=usd, reason=reason)

    def _charge(self) -> Charge:
        chat, who = self.chat, self.who
        return Charge(
            ref=chat.ref,
            owner_id=who.owner_id,
            model=chat.model,
            deployment=chat.deployment.id,
            provider=chat.deployment.provider,
            account=chat.account,
            usd=self.estimate_usd,
            key_id=who.key_id,
            user_id=who.user_id,
            team_id=who.team_id,
            end_user=who.end_user or chat.end_user,
        )


async def _whole(money: ChatMoney, work: Coroutine[Any, Any, None], undo: Any) -> None:
    """Wait for work that is not broken off where the caller goes away; then `undo` follows."""
    task = money.later(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        if undo is not None:

            async def after() -> None:
                await asyncio.wait([task])
                if not task.cancelled() and task.exception() is None:
                    await undo()

            money.later(after())
        raise


def _hinted(error: InsufficientQuota) -> InsufficientQuota:
    error.message += _HINT
    error.args = (error.message,)
    return error
