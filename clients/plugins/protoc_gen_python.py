"""A plugin for buf and protoc that writes Python: messages, their types, and gRPC stubs, by `pip install grpcio-tools`.

grpcio-tools holds protoc with its generators for Python, but not as plugins. This runs it inside of one.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from google.protobuf import descriptor_pb2
from google.protobuf.compiler import plugin_pb2

KINDS = ("python", "pyi", "grpc_python")


def main() -> None:
    request = plugin_pb2.CodeGeneratorRequest.FromString(sys.stdin.buffer.read())
    response = plugin_pb2.CodeGeneratorResponse(
        supported_features=plugin_pb2.CodeGeneratorResponse.FEATURE_PROTO3_OPTIONAL
    )
    with tempfile.TemporaryDirectory() as folder:
        described, out = Path(folder, "described.binpb"), Path(folder, "out")
        described.write_bytes(descriptor_pb2.FileDescriptorSet(file=request.proto_file).SerializeToString())
        out.mkdir()
        command = [sys.executable, "-m", "grpc_tools.protoc", f"--descriptor_set_in={described}"]
        command += [f"--{kind}_out={out}" for kind in KINDS]
        done = subprocess.run([*command, *request.file_to_generate], capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode != 0:
            response.error = done.stderr
        for path in sorted(out.rglob("*.py*")):
            response.file.add(name=path.relative_to(out).as_posix(), content=path.read_text())
    sys.stdout.buffer.write(response.SerializeToString())


if __name__ == "__main__":
    main()
