"""The guardrails that a configuration names, put together from their parts."""

from __future__ import annotations

from collections.abc import Mapping

from mediagate.config import ConfigError, Settings
from mediagate.config_guardrails import OPENAI_MODERATION, PATTERNS, GuardrailEntry, GuardrailParams
from mediagate.core.guardrails import Stage, Streams
from mediagate.guardrails.rules import Guardrails, Judge, Rule

OPENAI_KEY = "OPENAI_API_KEY"


def build_guardrails(settings: Settings, environ: Mapping[str, str]) -> Guardrails:
    """Opens no connection yet. Raises `ConfigError` for one that lacks its key."""
    complaints: list[str] = []
    rules = [
        _rule(entry, environ, f"guardrails[{index}].litellm_params", complaints)
        for index, entry in enumerate(settings.config.guardrails)
    ]
    if complaints:
        raise ConfigError(str(settings.config_path or "configuration"), complaints)
    by_model: dict[str, tuple[str, ...]] = {}
    for model in settings.config.model_list:
        names = model.litellm_params.guardrails
        if names:
            # Which deployment serves a request is not the caller's affair: what one of a group asks for, all have.
            by_model[model.model_name] = tuple(dict.fromkeys((*by_model.get(model.model_name, ()), *names)))
    return Guardrails(rules, by_model)


def _rule(entry: GuardrailEntry, environ: Mapping[str, str], path: str, complaints: list[str]) -> Rule:
    params = entry.litellm_params
    return Rule(
        name=entry.guardrail_name,
        judge=_judge(entry.guardrail_name, params, environ, path, complaints),
        stages=frozenset(map(Stage, params.stages)),
        models=None if params.models is None else tuple(params.models),
        default_on=params.runs_by_default,
        blocks_unjudged=params.on_error == "block",
        timeout_s=params.timeout_s,
        file_bytes_max=params.file_bytes_max,
        blocks_oversize=params.on_oversize == "block",
        streams=Streams(params.on_stream),
    )


def _judge(name: str, params: GuardrailParams, environ: Mapping[str, str], path: str, complaints: list[str]) -> Judge:
    # Each only where it is used: RE2, and the stubs of a service that most have not.
    if params.guardrail == PATTERNS:
        from mediagate.guardrails.patterns import PatternList

        return PatternList(params.words, params.patterns)
    key = params.api_key.get_secret_value() if params.api_key else None
    if params.guardrail == OPENAI_MODERATION:
        from mediagate.providers.guardrails.openai_moderation import BASE_URL, ModerationRules, OpenAIModeration

        if params.api_base is None and not key:
            key = environ.get(OPENAI_KEY)
            if not key:
                complaints.append(f"{path}.api_key: is required where {OPENAI_KEY} is not set")
        rules = ModerationRules(params.model, params.categories, params.thresholds)
        return OpenAIModeration(params.api_base or BASE_URL, key, rules, silence_s=params.timeout_s)
    from mediagate.providers.guardrails.grpc_service import GrpcGuardrail, GrpcPlace

    place = GrpcPlace(params.address or "", params.tls, params.ca_file, key)
    return GrpcGuardrail(name, place, timeout_s=params.timeout_s)
