"""What accounts of providers with an API key have in common."""

from __future__ import annotations

import math
from typing import Final, TypedDict

from mediagate.providers.account import Account
from mediagate.providers.http import SILENCE_S

# OpenAI's own clients wait as long.
CHAT_SILENCE_S: Final = 600.0
CHATS_MAX: Final = 2_000


class ChatOptions(TypedDict):
    """Options of `ProviderHttp`."""

    silence_s: float
    connections_max: int


def key_of(account: Account, *names: str) -> str:
    """The account's API key, else the first of these environment variables. Raises `ValueError` where there is none."""
    key = account.api_key or account.env(*names)
    if not key:
        raise ValueError(f"api_key is missing; set it in files_settings or {names[0]}")
    return key


def root_of(account: Account, name: str, default: str) -> str:
    """The account's base address, else that of the environment variable `name`, else `default`; without the `/v1` that
    other gateways' configurations end it with."""
    return (account.api_base or account.env(name) or default).rstrip("/").removesuffix("/v1")


def silence_of(account: Account, usual_s: float = SILENCE_S) -> float:
    """How long a server may be silent, in seconds: `usual_s` where the account does not say. Raises `ValueError` where
    that is no positive number."""
    given = account.option("timeout")
    try:
        seconds = usual_s if given is None else float(given)
    except ValueError:
        seconds = 0.0
    if not (math.isfinite(seconds) and seconds > 0):
        raise ValueError("timeout must be a number of seconds above zero")
    return seconds


def chat_options(account: Account) -> ChatOptions:
    """How an account is called whose models are asked: one may think for minutes before its first byte, and every chat
    under way holds a connection. Raises as `silence_of` does."""
    return {"silence_s": silence_of(account, CHAT_SILENCE_S), "connections_max": CHATS_MAX}


def life_within(life_s: int | None, least_s: int, most_s: int) -> int | None:
    """The life to ask a provider for that knows only lives from `least_s` to `most_s` seconds. A shorter one becomes
    `least_s`; of a longer one it is told nothing. Either way the file is removed in time by us."""
    return None if life_s is None or life_s > most_s else max(life_s, least_s)


def flag_of(account: Account, name: str) -> bool:
    """An option that is `true` or `false`; false where it is not given. Raises `ValueError` for anything else."""
    given = account.option(name)
    words = {None: False, "true": True, "false": False}
    word = None if given is None else given.lower()
    if word not in words:
        raise ValueError(f"{name} must be true or false")
    return words[word]
