"""Which accounts may hold what: an account's labels against what a caller, its policies and a file require."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mediagate.core.errors import InvalidField
from mediagate.core.limits import echo
from mediagate.core.placement import PLACEMENT, Required, unmet
from mediagate.providers.account import Account


def satisfies(account: Account, required: Required) -> bool:
    """Whether the account is as it must be."""
    return unmet(account.labels, required) is None


def require(account: Account | None, account_id: str, required: Required, what: str) -> None:
    """Raises `InvalidField` naming the account and the label where the account is not as it must be. An account that
    nobody knows any more satisfies nothing. `what` is what would go there, such as `the file`."""
    missing = unmet(account.labels if account is not None else {}, required)
    if missing is not None:
        raise unsatisfied(account_id, missing, what)


def unsatisfied(account_id: str, missing: tuple[str, str], what: str) -> InvalidField:
    """The answer for an account that is not as it must be."""
    name, value = missing
    return InvalidField(
        f"The account '{account_id}' may not get {what}: it is not labelled '{name}: {echo(value)}', which is required "
        "by the request or by the policy of its key, user or team. Name another target, or ask the operator to label "
        "the account.",
        param=PLACEMENT,
        code="placement_not_satisfied",
        account=account_id,
        label=name,
        value=value,
    )


def narrowed(accounts: Iterable[str], known: Mapping[str, Account], required: Required, what: str) -> tuple[str, ...]:
    """Those of these accounts that are as they must be. Raises `InvalidField` where none is."""
    candidates = tuple(accounts)
    fitting = tuple(name for name in candidates if name in known and satisfies(known[name], required))
    if fitting or not candidates:
        return fitting
    name, value = unmet(known[candidates[0]].labels if candidates[0] in known else {}, required) or ("", "")
    wanted = ", ".join(f"{label}: {echo(text)}" for label, text in required.items())
    raise InvalidField(
        f"No default target may get {what}: {wanted} is required, and '{candidates[0]}' is not labelled "
        f"'{name}: {echo(value)}'. Name a target that is, or ask the operator for one.",
        param=PLACEMENT,
        code="placement_not_satisfied",
        label=name,
        value=value,
    )
