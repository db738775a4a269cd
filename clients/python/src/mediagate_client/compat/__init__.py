"""LiteLLM's functions for files and videos, by the names that its documents and its code have for them.

    from mediagate_client import compat as litellm

    file = litellm.create_file(file=open("data.jsonl", "rb"), purpose="batch", custom_llm_provider="bedrock")

The gateway and its key are `api_base` and `api_key` of a call, else MEDIAGATE_URL and MEDIAGATE_API_KEY. `timeout` is
in seconds, 600 where it is not given; of bytes it is how long none may move. Arguments that only steer LiteLLM's own
process (`logging_obj`, `mock_response`, …) are taken and ignored. Answers are in OpenAI's shape, read by attribute or
by item.
"""

from __future__ import annotations

from mediagate_client.compat._files import (
    acreate_file,
    afile_content,
    afile_delete,
    afile_list,
    afile_retrieve,
    create_file,
    file_content,
    file_delete,
    file_list,
    file_retrieve,
)
from mediagate_client.compat._videos import (
    avideo_content,
    avideo_generation,
    avideo_list,
    avideo_remix,
    avideo_status,
    video_content,
    video_generation,
    video_list,
    video_remix,
    video_status,
)

__all__ = [
    "acreate_file",
    "adelete_file",
    "afile_content",
    "afile_delete",
    "afile_list",
    "afile_retrieve",
    "alist_files",
    "aretrieve_file",
    "avideo_content",
    "avideo_generation",
    "avideo_list",
    "avideo_remix",
    "avideo_retrieval",
    "avideo_status",
    "create_file",
    "file_content",
    "file_delete",
    "file_list",
    "file_retrieve",
    "video_content",
    "video_generation",
    "video_list",
    "video_remix",
    "video_retrieval",
    "video_status",
]

# The documents' names for the same.
alist_files = afile_list
aretrieve_file = afile_retrieve
adelete_file = afile_delete
video_retrieval = video_content
avideo_retrieval = avideo_content
