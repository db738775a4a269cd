"""What uploads that broke off left at the gateway, kept on this machine until the same command goes on with them."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from mediagate_client.cli.where import Place

if TYPE_CHECKING:
    from mediagate_client._upload import UploadState

# How long the gateway keeps parts, less what the next parts take.
LASTS_S: Final = 3500


class Kept:
    """The state of one upload: of one file, to one gateway, with one key and the same options."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._begun: float | None = None

    @classmethod
    def of(cls, path: str, place: Place, meta: Mapping[str, Any]) -> Self:
        """Where the state of this upload is, if there is one."""
        whole = os.path.realpath(os.path.expanduser(path))
        named = json.dumps([whole, place.url, place.key, place.user, meta], sort_keys=True, default=str)
        folder = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "mediagate" / "uploads"
        return cls(folder / f"{hashlib.sha256(named.encode('utf-8', 'surrogateescape')).hexdigest()[:32]}.json")

    def state(self) -> UploadState | None:
        """What was kept, unless the gateway has forgotten it by now."""
        from mediagate_client._upload import UploadState

        try:
            kept = json.loads(self._path.read_text())
            if time.time() - kept["begun"] < LASTS_S:
                state = UploadState.parse(kept["state"])
                self._begun = kept["begun"]
                return state
        except (OSError, ValueError, KeyError, TypeError):
            pass
        return None

    def keep(self, state: UploadState) -> None:
        """Write it down. Where that is not possible, the upload goes on without."""
        if self._begun is None:
            self._begun = time.time()
            self._forget_old()
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            scratch = self._path.with_suffix(f".{os.getpid()}")
            scratch.write_text(json.dumps({"begun": self._begun, "state": str(state)}))
            scratch.replace(self._path)

    def _forget_old(self) -> None:
        """Remove what nobody has gone on with in time."""
        with contextlib.suppress(OSError):
            for path in self._path.parent.glob("*.json"):
                if time.time() - path.stat().st_mtime > LASTS_S:
                    path.unlink(missing_ok=True)

    def forget(self) -> None:
        """Remove it."""
        self._begun = None
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)
