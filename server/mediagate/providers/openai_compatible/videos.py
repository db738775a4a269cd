"""Videos at any server that speaks OpenAI's Videos API, or a part of it: vLLM-Omni, gateways, another mediagate."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from mediagate.providers.account import Account
from mediagate.providers.openai.video_wire import explain_videos
from mediagate.providers.openai.videos import OpenAIVideos, VideosApi
from mediagate.providers.openai_compatible.files import connect
from mediagate.providers.openai_compatible.spec import VIDEOS
from mediagate.providers.settings import flag_of

# mediagate's own word; vLLM-Omni's is `generate_sound`.
AUDIO_FIELD: Final = "generate_audio"


def build(account: Account) -> OpenAIVideos:
    """The server at `api_base`, which ends where OpenAI's `/v1` does. Raises `ValueError` where there is no address, or
    an option is not what it should be."""
    spec = replace(VIDEOS, idempotent_submit=True) if flag_of(account, "idempotent_submit") else VIDEOS
    api = VideosApi(
        spec,
        connect(account, VIDEOS.title, explain_videos(routes_may_lack=True)),
        audio_field=account.option("audio_field") or AUDIO_FIELD,
        send_dimensions=flag_of(account, "send_dimensions"),
        name_models=True,
        derive_by_create=flag_of(account, "derive_by_create"),
        cancel_route=True,
    )
    return OpenAIVideos(api, account)
