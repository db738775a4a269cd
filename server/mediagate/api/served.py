"""Which deployment, or account, served a call: a header of the reply."""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import Final
from urllib.parse import quote

from mediagate.core.objects import File

HEADER: Final = "x-mediagate-deployment"
# Ids hold names of models, which may be any text; a header may not.
_PLAIN: Final = string.punctuation + " "


def served_by(name: str) -> tuple[str, str]:
    """The header, with what no header can hold escaped as in a URL."""
    return HEADER, quote(name, safe=_PLAIN).strip()


def kept_by(file: File) -> Sequence[tuple[str, str]]:
    """The header where one account has the file; none where several have."""
    accounts = {replica.account for replica in file.replicas}
    return [served_by(account) for account in accounts] if len(accounts) == 1 else []
