"""Runs all that mediagate consists of on one machine, restarts what dies and stops it in order.

    mediagate dev --> prepare.py: checks, lock, key, Envoy's config --> a Plan
                         | exec: the heavy imports of the command line are gone, the process id stays
                         v
    python -m mediagate.supervisor --> runner.py: postgres, migration, api-N, worker, envoy

The running supervisor holds no database driver, no gRPC and no pydantic: it starts, waits, restarts and stops.
"""

from __future__ import annotations


class StartError(Exception):
    """One sentence that tells the operator what is wrong and what to do; no stack trace helps more."""

    def __init__(self, sentence: str, exit_code: int = 2) -> None:
        super().__init__(sentence)
        self.exit_code = exit_code
