"""What the `bedrock` file provider can do: Amazon S3, where Bedrock reads its files."""

from __future__ import annotations

from typing import Final

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
