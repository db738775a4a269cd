"""What Azure OpenAI's Files API and Videos API can do."""

from __future__ import annotations

from typing import Final

from mediagate.core.chat import Dialect
from mediagate.core.limits import GIB, MIB
from mediagate.providers.base import VideoSpec
from mediagate.providers.batches import ENDPOINTS, BatchSpec
from mediagate.providers.chat import ChatSpec
from mediagate.providers.files import FileOperation, FileSpec
from mediagate.providers.openai.spec import ANY_VIDEO, OPENAI_TAKES, RESERVED, SORA

FILES: Final = FileSpec(
    name="azure",
    title="Azure OpenAI",
    source="https://learn.microsoft.com/azure/ai-foundry/openai/latest",
    takes_purpose=True,
    notes={
        FileOperation.CREATE: "above 512 MB only where the size is known beforehand; older api-versions take fewer "
        "purposes",
        FileOperation.CONTENT: "not for every purpose",
    },
    file_bytes_max=8 * GIB,
)

VIDEOS: Final = VideoSpec(
    name="azure",
    title="Azure OpenAI",
    source="https://learn.microsoft.com/azure/ai-foundry/openai/concepts/video-generation",
    models={},
    any_model=ANY_VIDEO,
    shut_down=dict.fromkeys(("sora", *SORA), "2026-11-02"),
    reports_progress=True,
    output_life_s=86_400,
    poll_interval_s=5.0,
    reserved=RESERVED,
)

CHAT: Final = ChatSpec(
    name="azure",
    title="Azure OpenAI",
    source="https://learn.microsoft.com/azure/ai-foundry/openai/latest",
    takes=OPENAI_TAKES,
    own_hosts=("azure.com", "azure.us", "azure.cn", "azure-api.net", "microsoft.com"),
    dialects=(Dialect.CHAT, Dialect.RESPONSES),
    request_bytes_max=50 * MIB,
)

BATCHES: Final = BatchSpec(
    name="azure",
    title="Azure OpenAI",
    source="https://learn.microsoft.com/azure/ai-foundry/openai/how-to/batch",
    endpoints=ENDPOINTS,
    lines_max=100_000,
    input_bytes_max=200_000_000,
    notes={"model": "the name of a Global Batch or Data Zone Batch deployment"},
)
