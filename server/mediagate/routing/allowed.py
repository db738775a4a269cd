"""Which models and providers a caller may use: what its key, its user and its team each allow."""

from __future__ import annotations

from collections.abc import Iterable

from mediagate.core.errors import PermissionDenied
from mediagate.core.limits import echo
from mediagate.core.objects import Principal


def require_model(who: Principal, name: str, *, known: Iterable[str], param: str = "model") -> None:
    """Raises `PermissionDenied` for a model that the caller may not use, with those of `known` that it may."""
    if not who.may_use_model(name):
        choices = ", ".join(model for model in dict.fromkeys(known) if who.may_use_model(model)) or "none"
        raise PermissionDenied(
            f"This key may not use the model '{echo(name)}'. Models that it may use: {choices}.",
            param=param,
            code="model_not_allowed",
            model=echo(name),
        )


def require_provider(who: Principal, provider: str, *, param: str = "custom_llm_provider") -> None:
    """Raises `PermissionDenied` for a provider that the caller may not use."""
    if not who.may_use_provider(provider):
        raise PermissionDenied(
            f"This key may not use the provider '{echo(provider)}'.",
            param=param,
            code="provider_not_allowed",
            provider=echo(provider),
        )
