"""A guardrail of one's own: mediagate asks it about prompts, pictures, thumbnails and text files.

    pip install grpcio grpcio-tools
    mkdir -p stubs && python -m grpc_tools.protoc -I proto/third_party -I proto \\
        --python_out=stubs --grpc_python_out=stubs $(find proto -name '*.proto')
    PYTHONPATH=stubs python clients/examples/guardrail_server.py 127.0.0.1:7070 merlin excalibur

It blocks texts that hold one of the words, and pictures whose SHA-256 is given as `sha256:HEX`. In the configuration of
the gateway it is

    guardrails:
      - guardrail_name: our-names
        litellm_params: {guardrail: grpc, address: "127.0.0.1:7070", default_on: true}
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import grpc
from mediagate.v1 import guardrails_pb2 as pb
from mediagate.v1 import guardrails_pb2_grpc


class Names(guardrails_pb2_grpc.GuardrailServiceServicer):
    """Knows words and pictures that are not to be used."""

    def __init__(self, blocked: Sequence[str]) -> None:
        self.words = {word.casefold() for word in blocked if not word.startswith("sha256:")}
        self.pictures = {word.removeprefix("sha256:") for word in blocked if word.startswith("sha256:")}

    def Check(self, request: pb.CheckRequest, context: grpc.ServicerContext) -> pb.CheckResponse:
        """Allow, or block with a sentence that the caller gets to read. Never repeat the content in it."""
        kind = request.WhichOneof("content")
        if kind == "text" and self.words & set(request.text.casefold().split()):
            return pb.CheckResponse(
                verdict=pb.VERDICT_BLOCK, category="protected name", reason="Names from our films are not for use."
            )
        if kind == "image" and hashlib.sha256(request.image.data).hexdigest() in self.pictures:
            return pb.CheckResponse(verdict=pb.VERDICT_BLOCK, category="protected picture")
        # Who asks for what; the content is nothing for a log.
        print(pb.Stage.Name(request.stage), request.model, request.key_id, request.team_id, flush=True)
        return pb.CheckResponse(verdict=pb.VERDICT_ALLOW)


def main(address: str, blocked: Sequence[str]) -> None:
    server = grpc.server(ThreadPoolExecutor(8))
    guardrails_pb2_grpc.add_GuardrailServiceServicer_to_server(Names(blocked), server)
    server.add_insecure_port(address)
    server.start()
    print(f"listening on {address}", flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
