"""The section `chat_files`: files that requests to models mention."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field

from mediagate.config_sections import MIB, Strict

HOUR_S: Final = 3600.0


class ChatFiles(Strict):
    """How files that a request to a model mentions reach its provider."""

    wait_s: float = Field(
        default=30.0,
        ge=0,
        le=300,
        description="How long a request waits for a file that is still being copied, or that has to be copied to the "
        "provider first. What takes longer goes on, and the request is refused.",
    )
    links: Literal["auto", "gateway", "store"] = Field(
        default="auto",
        description="What a provider that fetches files by URL is given: a link to this gateway (`gateway`, which "
        "needs `handles.public_url`), a presigned one to the store that has a copy (`store`), or either (`auto`: the "
        "gateway's where there is a `public_url`).",
    )
    link_s: float = Field(default=600.0, ge=10, le=HOUR_S, description="How long such a link works.")
    inline_bytes_max: int = Field(
        default=20 * MIB,
        ge=0,
        le=1024 * MIB,
        description="The largest file that is sent to a provider inside a request.",
    )
    inline_bytes_in_flight_max: int = Field(
        default=128 * MIB,
        ge=1 * MIB,
        description="How much of files that are sent inside requests one process holds at the same time, and one "
        "request at the most; others wait.",
    )
    fetch_s: float = Field(
        default=20.0,
        ge=1,
        le=300,
        description="How long fetching a caller's URL may take, for a provider that does not fetch it by itself.",
    )
