"""The accounts and deployments that a configuration names.

One account is one set of credentials at one provider. Two entries with the same ones are one account, so that what one
verb stores another finds. The first account of a provider has the provider's name as its id; further ones add a digest
of what tells them apart, or have the name that `account` gives them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import structlog
from pydantic import SecretStr

from mediagate.config import Config, ConfigError, FilesSettings, LitellmParams, Settings, is_option
from mediagate.config_routing import own_id
from mediagate.config_sections import ModelEntry
from mediagate.core.placement import KMS, KMS_KEY
from mediagate.providers.account import Account
from mediagate.providers.registry import CHAT_PROVIDERS, FILE_PROVIDERS, VIDEO_PROVIDERS
from mediagate.routing.catalog import Deployment
from mediagate.routing.stores import LOCAL

log = structlog.get_logger(__name__)
# Stores of their own: a deployment of a model has no bucket, so its files lie in the provider's account for files.
BUCKETS = ("bedrock", "vertex_ai")
PROVIDER_OF_BARE_MODELS = "openai"
_KMS_OPTIONS = ("s3_encryption_key_id", "gcs_kms_key_name")
_OWN = ("api_key", "api_base", "api_version")
# What may change without its account becoming another.
_HABITS = frozenset(
    {
        "app_name", "audio_field", "derive_by_create", "idempotent_submit", "max_parallel_requests", "media_hosts",
        "send_dimensions", "site_url", "spool_dir", "timeout",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Accounts:
    """Every account that can keep files, those of `files_settings` first; every one that can make videos; every one
    that answers chats; and every deployment of `model_list`. An account that can do more is in each, under one id."""

    files: list[Account]
    videos: list[Account]
    chats: list[Account]
    deployments: list[Deployment]


def accounts_of(settings: Settings, environ: Mapping[str, str]) -> Accounts:
    """What the configuration names."""
    config = settings.config
    known = _Accounts(config, environ)
    for entry in config.files_settings:
        if entry.custom_llm_provider == LOCAL:
            known.label(LOCAL, entry.told_labels(), entry.storage_cap_bytes)
        if entry.custom_llm_provider in FILE_PROVIDERS:
            known.label(known.add(_of_files(entry)), entry.told_labels(), entry.storage_cap_bytes)
        else:
            log.warning("files_settings_unknown_provider", provider=entry.custom_llm_provider)
    deployments = _deployments(config.model_list, known, drops_settings=config.litellm_settings.drop_params)
    # A `local` account of the configuration names nothing that this one is not.
    data_dir, local = settings.data_dir, config.local
    files = Account(LOCAL, LOCAL, options={"root": str(data_dir / "files"), "fsync": local.fsync})
    videos = Account(
        LOCAL, LOCAL, options={"root": str(data_dir / "videos"), "parallel_renders": local.parallel_renders}
    )
    known.label(LOCAL, local.told_labels(), local.storage_cap_bytes)
    stores = [files, *(_spooling(account, data_dir) for account in known.accounts if account.provider != LOCAL)]
    asked = [_spooling(account, data_dir) for account in known.asked if account.provider != LOCAL]
    makers = [videos, *(account for account in asked if account.provider in VIDEO_PROVIDERS)]
    chats = [account for account in asked if account.provider in CHAT_PROVIDERS]
    if known.complaints:
        raise ConfigError(str(settings.config_path or "configuration"), known.complaints)
    return Accounts(
        [_encrypting(known.labelled(account)) for account in stores],
        # Bedrock is told with each video which key to use; what Vertex AI writes has its bucket's.
        [_encrypting(found) if found.provider == "bedrock" else found for found in map(known.labelled, makers)],
        [known.labelled(account) for account in chats],
        deployments,
    )


def _encrypting(account: Account) -> Account:
    """The account with the labels of the key that its store is told to encrypt with."""
    key = account.option(KMS_KEY, *_KMS_OPTIONS) if account.provider in BUCKETS else None
    return replace(account, labels={**account.labels, KMS: "true", KMS_KEY: key}) if key else account


def _deployments(models: Iterable[ModelEntry], known: _Accounts, *, drops_settings: bool) -> list[Deployment]:
    found: dict[str, Deployment] = {}
    for model in models:
        params = model.litellm_params
        provider, provider_model = provider_of(params)
        account, model_account = known.of_files(provider, params), known.of_models(provider, params)
        # A deployment without a key of its own uses the account that was there, which says itself what it is like.
        for one in {account, model_account}:
            known.label(one, model.told_labels(), params.storage_cap_bytes)
        base = f"{model.model_name}:{provider}/{provider_model}"
        again = f"{base}@{model_account}"
        names = (own_id(model.model_info) or base, again, *(f"{again}#{number}" for number in range(2, len(found) + 3)))
        deployment_id = next(name for name in names if name not in found)
        found[deployment_id] = Deployment(
            id=deployment_id,
            model_name=model.model_name,
            provider=provider,
            provider_model=provider_model,
            account=account,
            model_account=model_account,
            info=model.model_info,
            weight=params.weight,
            order=params.order,
            rpm=params.rpm,
            tpm=params.tpm,
            parallel_max=params.max_parallel_requests,
            drops_settings=drops_settings if params.drop_params is None else params.drop_params,
        )
    return list(found.values())


def _spooling(account: Account, data_dir: Path) -> Account:
    """The account with a place for what waits on disk."""
    return replace(account, options={"spool_dir": str(data_dir / "spool"), **account.options})


def provider_of(params: LitellmParams) -> tuple[str, str]:
    """Provider and its model: `vertex_ai/gemini-2.5-pro`, or a bare name, which is OpenAI's."""
    if params.custom_llm_provider:
        return params.custom_llm_provider, params.model.removeprefix(f"{params.custom_llm_provider}/")
    provider, slash, model = params.model.partition("/")
    return (provider, model) if slash else (PROVIDER_OF_BARE_MODELS, params.model)


class _Accounts:
    """The accounts found so far."""

    def __init__(self, config: Config, environ: Mapping[str, str]) -> None:
        self._config = config
        self._environ = environ
        self._by_content: dict[str, Account] = {}
        self._asked: dict[str, Account] = {}
        self._labels: dict[str, dict[str, str]] = {}
        self._caps: dict[str, int] = {}
        self.complaints: list[str] = []

    def label(self, account_id: str, labels: Mapping[str, str], cap_bytes: int | None) -> None:
        """Note what an entry says an account is like. Entries of one account must not contradict each other."""
        known = self._labels.setdefault(account_id, {})
        for name, value in labels.items():
            if known.setdefault(name, value) != value:
                self.complaints.append(
                    f"files_settings and model_list: the account '{account_id}' is labelled both '{name}: "
                    f"{known[name]}' and '{name}: {value}'; give one of the entries an `account` of its own"
                )
        if cap_bytes is not None:
            self._caps[account_id] = min(cap_bytes, self._caps.get(account_id, cap_bytes))

    def labelled(self, account: Account) -> Account:
        """The account, with what was noted of it."""
        labels = self._labels.get(account.id, {})
        return replace(account, labels=labels, storage_cap_bytes=self._caps.get(account.id))

    @property
    def accounts(self) -> list[Account]:
        return list(self._by_content.values())

    @property
    def asked(self) -> list[Account]:
        """Those whose models are asked."""
        return list(self._asked.values())

    def add(self, account: Account) -> str:
        """The id of this account, which is a new one if none is like it."""
        content = _content(account)
        if content not in self._by_content:
            self._by_content[content] = replace(account, id=self._id(account, content), environ=self._environ)
        return self._by_content[content].id

    def _id(self, account: Account, content: str) -> str:
        if account.id:
            return account.id
        taken = {known.id for known in (*self._by_content.values(), *self._asked.values())}
        if account.provider not in taken:
            return account.provider
        return f"{account.provider}-{hashlib.sha256(content.encode()).hexdigest()[:8]}"

    def of_files(self, provider: str, params: LitellmParams) -> str:
        """The account whose files a deployment can read."""
        if provider not in FILE_PROVIDERS:
            return provider
        own = any(getattr(params, name) for name in _OWN) or bool(_options(params))
        first = next((known.id for known in self._by_content.values() if known.provider == provider), None)
        if first is not None and (not own or provider in BUCKETS):
            return first
        if provider == LOCAL:
            return LOCAL
        return self.add(self._of_params(provider, params))

    def of_models(self, provider: str, params: LitellmParams) -> str:
        """The account whose model a deployment is: the provider's first one for files with what the deployment says of
        its own over it, which is another account where that is anything."""
        if provider == LOCAL or (provider not in VIDEO_PROVIDERS and provider not in CHAT_PROVIDERS):
            return provider
        own = self._of_params(provider, params)
        content = _content(own)
        base = self._by_content.get(content) or next(
            (known for known in self._by_content.values() if known.provider == provider), None
        )
        if base is not None and _content(base) != content:
            changes: dict[str, Any] = {name: getattr(own, name) for name in _OWN if getattr(own, name) is not None}
            bucket = own.bucket_name or base.bucket_name
            options = {**base.options, **own.options}
            changed = replace(base, id=own.id, bucket_name=bucket, options=options, **changes)
            # What differs in its habits alone is the account for files.
            own = replace(changed, id=base.id) if _content(replace(changed, id=base.id)) == _content(base) else changed
            content = _content(own)
        if content not in self._asked:
            account_id = own.id or (base.id if base is not None and _content(base) == content else "")
            self._asked[content] = replace(own, id=account_id or self._id(own, content), environ=self._environ)
        return self._asked[content].id

    def _of_params(self, provider: str, params: LitellmParams) -> Account:
        return Account(
            id=params.account or "",
            provider=provider,
            api_key=_revealed(params.api_key),
            api_base=params.api_base,
            api_version=params.api_version,
            bucket_name=params.bucket_name,
            prefix=self._config.files.prefix,
            options=_options(params),
        )


def _of_files(entry: FilesSettings) -> Account:
    return Account(
        id=entry.account or "",
        provider=entry.custom_llm_provider,
        api_key=_revealed(entry.api_key),
        api_base=entry.api_base,
        api_version=entry.api_version,
        bucket_name=entry.bucket_name,
        prefix=entry.prefix,
        retention_days=entry.retention_period,
        options=_options(entry),
    )


def _content(account: Account) -> str:
    """What makes an account this one and no other. Secrets are part of it; only a digest of it is ever shown."""
    return json.dumps(
        [
            account.provider,
            account.id,
            account.api_key,
            account.api_base,
            account.api_version,
            account.bucket_name,
            account.prefix,
            sorted((key, str(value)) for key, value in account.options.items() if key not in _HABITS),
        ]
    )


def _options(entry: FilesSettings | LitellmParams) -> dict[str, Any]:
    """The keys that only the provider knows, with their secrets revealed."""
    extra = entry.model_extra or {}
    return {key: _revealed(value) for key, value in extra.items() if value is not None and is_option(key)}


def _revealed(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, dict):
        return {key: _revealed(item) for key, item in value.items()}
    return value
