"""What went wrong at one of several accounts, for a command that goes on with the others."""

from __future__ import annotations

import os
import sys


def tell(account: str, error: Exception) -> None:
    """Print one line on standard error. With `--debug` the command ends here, with the stack trace."""
    from mediagate.core.errors import MediagateError

    if os.environ.get("MEDIAGATE_DEBUG") == "1":
        raise error
    sentence = error.message if isinstance(error, MediagateError) else f"{type(error).__name__}: {error}"
    print(f"{account}: {' '.join(sentence.split())}", file=sys.stderr)
