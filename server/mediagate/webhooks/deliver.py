"""Send to one webhook endpoint what is due there. Run by jobs; whatever is done twice is a delivery twice.

A job claims one delivery at a time, with the endpoint's row held while it looks, so that at most `parallel` of them
are under way at one endpoint, and one at an endpoint that fails. A job that finds that many leaves: each of the others
looks again before it ends. Endpoints that fail have a queue of their own, so however many they are, and however much
waits for them, nobody else waits.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from mediagate.core.clock import Clock
from mediagate.core.webhooks import (
    Attempt,
    Delivery,
    DeliveryState,
    RetryRules,
    WebhookEndpoint,
    logged,
    next_attempt_at,
    retry_after_s,
)
from mediagate.net.webhooks import WebhookSender
from mediagate.store.database import Database, Transaction
from mediagate.store.webhook_deliveries import DeliveryRepository
from mediagate.store.webhooks import WebhookRepository
from mediagate.telemetry import metrics
from mediagate.webhooks.emit import enqueue_deliveries
from mediagate.webhooks.sign import signed_headers

log = structlog.get_logger(__name__)
# A job that goes on for longer begins again behind the others.
TURN = timedelta(seconds=5)
# How much longer than an attempt a claim lasts, where its job is lost and no other finds it.
CLAIM_MARGIN = timedelta(seconds=30)
# How much too early another worker's clock may have a job run.
EARLY = timedelta(seconds=1)
GONE = 410


@dataclass(frozen=True, slots=True)
class DeliveryJob:
    """Which job this is. One that lost its process is run again under its `id`, and has what it claimed.
    `among_failing` tells that it comes from the queue where nobody else waits."""

    id: int
    among_failing: bool


@dataclass(frozen=True, slots=True)
class Claim:
    """A delivery that this job sends, and the endpoint as it was when it was claimed."""

    endpoint: WebhookEndpoint
    delivery: Delivery
    body: bytes


@dataclass(frozen=True, slots=True)
class DeliverWebhooks:
    """Send what is due at an endpoint, one after the other."""

    db: Database
    sender: WebhookSender
    clock: Clock
    rules: RetryRules
    parallel: int

    async def run(self, endpoint_id: str, job: DeliveryJob, stopping: Callable[[], bool]) -> None:
        """Go on until nothing is due, an attempt fails, the turn is over or `stopping`. Whatever is left then has a
        job."""
        until = self.clock.now() + TURN
        async with self.db.transaction() as tx:
            claim = await self._claim(tx, endpoint_id, job)
        while claim is not None:
            attempt = await self._attempt(claim)
            goes_on = attempt.error is None and self.clock.now() < until and not stopping()
            async with self.db.transaction() as tx:
                await self._settle(tx, claim, attempt)
                if goes_on:
                    claim = await self._claim(tx, endpoint_id, job)
                else:
                    claim = None
                    await self._leave(tx, endpoint_id)

    async def _claim(self, tx: Transaction, endpoint_id: str, job: DeliveryJob) -> Claim | None:
        now = self.clock.now()
        endpoint = await WebhookRepository(tx.connection).hold(endpoint_id)
        deliveries = DeliveryRepository(tx.connection)
        if endpoint is None:
            await deliveries.forget(endpoint_id)
            return None
        if endpoint.disabled_reason is not None:
            await deliveries.give_up(endpoint_id)
            return None
        most = 1 if endpoint.failures else self.parallel
        if await deliveries.under_way(endpoint_id, but=job.id, now=now) >= most:
            return None
        if endpoint.failures and not job.among_failing:
            await enqueue_deliveries(tx, endpoint_id, failing=True)
            return None
        until = now + timedelta(seconds=self.sender.timeout_s) + CLAIM_MARGIN
        found = await deliveries.claim(endpoint_id, job.id, now=now, until=until)
        if found is None:
            await self._leave(tx, endpoint_id)
            return None
        return Claim(endpoint, *found)

    async def _leave(self, tx: Transaction, endpoint_id: str) -> None:
        """See to it that what waits has a job: at once, or one for all when the first of it is due."""
        now = self.clock.now()
        endpoint = await WebhookRepository(tx.connection).hold(endpoint_id)
        due_at = await DeliveryRepository(tx.connection).next_due(endpoint_id, now=now)
        if endpoint is None or due_at is None:
            return
        failing = endpoint.failures > 0
        if due_at <= now:
            await enqueue_deliveries(tx, endpoint_id, failing=failing)
        elif endpoint.wake_at is None or endpoint.wake_at <= now + EARLY or endpoint.wake_at > due_at:
            await WebhookRepository(tx.connection).set_wake(endpoint_id, due_at)
            wait_s = math.ceil((due_at - now).total_seconds())
            await enqueue_deliveries(tx, endpoint_id, failing=failing, delay_s=wait_s)

    async def _attempt(self, claim: Claim) -> Attempt:
        began = self.clock.now()
        headers = signed_headers(claim.delivery.event_id, claim.body, claim.endpoint.valid_secrets(began), began)
        answer = await self.sender.post(claim.endpoint.url, headers, claim.body)
        ended = self.clock.now()
        error = answer.error
        if answer.status_code is not None and not 200 <= answer.status_code < 300:
            error = "redirect" if 300 <= answer.status_code < 400 else "status"
        return Attempt(
            began,
            max(0, round((ended - began).total_seconds() * 1000)),
            answer.status_code,
            error,
            answer.response,
            retry_after_s(answer.retry_after, ended),
        )

    async def _settle(self, tx: Transaction, claim: Claim, attempt: Attempt) -> None:
        now = self.clock.now()
        endpoint = await WebhookRepository(tx.connection).hold(claim.endpoint.id)
        deliveries = DeliveryRepository(tx.connection)
        found = await deliveries.get(claim.endpoint.id, claim.delivery.event_id)
        if endpoint is None or found is None:
            return
        await deliveries.settle(self._settled(claim, found, attempt, now))
        await self._note(tx, endpoint, attempt, now)
        metrics.webhook_attempted("delivered" if attempt.error is None else "failed")
        log.info(
            "webhook_sent",
            endpoint_id=endpoint.id,
            event_id=found.event_id,
            status=attempt.status_code,
            error=attempt.error,
        )

    def _settled(self, claim: Claim, found: Delivery, attempt: Attempt, now: datetime) -> Delivery:
        """What the attempt makes of the delivery. One that was begun anew meanwhile only logs it."""
        after = replace(found, attempts=found.attempts + 1, log=logged(found.log, attempt))
        if found.started_at != claim.delivery.started_at:
            return after
        after = replace(after, tries=found.tries + 1)
        if attempt.error is None:
            return replace(after, state=DeliveryState.DELIVERED, next_attempt_at=None)
        if found.state is not DeliveryState.PENDING:
            return after
        due = next_attempt_at(found, attempt, self.rules, now)
        if due is None:
            return replace(after, state=DeliveryState.FAILED, next_attempt_at=None)
        return replace(after, next_attempt_at=due)

    async def _note(self, tx: Transaction, endpoint: WebhookEndpoint, attempt: Attempt, now: datetime) -> None:
        """What the attempt says of the endpoint itself."""
        webhooks = WebhookRepository(tx.connection)
        if attempt.status_code == GONE and endpoint.disabled_reason is None:
            await webhooks.save(
                replace(endpoint, disabled_reason="gone", failures=endpoint.failures + 1, updated_at=now)
            )
            await DeliveryRepository(tx.connection).give_up(endpoint.id)
            log.warning("webhook_endpoint_gone", endpoint_id=endpoint.id)
        elif attempt.error is not None:
            await webhooks.count_failures(endpoint.id, endpoint.failures + 1)
        elif endpoint.failures:
            await webhooks.count_failures(endpoint.id, 0)
            # What has piled up is more than one job's work.
            for _ in range(self.parallel - 1):
                await enqueue_deliveries(tx, endpoint.id)
