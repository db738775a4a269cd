"""What a provider keeps of a response: read, its input listed, deleted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mediagate.chat.guard_chat import GuardChat
from mediagate.chat.kept_responses import IdRenaming, KeptResponse, ResponseIds
from mediagate.core.objects import Principal
from mediagate.providers.chat import KeepsResponses
from mediagate.providers.chat_failures import NotThere
from mediagate.routing.catalog import ModelCatalog
from mediagate.routing.model_accounts import ChatAccounts

Query = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class KeptResponses:
    """The responses of every account. Each method raises `NotFound` for an id that is none, is somebody else's, or of
    which the provider has nothing any more, and what the provider's refusal means; each gives the provider's JSON with
    the id that the caller knows."""

    ids: ResponseIds
    accounts: ChatAccounts
    guard: GuardChat
    catalog: ModelCatalog

    async def get(self, who: Principal, response_id: str, query: Query) -> bytes:
        """The `response` object. Raises `ContentPolicyViolation` for what guardrails do not let pass: the first words
        of a stream that they broke off have told its id."""
        data = await self._ask(who, response_id, "GET", "", query)
        account = self.ids.open(who, response_id).account
        models = dict.fromkeys(one.model_name for one in self.catalog.all() if one.model_account == account)
        await self.guard.kept(who, models, response_id, data)
        return data

    async def input_items(self, who: Principal, response_id: str, query: Query) -> bytes:
        """A page of what the response answered."""
        return await self._ask(who, response_id, "GET", "/input_items", query)

    async def delete(self, who: Principal, response_id: str) -> bytes:
        """Delete it at the provider."""
        return await self._ask(who, response_id, "DELETE", "", {})

    async def _ask(self, who: Principal, response_id: str, method: str, below: str, query: Query) -> bytes:
        kept = self.ids.open(who, response_id)
        provider = self.accounts[kept.account] if self.accounts.known(kept.account) else None
        if not isinstance(provider, KeepsResponses):
            raise self.ids.not_found(response_id)
        try:
            data = await provider.kept_response(method, kept.provider_id, below, query)
        except NotThere:
            raise self.ids.not_found(response_id) from None
        return self._as_known(who, kept, data)

    def _as_known(self, who: Principal, kept: KeptResponse, data: bytes) -> bytes:
        renaming = IdRenaming(self.ids, who, kept.account)
        renaming.known_as(kept)
        return renaming.feed(data)
