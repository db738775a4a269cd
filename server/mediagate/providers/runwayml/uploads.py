"""Inputs at Runway: inside the request where they are small, else uploaded for a day."""

from __future__ import annotations

from typing import Final

from mediagate.providers.answers import reading
from mediagate.providers.base import FateUnknown, MediaInput, ProviderBusy
from mediagate.providers.http import ProviderHttp
from mediagate.providers.media_body import FormBody, JsonBody, extension
from mediagate.providers.video_calls import submitting

# The API takes `data:` URIs of 5 MB; the text around the base64 is a part of that.
DATA_URI_BYTES_MAX: Final = 5_000_000
_HEAD_BYTES: Final = 100


async def uri_of(http: ProviderHttp, media: MediaInput, body: JsonBody) -> str:
    """What a request names `media` by. Raises as a submit that started nothing: `SubmitRefused`, `ProviderBusy`."""
    if media.size_bytes * 4 // 3 + _HEAD_BYTES <= DATA_URI_BYTES_MAX:
        return body.data_uri(media)
    try:
        return await submitting(_uploaded(http, media))
    except FateUnknown as error:
        # Nobody has asked for a video yet: what became of the upload is of no consequence.
        raise ProviderBusy(str(error)) from error


async def _uploaded(http: ProviderHttp, media: MediaInput) -> str:
    answer = await http.json(
        "POST",
        "/v1/uploads",
        json={"filename": f"input{extension(media.content_type)}", "type": "ephemeral"},
    )
    with reading(http.title):
        url, uri = str(answer["uploadUrl"]), str(answer["runwayUri"])
        fields = {str(name): str(value) for name, value in answer["fields"].items()}
    form = FormBody(fields, file_field="file", media=media)
    await http.call("POST", url, repeatable=False, anonymous=True, content=form.pieces(), headers=form.headers())
    return uri
