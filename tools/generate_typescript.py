"""Write the messages that the TypeScript client carries, from the protos, with protoc-gen-es.

`python -m tools.generate_typescript` writes; with `--check` it writes into a temporary folder and exits 1 where the
committed files differ. npm installs protoc-gen-es once, by the client's lock file, into a cache folder.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from google.protobuf import descriptor_pb2

from tests.installed import npm_installed
from tools.generate import ROOT, differences, protoc

CLIENT = ROOT / "clients" / "typescript"
GENERATED = CLIENT / "src" / "gen"
# The services that the client speaks to, and what failures carry.
CARRIED = [
    "mediagate/v1/files.proto",
    "mediagate/v1/uploads.proto",
    "mediagate/v1/videos.proto",
    "google/rpc/error_details.proto",
]
# Rules for servers and other doors: a client would carry five thousand lines for nothing.
NOT_FOR_CLIENTS = ("buf/validate/", "google/api/")


def for_clients(descriptors: descriptor_pb2.FileDescriptorSet) -> None:
    """Take out the rules and the REST doors, and what only they import."""
    kept = [file for file in descriptors.file if not file.name.startswith(NOT_FOR_CLIENTS)]
    for file in kept:
        if file.package == "mediagate.v1":
            clear_options(file)
            names = [name for name in file.dependency if not name.startswith(NOT_FOR_CLIENTS)]
            del file.dependency[:]
            file.dependency.extend(names)
    del descriptors.file[:]
    descriptors.file.extend(kept)


def clear_options(file: descriptor_pb2.FileDescriptorProto) -> None:
    """Take the options off fields and methods, and the methods and messages that are REST's alone."""
    for message in file.message_type:
        for part in (*message.field, *message.oneof_decl):
            part.ClearField("options")
    for service in file.service:
        for method in service.method:
            method.ClearField("options")
    # Places in the source are by number, and comments are found by them.
    gone = list(take_doors(file))
    places = [place for place in file.source_code_info.location if moved(place, gone)]
    del file.source_code_info.location[:]
    file.source_code_info.location.extend(places)


def take_doors(file: descriptor_pb2.FileDescriptorProto) -> Iterator[tuple[int, ...]]:
    """Take out what only REST and providers call, the last first; yields where each was."""
    for number, message in reversed(list(enumerate(file.message_type))):
        if message.name.endswith("HttpRequest") or message.name.startswith("TakeProviderCallback"):
            yield 4, number
            del file.message_type[number]
    for index, service in enumerate(file.service):
        for number, method in reversed(list(enumerate(service.method))):
            if method.name.endswith("Http") or method.name == "TakeProviderCallback":
                yield 6, index, 2, number
                del service.method[number]


def moved(place: descriptor_pb2.SourceCodeInfo.Location, gone: list[tuple[int, ...]]) -> bool:
    """Move a place to where it is now; False for one that is not there any more."""
    path: tuple[int, ...] | None = tuple(place.path)
    for taken in gone:
        path = path and without(path, taken)
    if path is None:
        return False
    place.path[:] = path
    return True


def without(path: tuple[int, ...], gone: tuple[int, ...]) -> tuple[int, ...] | None:
    """A place in the source once the declaration at `gone` is not there; None for places inside of it."""
    depth = len(gone) - 1
    if path[:depth] != gone[:depth] or len(path) <= depth or path[depth] < gone[depth]:
        return path
    return None if path[depth] == gone[depth] else (*path[:depth], path[depth] - 1, *path[depth + 1 :])


def generate(out: Path) -> None:
    """The messages and services, as TypeScript."""
    plugin = npm_installed(CLIENT) / "node_modules" / ".bin" / "protoc-gen-es"
    with tempfile.TemporaryDirectory() as folder:
        described = Path(folder) / "described.binpb"
        protoc(f"--descriptor_set_out={described}", "--include_imports", "--include_source_info", *CARRIED)
        descriptors = descriptor_pb2.FileDescriptorSet.FromString(described.read_bytes())
        for_clients(descriptors)
        described.write_bytes(descriptors.SerializeToString())
        command = [sys.executable, "-m", "grpc_tools.protoc", f"--descriptor_set_in={described}"]
        options = ["--es_opt=target=ts,import_extension=js", f"--es_out={out}"]
        subprocess.run([*command, f"--plugin=protoc-gen-es={plugin}", *options, *CARRIED], check=True)


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        generate(out)
        if "--check" in sys.argv:
            stale = differences(out, GENERATED) + differences(GENERATED, out)
            for name in stale:
                print(f"not current: {name}", file=sys.stderr)
            return 1 if stale else 0
        shutil.rmtree(GENERATED, ignore_errors=True)
        shutil.copytree(out, GENERATED)
    return 0


if __name__ == "__main__":
    sys.exit(main())
