"""Where a file goes: what the caller named, in order of precedence, as accounts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from mediagate.core.errors import InvalidField
from mediagate.core.limits import echo
from mediagate.core.objects import Principal
from mediagate.core.placement import required_of
from mediagate.routing.allowed import require_model, require_provider
from mediagate.routing.catalog import ModelCatalog
from mediagate.routing.placement import narrowed, require
from mediagate.routing.stores import FileStores

PROVIDER_FIELD = "custom_llm_provider"
MODELS_FIELD = "target_model_names"
TARGETS_MAX = 16


@dataclass(frozen=True, slots=True)
class Named:
    """What a request names outside its body. Each is a text as it came: one name, a comma list, or a JSON list."""

    path: str | None = None
    header: str | None = None
    query: str | None = None

    @property
    def first(self) -> str | None:
        """The one that counts."""
        return self.path or self.header or self.query or None


@dataclass(slots=True)
class Wish:
    """What a body names, as it is read; the names of a field add up."""

    providers: list[str] = field(default_factory=list)
    models: list[str] = field(default_factory=list)

    def take(self, name: str, value: Any) -> bool:
        """Note one field; False for a field that is about something else. Raises `InvalidField` for what is no list of
        names."""
        base = name.removesuffix("[]")
        if base == PROVIDER_FIELD:
            self.providers += names_in(value, PROVIDER_FIELD)
        elif base == MODELS_FIELD:
            self.models += names_in(value, MODELS_FIELD)
        else:
            return False
        return True

    def __bool__(self) -> bool:
        return bool(self.providers or self.models)


@dataclass(frozen=True, slots=True)
class Targets:
    """Chooses accounts."""

    stores: FileStores
    catalog: ModelCatalog

    def named(self, who: Principal, named: Named, wish: Wish) -> tuple[str, ...] | None:
        """The accounts that path, header, query, `custom_llm_provider` or `target_model_names` name, the first of them
        that is given; None where none is. Raises `InvalidField` for an unknown name and for an account that is not as
        the caller requires places to be, `PermissionDenied` for what the caller may not use."""
        if named.first is not None:
            accounts = self._providers(names_in(named.first, PROVIDER_FIELD))
        elif wish.providers:
            accounts = self._providers(wish.providers)
        elif wish.models:
            accounts = self._models(who, wish.models)
        else:
            return None
        required = required_of(who)
        for account in accounts:
            require_provider(who, self._provider_of(account))
            require(self.stores.accounts[account], account, required, "the file")
        return accounts

    def chosen(self, who: Principal, named: Named, wish: Wish) -> tuple[str, ...]:
        """The same, else those of the configured default that the caller may use."""
        return self.named(who, named, wish) or self.default(who)

    def default(self, who: Principal) -> tuple[str, ...]:
        """Those of the configured default that the caller may use and that are as it requires places to be. Raises
        `PermissionDenied` or `InvalidField` where it is none."""
        accounts = tuple(found for found in self.stores.default if who.may_use_provider(self._provider_of(found)))
        if not accounts:
            require_provider(who, self._provider_of(self.stores.default[0]))
        return narrowed(accounts, self.stores.accounts, required_of(who), "the file")

    def _provider_of(self, account: str) -> str:
        return self.stores.accounts[account].provider

    def account(self, name: str) -> str:
        """The account that one name stands for. Raises `InvalidField`."""
        account = self.stores.named(name)
        if account is None:
            raise InvalidField(
                f"'{echo(name)}' is not a provider that this gateway has an account of. "
                f"There are: {', '.join(self.stores.names())}.",
                param=PROVIDER_FIELD,
                code="unknown_provider",
                provider=echo(name),
            )
        return account

    def _providers(self, names: Sequence[str]) -> tuple[str, ...]:
        return _bounded((self.account(name) for name in names), PROVIDER_FIELD)

    def _models(self, who: Principal, names: Sequence[str]) -> tuple[str, ...]:
        return _bounded((account for name in names for account in self._accounts_of(who, name)), MODELS_FIELD)

    def _accounts_of(self, who: Principal, model: str) -> list[str]:
        """Every account that may serve the model: one copy in each, so that any deployment can read it."""
        deployments = self.catalog.deployments_of(model)
        if not deployments:
            raise InvalidField(
                f"The model '{echo(model)}' does not exist. Models: {', '.join(self.catalog.names()) or 'none'}.",
                param=MODELS_FIELD,
                code="model_not_found",
                model=echo(model),
            )
        require_model(who, model, known=self.catalog.names(), param=MODELS_FIELD)
        accounts = [deployment.account for deployment in deployments if deployment.account in self.stores.accounts]
        if not accounts:
            raise InvalidField(
                f"No account of the model '{echo(model)}' can keep files. Name a provider in '{PROVIDER_FIELD}'.",
                param=MODELS_FIELD,
                code="model_without_files",
                model=echo(model),
            )
        return accounts


def names_in(value: Any, param: str) -> list[str]:
    """`"a"`, `"a, b"`, `'["a", "b"]'` and `["a", "b"]` as names. Raises `InvalidField`."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = json.loads(value)
        except ValueError:
            raise _no_names(param) from None
    if isinstance(value, str):
        value = value.split(",")
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise _no_names(param)
    names = [name.strip() for name in value if name.strip()]
    if not names:
        raise _no_names(param)
    return names


def _no_names(param: str) -> InvalidField:
    return InvalidField(f'\'{param}\' must be a name, or a list of names such as ["openai", "bedrock"].', param=param)


def _bounded(accounts: Iterable[str], param: str) -> tuple[str, ...]:
    unique = tuple(dict.fromkeys(accounts))
    if len(unique) > TARGETS_MAX:
        raise InvalidField(f"'{param}' names {len(unique)} accounts; {TARGETS_MAX} are the most.", param=param)
    return unique
