"""UsageService: translate, call, translate."""

from __future__ import annotations

from dataclasses import dataclass

from mediagate._gen.mediagate.v1 import usage_pb2, usage_pb2_grpc
from mediagate.api.call import Call
from mediagate.core.storage import MadeBy
from mediagate.storage.accounts import Fullness
from mediagate.storage.usage import GetStorageUsage
from mediagate.store.storage import Held

_FILTERS = ("key_id", "user_id", "team_id", "end_user")


@dataclass(frozen=True, slots=True)
class UsageServicer(usage_pb2_grpc.UsageServiceServicer):
    """Serves `mediagate.v1.UsageService`."""

    storage_usage: GetStorageUsage

    async def GetStorageUsage(self, request: usage_pb2.GetStorageUsageRequest, call: Call) -> usage_pb2.StorageUsage:
        asked = MadeBy(**{name: getattr(request, name) or None for name in _FILTERS})
        usage = await self.storage_usage.run(call.principal, asked, limit=request.limit or None)
        return usage_pb2.StorageUsage(
            object="storage.usage",
            bytes=usage.total.bytes,
            files=usage.total.files,
            reserved_bytes=usage.total.reserved_bytes,
            data=[_scope(held) for held in usage.scopes],
            by_purpose=[
                usage_pb2.PurposeStorage(purpose=held.purpose, bytes=held.bytes, files=held.files)
                for held in usage.purposes
            ],
            by_account=[_account(account) for account in usage.accounts],
        )


def _scope(held: Held) -> usage_pb2.ScopeStorage:
    return usage_pb2.ScopeStorage(
        kind=held.kind,
        id=held.id,
        bytes=held.bytes,
        files=held.files,
        reserved_bytes=held.reserved_bytes,
        quota_bytes=held.bytes_max,
    )


def _account(account: Fullness) -> usage_pb2.AccountStorage:
    return usage_pb2.AccountStorage(
        account=account.held.account,
        provider=account.held.provider,
        bytes=account.held.bytes,
        copies=account.held.copies,
        cap_bytes=account.cap_bytes,
        nearly_full=None if account.cap_bytes is None else account.nearly_full,
    )
