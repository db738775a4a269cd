"""An SDK session with the credentials that the account names, or those that the SDK finds by itself."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from botocore.credentials import (
    AssumeRoleCredentialFetcher,
    CredentialProvider,
    CredentialResolver,
    DeferredRefreshableCredentials,
)
from botocore.exceptions import NoCredentialsError
from botocore.loaders import create_loader
from botocore.session import Session

from mediagate.providers.bedrock.settings import REGION_DEFAULT, Settings

METHOD: Final = "assume-role"
# The SDK's descriptions of services, read once for all accounts.
_LOADER: Final = create_loader()


class AssumedRole(CredentialProvider):
    """Gives the credentials of one role, and renews them before they expire. Asks STS at their first use."""

    METHOD = METHOD

    def __init__(self, fetcher: AssumeRoleCredentialFetcher) -> None:
        super().__init__()
        self._fetcher = fetcher

    def load(self) -> Any:
        """The credentials, not yet fetched."""
        return DeferredRefreshableCredentials(refresh_using=self._fetcher.fetch_credentials, method=METHOD)


def session_of(settings: Settings) -> Session:
    """A session of its own for the account. May ask the SDK's sources (files, the machine's metadata service), so it
    belongs into a thread. Raises what the SDK raises."""
    session = _session(settings)
    if settings.access_key_id and settings.secret_access_key:
        session.set_credentials(settings.access_key_id, settings.secret_access_key, settings.session_token)
    return _assuming(session, settings) if settings.role else session


def _session(settings: Settings) -> Session:
    session = Session(profile=settings.profile)
    session.register_component("data_loader", _LOADER)
    return session


def _assuming(source: Session, settings: Settings) -> Session:
    credentials = source.get_credentials()
    if credentials is None:
        raise NoCredentialsError
    more = {"RoleSessionName": settings.role_session}
    if settings.external_id:
        more["ExternalId"] = settings.external_id
    region = settings.region or source.get_config_variable("region") or REGION_DEFAULT
    fetcher = AssumeRoleCredentialFetcher(
        client_creator=partial(source.create_client, region_name=region, endpoint_url=settings.sts_endpoint),
        source_credentials=credentials,
        role_arn=settings.role or "",
        extra_args=more,
    )
    session = _session(settings)
    session.register_component("credential_provider", CredentialResolver([AssumedRole(fetcher)]))
    return session
