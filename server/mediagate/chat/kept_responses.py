"""Responses that a provider keeps, under ids of ours: such an id says, sealed, whose it is and where it lies.

Several owners share a provider's account, and the provider gives whatever lies there to whoever has the key. So nothing
there can be named by the provider's own id: the ids that callers see open for those who made them alone.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from mediagate.core.chat import Body
from mediagate.core.errors import InvalidField, NotFound
from mediagate.core.limits import echo
from mediagate.core.objects import Principal
from mediagate.core.provider_state import foreign_state
from mediagate.store.sealing import Seal

PREFIX: Final = "resp_"
ID_CHARS_MAX: Final = 2_048
LOOKS_MAX: Final = 16
"""Pieces of a stream in which its response is looked for; it should be in the first."""
_ABOUT: Final = "response"
# What is taken for an id of a provider's; another stays as it is, and cannot be used again.
_THEIRS: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,256}")


@dataclass(frozen=True, slots=True)
class KeptResponse:
    """A response of an owner's at a provider. `id` is ours, `provider_id` the provider's own in `account`."""

    id: str
    owner_id: str
    end_user: str | None
    account: str
    provider_id: str


class ResponseIds:
    """Makes and reads ids. What was made with another master key is not known any more."""

    def __init__(self, master_key: str) -> None:
        self._master_key = master_key

    @cached_property
    def _seal(self) -> Seal:
        # Not in the constructor: it takes a while, and most processes never see a response.
        return Seal(self._master_key)

    def close(self, who: Principal, account: str, provider_id: str) -> str:
        """The id under which `who` gets a response of an account."""
        told = json.dumps([who.owner_id, who.end_user, account, provider_id], separators=(",", ":"))
        sealed = self._seal.close(told.encode(), _ABOUT)
        return PREFIX + base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()

    def open(self, who: Principal, text: str) -> KeptResponse:
        """What an id stands for. Raises `NotFound` for what is none, and for what is somebody else's."""
        kept = self._opened(text)
        if kept is None or not (who.is_admin or who.sees(kept)):
            raise self.not_found(text)
        return kept

    def not_found(self, text: str) -> NotFound:
        """What is said of an id that stands for nothing that the caller may know of; safe for any `text`."""
        shown = echo(text)
        return NotFound(
            f"Response with id '{shown}' not found. Only a provider with a Responses API of its own keeps responses.",
            param="response_id",
            id=shown,
        )

    def previous(self, who: Principal, body: Body) -> KeptResponse | None:
        """The response that a request goes on from. Raises `InvalidField` for an id that stands for none."""
        text = body.get("previous_response_id")
        if text is None:
            return None
        if not isinstance(text, str):
            raise InvalidField(
                "Invalid type for 'previous_response_id': expected a string.",
                param="previous_response_id",
                code="invalid_type",
            )
        try:
            return self.open(who, text)
        except NotFound:
            raise InvalidField(
                f"Previous response with id '{echo(text)}' not found. A response of a model whose provider keeps none "
                "cannot be gone on from: send its items in 'input'.",
                param="previous_response_id",
                code="previous_response_not_found",
            ) from None

    def _opened(self, text: str) -> KeptResponse | None:
        if not text.startswith(PREFIX) or len(text) > ID_CHARS_MAX:
            return None
        coded = text.removeprefix(PREFIX)
        try:
            sealed = base64.b64decode(coded + "=" * (-len(coded) % 4), altchars=b"-_", validate=True)
            owner_id, end_user, account, provider_id = json.loads(self._seal.open(sealed, _ABOUT))
        except (ValueError, binascii.Error):
            return None
        return KeptResponse(text, owner_id, end_user, account, provider_id)


def require_own_state(who: Principal, body: Body) -> None:
    """Raises `InvalidField` for what a request names at a provider by the provider's own id, of which nobody here can
    tell whose it is; the gateway's operator may."""
    if body.get("background") not in (None, False):
        raise InvalidField(
            "'background' is not for a gateway, which would not learn what the answer used. Leave it out and use "
            "'stream', or send the request as a batch.",
            param="background",
            code="unsupported_parameter",
        )
    if who.is_admin:
        return
    for param, instead in foreign_state(body):
        raise InvalidField(
            f"'{param}' names what lies at the provider, and the gateway cannot tell whose it is. {instead}",
            param=param,
            code="unsupported_parameter",
        )


class IdRenaming:
    """Gives the response in an answer our id, wherever the answer names it; nothing else of the bytes changes."""

    def __init__(self, ids: ResponseIds, who: Principal, account: str, previous: KeptResponse | None = None) -> None:
        self._ids = ids
        self._who = who
        self._account = account
        self._names: dict[bytes, bytes] = {}
        self._own: bytes | None = None
        self._looks = LOOKS_MAX
        if previous is not None:
            self._names[_text(previous.provider_id)] = _text(previous.id)

    def feed(self, data: bytes) -> bytes:
        """Whole events of a stream, or a whole document."""
        if self._own is None and self._looks:
            self._looks -= 1
            self._find(data)
        for theirs, ours in self._names.items():
            data = data.replace(theirs, ours)
        return data

    def known_as(self, kept: KeptResponse) -> None:
        """Say of a response, whose id the caller has already, that it keeps it."""
        self._own = _text(kept.provider_id)
        self._names[self._own] = _text(kept.id)

    def _find(self, data: bytes) -> None:
        """The first object of an answer that is a response says its id."""
        for text in (data, *(line[5:] for line in data.splitlines() if line.startswith(b"data:"))):
            try:
                tree = json.loads(text)
            except (ValueError, RecursionError):
                continue
            found = tree.get("response", tree) if isinstance(tree, dict) else None
            theirs = found.get("id") if isinstance(found, dict) and found.get("object") == "response" else None
            if isinstance(theirs, str) and _THEIRS.fullmatch(theirs):
                self._own = _text(theirs)
                self._names[self._own] = _text(self._ids.close(self._who, self._account, theirs))
                return


def _text(id_: str) -> bytes:
    """As JSON has it: between quotation marks, which no text inside of another text has bare."""
    return json.dumps(id_).encode()
