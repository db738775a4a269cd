"""What came of the deployments that were asked so far."""

from __future__ import annotations

from mediagate.core.errors import MediagateError
from mediagate.core.retry_budget import RetryBudget


class FileAway(Exception):
    """A file of the request cannot be told now, which is nothing that the deployment did."""

    def __init__(self, cause: MediagateError) -> None:
        super().__init__(cause.message)
        self.cause = cause


class Tries:
    """Of one request. The first deployment is asked in any case, others as far as retries go."""

    def __init__(self, retries: RetryBudget) -> None:
        self._retries = retries
        self._refusal: MediagateError | None = None
        self._failure: MediagateError | None = None
        self._full: MediagateError | None = None
        retries.ask()

    def may_ask(self) -> bool:
        """Whether one more may be asked."""
        return self._failure is None or self._retries.ask_again()

    def refused(self, error: MediagateError) -> None:
        """One cannot be asked this."""
        self._refusal = self._refusal or error

    def full(self, error: MediagateError) -> None:
        """One has as many as it may have: it was not asked, and that costs no retry."""
        if self._full is None or (error.retry_after_s or 0) < (self._full.retry_after_s or 0):
            self._full = error

    def failed(self, error: MediagateError) -> None:
        """One did not answer."""
        self._failure = error

    def outcome(self) -> MediagateError:
        """What is said where nobody answers."""
        found = self._failure or self._full or self._refusal
        assert found is not None
        return found
