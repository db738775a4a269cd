"""`mediagate healthcheck`: whether a server is ready."""

from __future__ import annotations

from typing import Annotated

import typer


def healthcheck(
    url: Annotated[str, typer.Option("--url", help="Base URL of the server.")] = "http://127.0.0.1:4000",
) -> None:
    """Exit with 0 if the server is ready and with 5 if it is not."""
    import http.client
    from urllib.error import HTTPError
    from urllib.request import urlopen

    from mediagate.supervisor import StartError

    if not url.startswith(("http://", "https://")):
        raise StartError(f"{url} is not an HTTP URL.")
    try:
        with urlopen(f"{url.rstrip('/')}/readyz", timeout=5) as answer:  # noqa: S310
            status = answer.status
    except HTTPError as error:
        status = error.code
    except (OSError, http.client.HTTPException, ValueError):
        raise StartError(f"Nothing answers at {url}.", exit_code=5) from None
    if status != 200:
        raise StartError(f"The server at {url} is not ready (HTTP {status}).", exit_code=5)
    print("ready")
