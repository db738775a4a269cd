"""How long a key or a token still opens the other server process after it was revoked through one."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial

import grpc

from bench.harness import KEY, Gateway, gateway, report
from mediagate._gen.mediagate.v1 import (
    admin_pb2,
    admin_pb2_grpc,
    files_pb2,
    files_pb2_grpc,
    tokens_pb2,
    tokens_pb2_grpc,
)

ROUNDS = 30
STEADY = 3
Metadata = tuple[tuple[str, str], ...]


def bearer(secret: str) -> Metadata:
    """The call's credentials."""
    return (("authorization", f"Bearer {secret}"),)


def addresses(running: Gateway) -> list[str]:
    """Where each server process listens."""
    lines = [line.split() for line in running.pids().values() if "mediagate.app api" in line]
    return sorted(line[line.index("--listen") + 1] for line in lines)


class Server:
    """One process, spoken to behind the edge's back."""

    def __init__(self, address: str) -> None:
        self.channel = grpc.insecure_channel(address)
        self.files = files_pb2_grpc.FileServiceStub(self.channel)  # type: ignore[no-untyped-call]
        self.admin = admin_pb2_grpc.AdminServiceStub(self.channel)  # type: ignore[no-untyped-call]
        self.tokens = tokens_pb2_grpc.TokenServiceStub(self.channel)  # type: ignore[no-untyped-call]

    def opens(self, secret: str) -> bool:
        """Whether it lets the bearer in."""
        try:
            self.files.ListFiles(files_pb2.ListFilesRequest(), metadata=bearer(secret))
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.UNAUTHENTICATED:
                raise
            return False
        return True


def until_refused(secret: str, other: Server, revoke: Callable[[], object]) -> float:
    """Milliseconds from the answer to the revocation to the first refusal of the other process."""
    if not other.opens(secret):
        raise RuntimeError("what was not revoked is refused")
    revoke()
    began = time.perf_counter()
    while other.opens(secret):
        pass
    spent_ms = (time.perf_counter() - began) * 1000
    if any(other.opens(secret) for _ in range(STEADY)):
        raise RuntimeError("what was refused is let in again")
    return spent_ms


def keys(one: Server, other: Server) -> list[float]:
    """Keys, made and deleted by the master key through `one`."""
    found = []
    for _ in range(ROUNDS):
        key = one.admin.CreateKey(admin_pb2.CreateKeyRequest(), metadata=bearer(KEY))
        deletion = admin_pb2.DeleteKeysRequest(keys=[key.key_id])
        found.append(
            until_refused(
                key.key, other, lambda deletion=deletion: one.admin.DeleteKeys(deletion, metadata=bearer(KEY))
            )
        )
    return sorted(found)


def tokens(one: Server, other: Server) -> list[float]:
    """The same with tokens of an end user."""
    found = []
    for _ in range(ROUNDS):
        wish = tokens_pb2.CreateTokenRequest(kind="end_user", user="bench")
        token = one.tokens.CreateToken(wish, metadata=bearer(KEY))
        end = tokens_pb2.RevokeTokenRequest(token_id=token.id)
        found.append(until_refused(token.token, other, partial(one.tokens.RevokeToken, end, metadata=bearer(KEY))))
    return sorted(found)


def main() -> None:
    with gateway({"server": {"api_processes": 2}}) as running:
        one, other = (Server(address) for address in addresses(running))
        figures = {"key": keys(one, other), "token": tokens(one, other)}
        for server in (one, other):
            server.channel.close()
    bars = {}
    for name, spent_ms in figures.items():
        print(f"{name}: median {statistics.median(spent_ms):.1f} ms, slowest {spent_ms[-1]:.1f} ms of {len(spent_ms)}")
        bars[f"a revoked {name} is refused by the other process, slowest, ms"] = (spent_ms[-1], "<", 2000.0)
    report("revoke", figures, bars)


if __name__ == "__main__":
    main()
