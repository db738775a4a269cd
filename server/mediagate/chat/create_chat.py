"""Answer a chat: find the model's deployments, tell the first that can about the files, and pass on what it says."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import structlog

from mediagate.chat.asking import native_request, raw_call
from mediagate.chat.bounds import bounds_of
from mediagate.chat.choose_ways import Plan
from mediagate.chat.deployment_limits import DeploymentLimits
from mediagate.chat.exchange import Answer, pass_on, tell_stream, tell_whole
from mediagate.chat.guard_chat import GuardChat
from mediagate.chat.kept_responses import ResponseIds
from mediagate.chat.mentioned import Mentioned, Reader, sizes_of
from mediagate.chat.money import ChatMoney, TakesTokens
from mediagate.chat.pass_response import pass_response
from mediagate.chat.question import Question, with_usage
from mediagate.chat.resolve_files import ResolveFiles
from mediagate.chat.respond import respond
from mediagate.chat.tab import Tab
from mediagate.chat.tries import FileAway, Tries
from mediagate.core import ids
from mediagate.core.chat import Dialect, Uses
from mediagate.core.chat_mentions import mentions
from mediagate.core.chat_place import place
from mediagate.core.errors import (
    InvalidField,
    MediagateError,
    ProviderFailed,
    ProviderRefused,
    ProviderTimeout,
    RateLimited,
    Unavailable,
    Unsupported,
)
from mediagate.core.objects import Principal
from mediagate.core.write_chat import ChatChunks, ChatDocument, Stamp
from mediagate.providers.chat import Answers, SpeaksOpenAI
from mediagate.providers.chat_failures import FileGone
from mediagate.routing.catalog import Deployment
from mediagate.routing.chats import ChatRoutes, deployments_busy

log = structlog.get_logger(__name__)
# What another deployment may not meet.
_ELSEWHERE = (RateLimited, Unavailable, ProviderFailed, ProviderTimeout, ProviderRefused)
# What says something about a deployment and not about its moment.
_AT_ONCE = (RateLimited, ProviderRefused)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer on its way to the caller, which deployment gives it, and what is known of its cost before it goes. `id`
    is that by which the ledger knows it."""

    deployment: Deployment
    id: str
    answer: Answer
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class _Case:
    """What one request has while its deployments are tried."""

    who: Principal
    question: Question
    tab: Tab
    tries: Tries


@dataclass(frozen=True, slots=True)
class CreateChat:
    """Asks one deployment after the other until one begins to answer; from then on it is that one's."""

    routes: ChatRoutes
    files: ResolveFiles
    money: ChatMoney
    deployment_limits: DeploymentLimits
    guard: GuardChat
    response_ids: ResponseIds
    now: Callable[[], float] = time.time

    @asynccontextmanager
    async def run(self, who: Principal, question: Question, limits: TakesTokens | None = None) -> AsyncIterator[Reply]:
        """The answer, whose first bytes are there. Leaving the context ends it at the provider too. `limits` are the
        caller's.

        Raises `NotFound` for the model and for a file, `InvalidField` for what no deployment of it can be told,
        `InsufficientQuota` and `RateLimited` where there is too little of the caller's budget or tokens, as
        `GuardChat.run` does for what may not pass, and what the last provider that was asked said.
        """
        try:
            async with self._begun(who, question, limits) as reply:
                yield reply
        except MediagateError as error:
            raise question.told(error) from None

    @asynccontextmanager
    async def _begun(self, who: Principal, question: Question, limits: TakesTokens | None) -> AsyncIterator[Reply]:
        # A model that is none is said first.
        own = self.routes.group(who, question.model)
        named = mentions(question.body, question.dialect)
        files = await self.files.load(who, named)
        bounds = bounds_of(question.body, question.dialect, sizes_of(files))
        tries = Tries(self.routes.router.retries(question.model))
        tab = Tab(self.money, who, bounds, limits, self._id(question), question.model)
        guard = await self.guard.run(who, question, files, tab.id)
        case = _Case(who, question, tab, tries)
        async with tab:
            async for plan in self._plans(case, own, files):
                async with AsyncExitStack() as stack:
                    served = await self._served(stack, plan, case)
                    if served is None:
                        continue
                    answer = await tab.serve(*served)
                    if guard is not None:
                        answer = await guard.served(answer)
                    yield Reply(plan.reader.deployment, tab.id, answer, tab.headers)
                    return
            raise tries.outcome()

    async def _plans(self, case: _Case, own: Sequence[Deployment], files: Sequence[Mentioned]) -> AsyncIterator[Plan]:
        """How each deployment could be told everything, as long as another may be asked."""
        async for group in self._groups(case, own):
            try:
                plans = self.files.plans(case.who, files, [self._reader(one, case.question) for one in group])
            except InvalidField as error:
                case.tries.refused(error)
                continue
            for plan in plans:
                if not case.tries.may_ask():
                    return
                yield plan

    def _id(self, question: Question) -> str:
        kind = ids.CHAT if question.dialect is Dialect.CHAT else ids.RESPONSE
        return kind.new()

    async def _groups(self, case: _Case, own: Sequence[Deployment]) -> AsyncIterator[list[Deployment]]:
        """The model's `own` deployments, the best first, and then those of each group that may serve in its place.
        Raises `RateLimited` where each of them has as many chats as it may have."""
        full: RateLimited | None = None
        for group in (own, *self.routes.fallbacks(case.who, case.question.model)):
            try:
                yield await self.routes.order(group)
            except RateLimited as error:
                full = full or error
        if full is not None:
            raise full

    def _reader(self, deployment: Deployment, question: Question) -> Reader:
        spoken = question.dialect in self.routes.dialects(deployment)
        return Reader(deployment, self.routes.spec(deployment), question.dialect if spoken else Dialect.CHAT)

    async def _served(self, stack: AsyncExitStack, plan: Plan, case: _Case) -> tuple[Answer, TakesTokens] | None:
        """The answer of one deployment, with the limits under which it gives it; None where another has to be asked."""
        deployment = plan.reader.deployment
        room = self.deployment_limits.room(deployment, case.tab.tokens(deployment))
        stack.enter_context(self.routes.busy(deployment))
        try:
            admission = await stack.enter_async_context(room)
        except RateLimited as error:
            case.tries.full(deployments_busy(deployment.model_name, error.retry_after_s or 1))
            return None
        answer = await self._tried(stack, plan, case)
        if answer is None:
            admission.tokens_were(0)
            return None
        return answer, admission

    async def _tried(self, stack: AsyncExitStack, plan: Plan, case: _Case) -> Answer | None:
        """The answer of one deployment; None where another has to be asked."""
        deployment = plan.reader.deployment
        try:
            answer = await self._answered(stack, plan, case)
        except (InvalidField, Unsupported) as error:
            case.tries.refused(error)
            return None
        except FileAway as error:
            case.tries.failed(error.cause)
            return None
        except _ELSEWHERE as error:
            if case.tab.has_refused(error):
                raise
            case.tries.failed(error)
            await self._note(deployment, error)
            return None
        await self._worked(deployment)
        return answer

    async def _answered(self, stack: AsyncExitStack, plan: Plan, case: _Case) -> Answer:
        try:
            return await self._told(stack, plan, case)
        except FileGone:
            if not await self.files.lost(plan):
                raise
        return await self._told(stack, plan, case)

    async def _told(self, stack: AsyncExitStack, plan: Plan, case: _Case) -> Answer:
        """Tell the files and ask. What is sent inside the request is let go when its answer begins."""
        deployment = plan.reader.deployment
        # First: who has too little left makes no copies either.
        await case.tab.at(deployment)
        async with AsyncExitStack() as told:
            try:
                uses = await told.enter_async_context(self.files.uses(plan))
            except _ELSEWHERE as error:
                raise FileAway(error) from error
            asking = self._asked(case.who, deployment, case.question, uses, case.tab.id)
            return await stack.enter_async_context(asking)

    def _asked(
        self, who: Principal, deployment: Deployment, question: Question, uses: Uses, id_: str
    ) -> AbstractAsyncContextManager[Answer]:
        provider = self.routes.provider(deployment)
        if isinstance(provider, SpeaksOpenAI) and question.dialect in self.routes.dialects(deployment):
            if question.dialect is Dialect.RESPONSES:
                return pass_response(self.response_ids, who, provider, deployment, question, uses)
            return self._pass_on(provider, deployment, question, uses)
        if question.dialect is Dialect.RESPONSES:
            return respond(provider, deployment, question, uses, id_=id_, now=self.now)
        assert isinstance(provider, Answers)
        return self._tell(provider, deployment, question, uses, id_)

    def _pass_on(
        self, provider: SpeaksOpenAI, deployment: Deployment, question: Question, uses: Uses
    ) -> AbstractAsyncContextManager[Answer]:
        body = place(question.body, uses, Dialect.CHAT)
        hides_usage = question.stream and not question.wants_usage
        if hides_usage:
            body = with_usage(body)
        call = raw_call(provider, deployment, Dialect.CHAT, body, stream=question.stream)
        return pass_on(provider, call, hides_usage=hides_usage)

    def _tell(
        self, provider: Answers, deployment: Deployment, question: Question, uses: Uses, id_: str
    ) -> AbstractAsyncContextManager[Answer]:
        request = native_request(provider, deployment, question.body, uses)
        stamp = Stamp(id_, question.model, int(self.now()))
        if question.stream:
            chunks = ChatChunks(stamp, with_usage=question.wants_usage)
            return tell_stream(provider.answer(request), chunks, provider.spec.title)
        return tell_whole(provider.answer(request), ChatDocument(stamp), provider.spec.title)

    async def _note(self, deployment: Deployment, error: MediagateError) -> None:
        try:
            await self.routes.router.failed(
                deployment.id, error.code, at_once=isinstance(error, _AT_ONCE), pause_s=error.retry_after_s
            )
        except Exception as problem:
            log.warning("deployment_not_noted", deployment=deployment.id, error=type(problem).__name__)

    async def _worked(self, deployment: Deployment) -> None:
        try:
            await self.routes.router.worked(deployment.id)
        except Exception as problem:
            log.warning("deployment_not_noted", deployment=deployment.id, error=type(problem).__name__)
