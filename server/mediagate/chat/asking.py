"""What is sent to a deployment: a request in its provider's words, or a body that its server takes as it is."""

from __future__ import annotations

from mediagate.core.chat import Body, ChatRequest, Dialect, Uses
from mediagate.core.drop_settings import without_unsupported
from mediagate.core.read_chat import read_chat
from mediagate.core.write_chat import json_bytes
from mediagate.providers.chat import Answers, RawCall, SpeaksOpenAI
from mediagate.routing.catalog import Deployment


def native_request(provider: Answers, deployment: Deployment, body: Body, uses: Uses) -> ChatRequest:
    """A Chat Completions body, read for a provider with words of its own. Raises `InvalidField` for what it has none
    for; a setting is left out instead, where the deployment drops those."""
    request = read_chat(body, uses, model=deployment.provider_model, drop_settings=deployment.drops_settings)
    if deployment.drops_settings:
        request, _ = without_unsupported(request, provider.check)
    else:
        provider.check(request)
    return request


def raw_call(provider: SpeaksOpenAI, deployment: Deployment, dialect: Dialect, body: Body, *, stream: bool) -> RawCall:
    """A body whose files are told already, with the deployment's own model."""
    told = {**provider.adapt(body, dialect), "model": deployment.provider_model}
    return RawCall(dialect, deployment.provider_model, json_bytes(told), stream)
