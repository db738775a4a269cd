"""A file and a video through mediagate, by a client that has only the stubs generated from `proto/`.

    pip install grpcio grpcio-tools
    mkdir -p stubs && python -m grpc_tools.protoc -I proto/third_party -I proto \\
        --python_out=stubs --grpc_python_out=stubs $(find proto -name '*.proto')
    PYTHONPATH=stubs python clients/examples/watch_video.py 127.0.0.1:4000 "$(cat .mediagate/master_key)" README.md
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
from mediagate.v1 import files_pb2, files_pb2_grpc, videos_pb2, videos_pb2_grpc

CHUNK_BYTES = 1 << 20


def upload(path: Path) -> Iterator[files_pb2.UploadFileRequest]:
    """The metadata, the bytes, and the checksum that proves that they are all there."""
    yield files_pb2.UploadFileRequest(metadata=files_pb2.UploadFileMetadata(filename=path.name, purpose="user_data"))
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
            yield files_pb2.UploadFileRequest(chunk=chunk)
    yield files_pb2.UploadFileRequest(checksum=files_pb2.UploadFileChecksum(sha256=digest.hexdigest()))


def save(messages: Iterator[files_pb2.DownloadFileResponse], path: Path) -> int:
    """Write a download; raises `EOFError` where it ends without its proof. Returns the number of bytes."""
    digest, ended = hashlib.sha256(), False
    with path.open("wb") as file:
        for message in messages:
            digest.update(message.chunk)
            file.write(message.chunk)
            ended = message.HasField("end")
            if ended and message.end.sha256 != digest.hexdigest():
                raise EOFError("the bytes that arrived are not the bytes that were sent")
    if not ended:
        raise EOFError("the download stopped half-way")
    return path.stat().st_size


def main(address: str, key: str, path: Path) -> None:
    metadata = (("authorization", f"Bearer {key}"),)
    with grpc.insecure_channel(address) as channel:
        files = files_pb2_grpc.FileServiceStub(channel)
        file = files.UploadFile(upload(path), metadata=metadata)
        print(f"stored {file.id}, {file.bytes:.0f} bytes, SHA-256 {file.mediagate.sha256}")
        copy = path.with_suffix(".copy")
        content = files.DownloadFile(files_pb2.DownloadFileRequest(file_id=file.id), metadata=metadata)
        print(f"read back {save(content, copy)} bytes")
        if copy.read_bytes() != path.read_bytes():
            raise SystemExit("the copy is another file")
        files.DeleteFile(files_pb2.DeleteFileRequest(file_id=file.id), metadata=metadata)

        videos = videos_pb2_grpc.VideoServiceStub(channel)
        request = videos_pb2.CreateVideoRequest(
            model="local-video", prompt="A paper boat on a river", seconds="2", size="320x180"
        )
        video = videos.CreateVideo(request, metadata=metadata)
        for event in videos.WatchVideo(videos_pb2.WatchVideoRequest(video_id=video.id), metadata=metadata):
            print(event.seq, event.type, event.phase.to or event.video.status, event.progress.percent or "")
            video = event.video if event.HasField("video") else video
        if video.status != "completed":
            raise SystemExit(f"the video {video.status}: {video.mediagate.failure.message}")
        content = videos.DownloadVideo(videos_pb2.DownloadVideoRequest(video_id=video.id), metadata=metadata)
        print(f"downloaded {save(content, Path('video.mp4'))} bytes to video.mp4")
        videos.DeleteVideo(videos_pb2.DeleteVideoRequest(video_id=video.id), metadata=metadata)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
