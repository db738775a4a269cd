"""Who works through batches: the accounts, and which deployments of a model may be asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog

from mediagate.core.errors import InvalidField, MediagateError, ProviderRefused, Unsupported
from mediagate.core.limits import echo
from mediagate.core.objects import Principal
from mediagate.providers.account import Account
from mediagate.providers.batches import BatchProvider
from mediagate.providers.registry import BATCH_PROVIDERS, batch_spec, build_batches
from mediagate.routing.allowed import require_model, require_provider
from mediagate.routing.catalog import Deployment, ModelCatalog
from mediagate.routing.placement import require
from mediagate.routing.router import Router
from mediagate.routing.strategies import Candidate
from mediagate.routing.targets import PROVIDER_FIELD

log = structlog.get_logger(__name__)


class BatchAccounts:
    """Every account by its id. A provider is built when it is first used, once. `known` finds an account, also one that
    the configuration no longer has: that one serves the batches that it has."""

    def __init__(
        self, known: Callable[[str], Account | None], *, build: Callable[[Account], BatchProvider] = build_batches
    ) -> None:
        self.known = known
        self._build = build
        self._built: dict[str, BatchProvider] = {}

    def __getitem__(self, account_id: str) -> BatchProvider:
        """Raises `KeyError` where nobody knows it any more, `ProviderRefused` where it lacks what the provider
        needs."""
        provider = self._built.get(account_id)
        if provider is None:
            account = self.known(account_id)
            if account is None or account.provider not in BATCH_PROVIDERS:
                raise KeyError(account_id)
            try:
                provider = self._built[account_id] = self._build(account)
            except ValueError as error:
                log.error("account_incomplete", account=account_id, provider=account.provider, missing=str(error))
                raise ProviderRefused(
                    f"The account '{account_id}' cannot work through batches: {error}. The gateway's operator has to "
                    "add it.",
                    code="provider_not_configured",
                    account=account_id,
                ) from None
        return provider

    async def close(self) -> None:
        """Close every provider that was built."""
        for provider in self._built.values():
            await provider.close()


@dataclass(frozen=True, slots=True)
class BatchRoutes:
    """Chooses a deployment. `stores` are the accounts that keep files."""

    catalog: ModelCatalog
    accounts: BatchAccounts
    stores: Mapping[str, Account]
    router: Router

    async def choose(
        self, who: Principal, model: str, endpoint: str, *, provider: str | None, required: Mapping[str, str]
    ) -> Deployment:
        """The best deployment of `model` that takes batches for `endpoint`, at `provider` (or the account of that name)
        where one is named; every place that the lines come by is as `required`.

        Raises `InvalidField` for a model that does not exist, a provider that does not have it and a place that is not
        as it must be, `PermissionDenied` for a model or a provider that the caller may not use, and `Unsupported` where
        nobody takes such batches.
        """
        found = self._named(who, model)
        if provider is not None:
            found = [one for one in found if provider in (one.provider, one.account, one.model_account)]
            if not found:
                raise InvalidField(
                    f"No deployment of the model '{echo(model)}' is at '{echo(provider)}'.",
                    param=PROVIDER_FIELD,
                    code="unknown_provider",
                )
        able = [one for one in found if _takes(one, endpoint) and not self.catalog.makes_videos(one)]
        if not able:
            raise _unsupported(model, found, endpoint)
        allowed = self._allowed(who, able, required)
        return (await self.router.order_chats([Candidate(one) for one in allowed], self._is_usable))[0].deployment

    def _named(self, who: Principal, model: str) -> list[Deployment]:
        found = [one.named(model) for one in self.catalog.deployments_of(model)]
        if not found:
            names = ", ".join(name for name in self.catalog.names() if who.may_use_model(name)) or "none"
            raise InvalidField(
                f"The model '{echo(model)}' does not exist. Models: {names}.",
                param="model",
                code="model_not_found",
                model=echo(model),
            )
        require_model(who, model, known=self.catalog.names())
        return found

    def _allowed(self, who: Principal, able: Sequence[Deployment], required: Mapping[str, str]) -> list[Deployment]:
        refusal: MediagateError | None = None
        allowed = []
        for one in able:
            try:
                require_provider(who, one.provider)
                require(self.accounts.known(one.model_account), one.model_account, required, "the batch")
                require(self.stores.get(one.account), one.account, required, "the batch")
                allowed.append(one)
            except MediagateError as error:
                refusal = refusal or error
        if refusal is not None and not allowed:
            raise refusal
        return allowed

    def _is_usable(self, deployment: Deployment) -> bool:
        try:
            return self.accounts[deployment.model_account] is not None
        except (KeyError, ProviderRefused):
            return False


def _takes(deployment: Deployment, endpoint: str) -> bool:
    return deployment.provider in BATCH_PROVIDERS and endpoint in batch_spec(deployment.provider).endpoints


def _unsupported(model: str, found: Sequence[Deployment], endpoint: str) -> Unsupported:
    able = [name for name in BATCH_PROVIDERS if endpoint in batch_spec(name).endpoints]
    providers = ", ".join(dict.fromkeys(one.provider for one in found))
    return Unsupported(
        f"The model '{echo(model)}' is at {providers}, which takes no batches for {endpoint}. Providers that do: "
        f"{', '.join(able)}.",
        param="model",
        code="unsupported_by_provider",
    )
