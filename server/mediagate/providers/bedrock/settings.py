"""Where an account's bucket is and how it is reached, from the configuration and the environment."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from mediagate.providers.account import Account
from mediagate.providers.http import SILENCE_S
from mediagate.providers.settings import silence_of

REGION_DEFAULT: Final = "us-east-1"
SESSION_NAME: Final = "mediagate"
# Batch jobs of Bedrock take no other characters in an `s3Uri` (botocore's model of CreateModelInvocationJob).
PREFIX: Final = re.compile(r"[-!_*'().a-zA-Z0-9/]{1,200}")
_AMAZON: Final = re.compile(r"(?:.*\.)?amazonaws\.com(?:\.cn)?")
_REGION: Final = re.compile(r"\.([a-z]{2,3}(?:-[a-z]+)+-\d+)\.")


@dataclass(frozen=True, slots=True)
class Settings:
    """An account at S3. `endpoint` is None for Amazon itself. Keys are None where the SDK's default chain has to find
    credentials; `role` is assumed with what was found. `only_bearer` marks an account that was given a Bedrock API key
    and nothing that S3 takes. Times are in seconds."""

    bucket: str
    prefix: str
    region: str | None
    endpoint: str | None = None
    access_key_id: str | None = field(default=None, repr=False)
    secret_access_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)
    profile: str | None = None
    role: str | None = None
    role_session: str = SESSION_NAME
    external_id: str | None = field(default=None, repr=False)
    sts_endpoint: str | None = None
    kms_key_id: str | None = None
    retention_days: int | None = None
    silence_s: float = SILENCE_S
    only_bearer: bool = False


def settings_of(account: Account, *, needs_bucket: bool = True) -> Settings:
    """Read an account. Raises `ValueError` with one sentence for what is missing or cannot be. Who needs no bucket gets
    an empty name where there is none."""
    bucket = account.bucket_name or account.option("s3_bucket_name") or account.env("AWS_S3_BUCKET_NAME") or ""
    if needs_bucket and not bucket:
        raise ValueError("bucket_name is missing; set it in files_settings or AWS_S3_BUCKET_NAME")
    prefix = account.prefix.strip("/")
    if not PREFIX.fullmatch(prefix):
        raise ValueError("prefix must be 1 to 200 of the characters a-z A-Z 0-9 - ! _ * ' ( ) . /")
    access_key_id, secret_access_key, session_token = _keys(account)
    profile, role = account.option("aws_profile_name"), account.option("aws_role_name")
    return Settings(
        bucket=bucket.removeprefix("s3://").strip("/"),
        prefix=prefix,
        region=_region(account),
        endpoint=_endpoint(account),
        access_key_id=access_key_id,
        secret_access_key=secret_access_key,
        session_token=session_token,
        profile=profile,
        role=role,
        role_session=account.option("aws_session_name") or SESSION_NAME,
        external_id=account.option("aws_external_id"),
        sts_endpoint=account.option("aws_sts_endpoint") or account.env("AWS_ENDPOINT_URL_STS"),
        kms_key_id=account.option("kms_key_id", "s3_encryption_key_id"),
        retention_days=account.retention_days,
        silence_s=silence_of(account),
        only_bearer=bool(account.api_key) and not (access_key_id or profile or role),
    )


def _keys(account: Account) -> tuple[str | None, str | None, str | None]:
    """The configuration's keys; the environment's where there are none, because a token belongs to its key."""
    given = account.option("aws_access_key_id"), account.option("aws_secret_access_key")
    if any(given):
        if not all(given):
            raise ValueError("aws_access_key_id and aws_secret_access_key belong together; set both or neither")
        return *given, account.option("aws_session_token")
    found = account.env("AWS_ACCESS_KEY_ID"), account.env("AWS_SECRET_ACCESS_KEY")
    if account.option("aws_profile_name") or not all(found):
        return None, None, None
    return *found, account.env("AWS_SESSION_TOKEN")


def _region(account: Account) -> str | None:
    """None leaves it to the SDK's own configuration files."""
    host = _host(account.api_base)
    of_base = _REGION.search(host) if _AMAZON.fullmatch(host) else None
    return (
        account.option("aws_region_name")
        or (of_base[1] if of_base else None)
        or account.env("AWS_REGION_NAME", "AWS_REGION", "AWS_DEFAULT_REGION")
    )


def _endpoint(account: Account) -> str | None:
    """An `api_base` at Amazon is the one of Bedrock's models: no place for files."""
    base = account.api_base if account.api_base and not _AMAZON.fullmatch(_host(account.api_base)) else None
    endpoint = account.option("s3_endpoint_url") or base or account.env("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
    if endpoint and not _host(endpoint):
        raise ValueError("s3_endpoint_url must be an absolute URL such as https://s3.example.com")
    return endpoint.rstrip("/") if endpoint else None


def _host(url: str | None) -> str:
    parts = urlsplit(url or "")
    return (parts.hostname or "") if parts.scheme in ("http", "https") else ""
