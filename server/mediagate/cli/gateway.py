"""The gateway that a command of the shell speaks to, over REST."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

URL: Final = "http://127.0.0.1:4000"
TIMEOUT_S: Final = 30.0
EXIT_OF_STATUS: Final = {401: 3, 403: 3, 404: 4}


@dataclass(frozen=True, slots=True)
class Gateway:
    """The gateway that a command speaks to."""

    url: str
    key: str = field(repr=False)

    @classmethod
    def at(cls, url: str | None, data_dir: str | None) -> Gateway:
        """Raises `StartError` where there is no key to speak with."""
        from mediagate.config import DEFAULT_DATA_DIR
        from mediagate.supervisor import StartError

        key = os.environ.get("MEDIAGATE_MASTER_KEY")
        if not key:
            kept = Path(data_dir or os.environ.get("MEDIAGATE_DATA_DIR") or DEFAULT_DATA_DIR) / "master_key"
            try:
                key = kept.read_text().strip()
            except OSError:
                raise StartError(
                    "There is no key: set MEDIAGATE_MASTER_KEY to the master key or an admin key, or name the data "
                    f"dir of a `mediagate dev` (there is no {kept})."
                ) from None
        return cls((url or os.environ.get("MEDIAGATE_URL") or URL).rstrip("/"), key)

    def post(self, path: str, body: Mapping[str, Any], params: Mapping[str, str] | None = None) -> Any:
        """The answer's JSON. Raises `StartError`."""
        return self._ask("POST", path, params, json=body)

    def get(self, path: str, params: Mapping[str, str]) -> Any:
        """The answer's JSON. Raises `StartError`."""
        return self._ask("GET", path, params)

    def _ask(self, method: str, path: str, params: Mapping[str, str] | None, **options: Any) -> Any:
        import httpx

        from mediagate.supervisor import StartError

        headers = {"authorization": f"Bearer {self.key}"}
        try:
            with httpx.Client(base_url=self.url, headers=headers, timeout=TIMEOUT_S) as client:
                answer = client.request(method, path, params=params, **options)
                said = answer.json()
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, UnicodeEncodeError):
            raise StartError(f"Nothing that is a mediagate answers at {self.url}.", exit_code=5) from None
        if answer.status_code != 200:
            sentence = said.get("error", {}).get("message", f"HTTP {answer.status_code}")
            code = 5 if answer.status_code >= 500 else EXIT_OF_STATUS.get(answer.status_code, 2)
            raise StartError(sentence, exit_code=code)
        return said
