"""What the `bedrock` provider can do: files in Amazon S3, where Bedrock reads them, videos of Bedrock's models,
chats with them, and batches of chats."""

from __future__ import annotations

from typing import Final

from mediagate.core.chat import MediaKind, Way
from mediagate.core.limits import GIB
from mediagate.core.sizes import size_of
from mediagate.providers.base import VideoKind, VideoModel, VideoSpec
from mediagate.providers.batches import CHATS, BatchSpec
from mediagate.providers.bedrock.media_types import FORMATS, PAGES, TEXTS
from mediagate.providers.chat import ChatSpec, Taken
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

# What names an object of the account: only a resolved file may.
RESERVED: Final = frozenset({"s3Location", "s3Uri"})
# A request may have 25 MB in all; base 64 makes three bytes four, and the words need some room.
REQUEST_BYTES_MAX: Final = 25_000_000
_INLINE_BYTES_MAX: Final = 18_500_000
_TEXT_BYTES_MAX: Final = 4_500_000
# The models that read from S3. Claude answers "This model doesn't support the s3Uri field" for an image, and passes
# over a document in silence; the names of these profiles do not tell whose model is behind them.
S3_READERS: Final = ("*amazon.nova*", "*:application-inference-profile/*", "*:provisioned-model/*", "*:custom-model*")


def _from_s3(kind: MediaKind, media_types: tuple[str, ...], bytes_max: int | None = None) -> Taken:
    return Taken(kind, Way.URI, media_types, bytes_max, uri_schemes=("s3",), models=S3_READERS)


CHAT: Final = ChatSpec(
    name="bedrock",
    title="Amazon Bedrock",
    source="https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html",
    takes=(
        _from_s3(MediaKind.IMAGE, tuple(FORMATS[MediaKind.IMAGE])),
        Taken(MediaKind.IMAGE, Way.DATA, tuple(FORMATS[MediaKind.IMAGE]), _INLINE_BYTES_MAX),
        _from_s3(MediaKind.DOCUMENT, PAGES, 2 * GIB),
        _from_s3(MediaKind.DOCUMENT, TEXTS, _TEXT_BYTES_MAX),
        Taken(MediaKind.DOCUMENT, Way.DATA, PAGES, _INLINE_BYTES_MAX),
        Taken(MediaKind.DOCUMENT, Way.DATA, TEXTS, _TEXT_BYTES_MAX),
        _from_s3(MediaKind.VIDEO, tuple(FORMATS[MediaKind.VIDEO]), 1 * GIB),
        Taken(MediaKind.VIDEO, Way.DATA, tuple(FORMATS[MediaKind.VIDEO]), _INLINE_BYTES_MAX),
        _from_s3(MediaKind.AUDIO, tuple(FORMATS[MediaKind.AUDIO])),
        Taken(MediaKind.AUDIO, Way.DATA, tuple(FORMATS[MediaKind.AUDIO]), _INLINE_BYTES_MAX),
    ),
    request_bytes_max=REQUEST_BYTES_MAX,
    notes={
        "image": "up to 3.75 MB and 8000 pixels on each side for most models",
        "document": "five in a request, words beside them",
        "video": "one in a request, for Nova and the models of TwelveLabs",
        "audio": "for the models that listen",
    },
)

BATCHES: Final = BatchSpec(
    name="bedrock",
    title="Amazon Bedrock",
    source="https://docs.aws.amazon.com/bedrock/latest/userguide/batch-inference.html",
    endpoints=CHATS,
    # A quota that AWS does not raise; those for the most can be raised, and are AWS's to name.
    lines_min=100,
    input_bytes_max=1 * GIB,
    idempotent_submit=True,
    # A job that has not ended after the hours that it was given, 24 at least, expires by itself.
    deadline_s=8 * 86_400.0,
    notes={"files": "files in S3 that lines mention are copied beside them, where the job may read"},
)
