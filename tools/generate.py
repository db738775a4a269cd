"""Write everything that follows from the protos: stubs, the edge's descriptor set and its route table.

`python tools/generate.py` writes; with `--check` it writes into a temporary folder and exits 1 where the committed
files differ.
"""

from __future__ import annotations

import filecmp
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from google.api import annotations_pb2
from google.protobuf import descriptor_pb2

ROOT = Path(__file__).resolve().parent.parent
PROTO = ROOT / "proto"
PACKAGE = ROOT / "server" / "mediagate"
CLIENT = ROOT / "clients" / "python" / "src" / "mediagate_client"
OWN = sorted(path.relative_to(PROTO).as_posix() for path in (PROTO / "mediagate").rglob("*.proto"))
# OTLP too: the packages `opentelemetry-proto` and `xds-protos` write other versions of it to the same place.
VENDORED = [
    "buf/validate/validate.proto",
    "opentelemetry/proto/common/v1/common.proto",
    "opentelemetry/proto/resource/v1/resource.proto",
    "opentelemetry/proto/trace/v1/trace.proto",
    "opentelemetry/proto/collector/trace/v1/trace_service.proto",
]
# What the Python client carries: the services it speaks to, and what they import.
CLIENT_PROTOS = [f"mediagate/v1/{name}.proto" for name in ("files", "uploads", "videos")] + VENDORED[:1]
# Envoy prints error details only where it knows their types.
EDGE_ONLY = ["google/rpc/error_details.proto", "google/rpc/status.proto"]
# What users implement and the gateway calls. The edge serves nothing of it.
CALLED = {"mediagate.v1.GuardrailService"}
HTTP_BODY = ".google.api.HttpBody"
VERBS = ("get", "put", "post", "delete", "patch")


def protoc(*arguments: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTO}", f"-I{PROTO / 'third_party'}", *arguments], check=True
    )


def generate_stubs(out: Path) -> None:
    """The server's stubs."""
    protoc(f"--python_out={out}", f"--pyi_out={out}", *OWN, *VENDORED)
    protoc(f"--grpc_python_out={out}", *OWN)
    root_imports(out, "mediagate._gen")


def generate_client(out: Path) -> None:
    """The Python client's messages; it calls methods by their names."""
    protoc(f"--python_out={out}", f"--pyi_out={out}", *CLIENT_PROTOS)
    root_imports(out, "mediagate_client._gen")


def root_imports(out: Path, package: str) -> None:
    """Root imports in the package that holds the stubs, so that nothing else on `sys.path` can shadow or meet them."""
    for path in out.rglob("*.py*"):
        text = path.read_text()
        packages = r"mediagate\.v1|buf\.validate|opentelemetry\.proto[\w.]*"
        text = re.sub(rf"^from ({packages}) import", rf"from {package}.\1 import", text, flags=re.M)
        path.write_text(text)
    for folder in {parent for path in out.rglob("*.py") for parent in path.relative_to(out).parents}:
        (out / folder / "__init__.py").touch()


def generate_edge(out: Path) -> None:
    """The descriptor set that Envoy transcodes by, and what its routes are made of: methods and REST paths by kind."""
    target = out / "api.binpb"
    protoc(f"--descriptor_set_out={target}", "--include_imports", *OWN, *EDGE_ONLY)
    descriptors = descriptor_pb2.FileDescriptorSet.FromString(target.read_bytes())
    files = [file for file in descriptors.file if file.package.startswith("mediagate.")]
    services = {f"{file.package}.{service.name}": service for file in files for service in file.service}
    services = {name: service for name, service in services.items() if name not in CALLED}
    methods = {f"/{name}/{method.name}": method for name, service in services.items() for method in service.method}
    paths: dict[str, set[str]] = {}
    messages = {f".{file.package}.{message.name}": message for file in files for message in file.message_type}
    json_bodies: set[str] = set()
    raw_bodies: set[str] = set()
    for method in methods.values():
        for verb, path, body in rest_bindings(method):
            paths.setdefault(path_regex(path), set()).add(verb)
            if body and not method.client_streaming:
                json_bodies.add(path_regex(path))
                if type_of(messages.get(method.input_type), body) == HTTP_BODY:
                    raw_bodies.add(path_regex(path))
    table = {
        "services": sorted(services),
        "client_streaming_methods": sorted(name for name, method in methods.items() if method.client_streaming),
        "streaming_methods": sorted(
            name for name, method in methods.items() if method.client_streaming or method.server_streaming
        ),
        "json_body_paths": sorted(json_bodies),
        "raw_body_paths": sorted(raw_bodies),
        "paths": [{"regex": regex, "methods": sorted(verbs)} for regex, verbs in sorted(paths.items())],
    }
    (out / "routes.json").write_text(json.dumps(table, indent=1) + "\n")


def type_of(message: descriptor_pb2.DescriptorProto | None, name: str) -> str:
    """The type of one field of a message; empty where it has none of that name."""
    fields = [] if message is None else message.field
    return next((field.type_name for field in fields if field.name == name), "")


def rest_bindings(method: descriptor_pb2.MethodDescriptorProto) -> Iterator[tuple[str, str, str]]:
    """HTTP method, path template and the field that is the body, for each REST binding; `*` stands for all fields."""
    rule = method.options.Extensions[annotations_pb2.http]
    for binding in (rule, *rule.additional_bindings):
        kind = binding.WhichOneof("pattern")
        if kind in VERBS:
            yield kind.upper(), getattr(binding, kind), binding.body
        elif kind == "custom":
            yield binding.custom.kind, binding.custom.path, binding.body


def path_regex(template: str) -> str:
    """`/v1/files/{file_id}` as a regular expression over the path without its query."""
    parts = []
    for segment in template.strip("/").split("/"):
        if segment.endswith("=**}"):
            parts.append(".+")
        elif segment == "*" or segment.startswith("{"):
            parts.append("[^/]+")
        else:
            parts.append(re.escape(segment).replace("\\-", "-"))
    return "/" + "/".join(parts)


def differences(left: Path, right: Path) -> list[str]:
    """Relative names of the files under `left` that `right` lacks or has differently."""
    found = []
    for path in sorted(left.rglob("*")):
        other = right / path.relative_to(left)
        if path.is_file() and (not other.is_file() or not filecmp.cmp(path, other, shallow=False)):
            found.append(str(other))
    return found


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        stubs, edge, client = Path(folder, "stubs"), Path(folder, "edge"), Path(folder, "client")
        for made in (stubs, edge, client):
            made.mkdir()
        generate_stubs(stubs)
        generate_client(client)
        generate_edge(edge)
        if "--check" in sys.argv:
            stale = differences(stubs, PACKAGE / "_gen") + differences(edge, PACKAGE / "envoy")
            stale += differences(client, CLIENT / "_gen")
            for name in stale:
                print(f"not current: {name}", file=sys.stderr)
            return 1 if stale else 0
        for made, target in ((stubs, PACKAGE / "_gen"), (client, CLIENT / "_gen")):
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(made, target)
        for path in edge.iterdir():
            shutil.copy(path, PACKAGE / "envoy" / path.name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
