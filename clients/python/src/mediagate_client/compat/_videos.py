"""The peer's functions for videos."""

from __future__ import annotations

from typing import Any

from mediagate_client._errors import InvalidRequest
from mediagate_client._portal import Portal
from mediagate_client._types import Video
from mediagate_client.compat._shared import Names, client_of, file_of, headers_of


async def avideo_generation(
    prompt: str,
    model: str | None = None,
    input_reference: Any = None,
    seconds: str | int | None = None,
    size: str | None = None,
    user: str | None = None,
    timeout: float | None = 600,
    custom_llm_provider: str | None = None,
    extra_headers: Names = None,
    extra_query: Names = None,
    extra_body: Names = None,
    **kwargs: Any,
) -> Video:
    """Ask for a video. The model's deployment decides the provider; `custom_llm_provider` is ignored."""
    if isinstance(input_reference, tuple):
        input_reference = file_of(input_reference)[0]
    return await client_of(kwargs, timeout).videos.create(
        prompt,
        model=model,
        input_reference=input_reference,
        seconds=seconds,
        size=size,
        user=user,
        extra_body=extra_body,
        headers=headers_of(extra_headers),
    )


async def avideo_status(
    video_id: str,
    timeout: float | None = 600,
    custom_llm_provider: str | None = None,
    extra_headers: Names = None,
    extra_query: Names = None,
    extra_body: Names = None,
    **kwargs: Any,
) -> Video:
    """What is known of a video."""
    return await client_of(kwargs, timeout).videos.get(video_id, headers=headers_of(extra_headers))


async def avideo_content(
    video_id: str,
    timeout: float | None = None,
    custom_llm_provider: str | None = None,
    variant: str | None = None,
    extra_headers: Names = None,
    extra_query: Names = None,
    extra_body: Names = None,
    **kwargs: Any,
) -> bytes:
    """The bytes of a finished video, or of a picture of it."""
    return await client_of(kwargs, timeout).videos.content(video_id, variant=variant, headers=headers_of(extra_headers))


async def avideo_list(
    after: str | None = None,
    limit: int | None = None,
    order: str | None = None,
    api_key: str | None = None,
    timeout: float | None = 600,
    custom_llm_provider: str | None = None,
    extra_headers: Names = None,
    extra_query: Names = None,
    extra_body: Names = None,
    **kwargs: Any,
) -> list[Video]:
    """The caller's videos."""
    client = client_of({**kwargs, "api_key": api_key}, timeout)
    page = await client.videos.list(after=after, limit=limit, order=order, headers=headers_of(extra_headers))
    return list(page)


async def avideo_remix(
    video_id: str | None = None,
    prompt: str | None = None,
    timeout: float | None = 600,
    custom_llm_provider: str | None = None,
    extra_headers: Names = None,
    extra_query: Names = None,
    extra_body: Names = None,
    *,
    model: str | None = None,
    input_reference: Any = None,
    **kwargs: Any,
) -> Video:
    """A new video from a finished one (`video_id` and `prompt`), or, as the documents have it, from an image (`prompt`,
    `input_reference` and `model`)."""
    if not prompt:
        raise InvalidRequest("`prompt` says what shall be different.", reason="INVALID_FIELD", param="prompt")
    if video_id:
        return await client_of(kwargs, timeout).videos.remix(
            video_id, prompt, extra_body=extra_body, headers=headers_of(extra_headers)
        )
    if input_reference is None:
        raise InvalidRequest("Give `video_id`, or `input_reference`.", reason="INVALID_FIELD", param="video_id")
    return await avideo_generation(
        *(prompt, model, input_reference),
        timeout=timeout,
        extra_headers=extra_headers,
        extra_body=extra_body,
        **kwargs,
    )


def video_generation(
    prompt: str,
    model: str | None = None,
    input_reference: Any = None,
    seconds: str | int | None = None,
    size: str | None = None,
    user: str | None = None,
    timeout: float | None = 600,
    custom_llm_provider: str | None = None,
    extra_headers: Names = None,
    extra_query: Names = None,
    extra_body: Names = None,
    **kwargs: Any,
) -> Video:
    """`avideo_generation`, waited for; answers while the video is being made."""
    work = avideo_generation(
        *(prompt, model, input_reference, seconds, size, user, timeout),
        custom_llm_provider=custom_llm_provider,
        extra_headers=extra_headers,
        extra_query=extra_query,
        extra_body=extra_body,
        **kwargs,
    )
    return Portal.shared().run(work)


def video_status(
    video_id: str,
    timeout: float | None = 600,
    custom_llm_provider: str | None = None,
    extra_headers: Names = None,
    extra_query: Names = None,
    extra_body: Names = None,
    **kwargs: Any,
) -> Video:
    """`avideo_status`, waited for."""
    given = (video_id, timeout, custom_llm_provider, extra_headers, extra_query, extra_body)
    return Portal.shared().run(avideo_status(*given, **kwargs))


def video_content(
    video_id: str,
    timeout: float | None = None,
    custom_llm_provider: str | None = None,
    variant: str | None = None,
    extra_headers: Names = None,
    extra_query: Names = None,
    extra_body: Names = None,
    **kwargs: Any,
) -> bytes:
    """`avideo_content`, waited for."""
    given = (video_id, timeout, custom_llm_provider, variant, extra_headers, extra_query, extra_body)
    return Portal.shared().run(avideo_content(*given, **kwargs))


def video_list(
    after: str | None = None,
    limit: int | None = None,
    order: str | None = None,
    timeout: float | None = 600,
    custom_llm_provider: str | None = None,
    extra_headers: Names = None,
    extra_query: Names = None,
    extra_body: Names = None,
    **kwargs: Any,
) -> list[Video]:
    """`avideo_list`, waited for."""
    key = kwargs.pop("api_key", None)
    given = (after, limit, order, key, timeout, custom_llm_provider, extra_headers, extra_query, extra_body)
    return Portal.shared().run(avideo_list(*given, **kwargs))


def video_remix(
    video_id: str | None = None,
    prompt: str | None = None,
    timeout: float | None = 600,
    custom_llm_provider: str | None = None,
    extra_headers: Names = None,
    extra_query: Names = None,
    extra_body: Names = None,
    *,
    model: str | None = None,
    input_reference: Any = None,
    **kwargs: Any,
) -> Video:
    """`avideo_remix`, waited for."""
    given = (video_id, prompt, timeout, custom_llm_provider, extra_headers, extra_query, extra_body)
    return Portal.shared().run(avideo_remix(*given, model=model, input_reference=input_reference, **kwargs))
