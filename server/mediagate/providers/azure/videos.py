"""Videos at Azure OpenAI: the same API under another address, in the v1 API alone."""

from __future__ import annotations

from mediagate.providers.account import Account
from mediagate.providers.azure.entra import EntraToken
from mediagate.providers.azure.resource import credentials_of, place_of
from mediagate.providers.azure.spec import VIDEOS
from mediagate.providers.http import ProviderHttp
from mediagate.providers.openai.video_wire import explain_videos
from mediagate.providers.openai.videos import OpenAIVideos, VideosApi
from mediagate.providers.settings import silence_of


class AzureVideos(OpenAIVideos):
    """The Videos API of one Azure resource; `model` is the name of a deployment."""

    def __init__(self, api: VideosApi, account: Account, token: EntraToken | None) -> None:
        super().__init__(api, account)
        self._token = token

    async def close(self) -> None:
        """Close connections."""
        await super().close()
        if self._token is not None:
            await self._token.close()


def build(account: Account) -> AzureVideos:
    """One resource, by `api_base`. Raises `ValueError` without an endpoint or credentials."""
    root, version = place_of(account)
    # Dated versions know no videos of this shape; an account may name one for its files.
    query = {"api-version": version} if version.lower() == "preview" else {}
    credentials, token = credentials_of(account)
    http = ProviderHttp(
        VIDEOS.title, f"{root}/openai/v1", credentials, silence_s=silence_of(account), explain=explain_videos()
    )
    return AzureVideos(VideosApi(VIDEOS, http, query), account, token)
