"""Batches at any server that speaks OpenAI's Batch API beside its Files API."""

from __future__ import annotations

from mediagate.providers.account import Account
from mediagate.providers.http_failures import error_of
from mediagate.providers.openai.batches import BatchesApi, OpenAIBatches
from mediagate.providers.openai_compatible.files import connect
from mediagate.providers.openai_compatible.spec import BATCHES


def build(account: Account) -> OpenAIBatches:
    """The server at `api_base`. Raises `ValueError` where there is no address."""
    return OpenAIBatches(BatchesApi(BATCHES, connect(account, BATCHES.title, error_of)))
