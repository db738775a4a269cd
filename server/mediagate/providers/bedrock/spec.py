"""What the `bedrock` provider can do: files in Amazon S3, where Bedrock reads them, and videos of Bedrock's models."""

from __future__ import annotations

from typing import Final

from mediagate.core.sizes import size_of
from mediagate.providers.base import VideoKind, VideoModel, VideoSpec
from mediagate.providers.files import FileOperation, FileSpec

OBJECT_BYTES_MAX: Final = 5 << 40

FILES: Final = FileSpec(
    name="bedrock",
    title="Amazon S3",
    source="https://docs.aws.amazon.com/AmazonS3/latest/API/Welcome.html",
    notes={
        FileOperation.LIST: "what lies under the account's prefix",
        FileOperation.CONTENT: "not from an archive class such as Glacier before it is restored",
    },
    file_bytes_max=OBJECT_BYTES_MAX,
    lifecycle=True,
    own_prefix=True,
)

LUMA: Final = "luma.ray-v2:0"
RATIOS: Final = ("16:9", "9:16", "1:1", "4:3", "3:4", "21:9", "9:21")

VIDEOS: Final = VideoSpec(
    name="bedrock",
    title="Amazon Bedrock",
    source="https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-luma.html",
    models={
        LUMA: VideoModel(
            name=LUMA,
            sizes=tuple(size_of(ratio, resolution) for resolution in ("720p", "540p") for ratio in RATIOS),
            seconds=(5, 9),
            default_size="1280x720",
            default_seconds=5,
            prompt_chars_max=5000,
            inputs=("text", "image"),
            kinds=(VideoKind.CREATE,),
            description="Luma Ray 2: video without sound from text, or from its first frame.",
        )
    },
    shut_down={"amazon.nova-reel-v1:0": "2026-09-30", "amazon.nova-reel-v1:1": "2026-09-30"},
    idempotent_submit=True,
    reserved=frozenset({"s3Location", "s3Uri", "uri", "outputDataConfig"}),
    reserved_schemes=("s3:",),
)
