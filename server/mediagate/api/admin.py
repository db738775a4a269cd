"""AdminService: translate, call, translate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from mediagate._gen.mediagate.v1 import admin_pb2 as pb
from mediagate._gen.mediagate.v1 import admin_pb2_grpc
from mediagate.access.changes import Actor, Changes
from mediagate.access.create_key import CreateKey
from mediagate.access.create_user import CreateUserWithKey
from mediagate.access.delete_keys import DeleteKeys
from mediagate.access.get_key import GetKey, ListKeys
from mediagate.access.holders import CreateHolder, DeleteHolders, GetHolder, UpdateHolder
from mediagate.access.list_audit import ListAudit
from mediagate.access.update_key import RegenerateKey, UpdateKey
from mediagate.api.admin_convert import audit_to_proto, changes_of, key_to_proto, team_to_proto, user_to_proto
from mediagate.api.call import Call
from mediagate.api.convert import given
from mediagate.core.access import ApiKey, Holder, Scope, ScopeKind
from mediagate.core.clock import Clock
from mediagate.core.errors import InvalidField
from mediagate.core.spend import Budget
from mediagate.spend.get_budget import GetBudgets
from mediagate.store.database import Database

PAGE_SIZE: Final = 100
MASTER_KEY_NAME: Final = "master"


@dataclass(frozen=True, slots=True)
class HolderOperations:
    """What is done with users, or with teams."""

    create: CreateHolder
    update: UpdateHolder
    delete: DeleteHolders
    get: GetHolder

    @classmethod
    def of(cls, db: Database, clock: Clock, kind: ScopeKind) -> HolderOperations:
        """Those of one kind."""
        return cls(
            CreateHolder(db, clock, kind),
            UpdateHolder(db, clock, kind),
            DeleteHolders(db, clock, kind),
            GetHolder(db, kind),
        )


@dataclass(frozen=True, slots=True)
class AdminServicer(admin_pb2_grpc.AdminServiceServicer):
    """Serves `mediagate.v1.AdminService`."""

    create_key: CreateKey
    update_key: UpdateKey
    delete_keys: DeleteKeys
    regenerate_key: RegenerateKey
    get_key: GetKey
    list_keys: ListKeys
    create_user_with_key: CreateUserWithKey
    users: HolderOperations
    teams: HolderOperations
    list_audit: ListAudit
    get_budgets: GetBudgets
    clock: Clock

    async def CreateKey(self, request: pb.CreateKeyRequest, call: Call) -> pb.Key:
        if request.key.HasField("key"):
            raise InvalidField("Keys are made here: leave 'key' out, and take the one in the answer.", param="key")
        key, secret = await self.create_key.run(_actor(call), self._changes(request.key))
        return key_to_proto(key, secret=secret)

    async def UpdateKey(self, request: pb.UpdateKeyRequest, call: Call) -> pb.Key:
        name = request.key.key or request.key.key_id
        if not name:
            raise InvalidField("Name the key to change, in 'key': itself, its key_id or its key_alias.", param="key")
        changes = self._changes(request.key, request.update_mask.paths)
        key = await self.update_key.run(_actor(call), name, changes, etag=given(request, "etag"))
        (budget,) = await self._budgets(ScopeKind.KEY, [key])
        return key_to_proto(key, budget)

    async def DeleteKeys(self, request: pb.DeleteKeysRequest, call: Call) -> pb.DeleteKeysResponse:
        deleted = await self.delete_keys.run(_actor(call), [*request.keys, *request.key_aliases])
        return pb.DeleteKeysResponse(deleted_keys=deleted)

    async def RegenerateKey(self, request: pb.RegenerateKeyRequest, call: Call) -> pb.Key:
        key, secret = await self.regenerate_key.run(_actor(call), request.key)
        (budget,) = await self._budgets(ScopeKind.KEY, [key])
        return key_to_proto(key, budget, secret)

    async def GetKey(self, request: pb.GetKeyRequest, call: Call) -> pb.GetKeyResponse:
        key = await self.get_key.run(call.principal, request.key or None)
        if key is None:
            return pb.GetKeyResponse(info=pb.Key(key_name=MASTER_KEY_NAME, admin=True))
        (budget,) = await self._budgets(ScopeKind.KEY, [key])
        return pb.GetKeyResponse(key=key.id, info=key_to_proto(key, budget))

    async def ListKeys(self, request: pb.ListKeysRequest, call: Call) -> pb.ListKeysResponse:
        page, total = await self.list_keys.run(
            call.principal,
            user_id=given(request, "user_id"),
            team_id=given(request, "team_id"),
            alias=given(request, "key_alias"),
            before=request.page_token or None,
            limit=request.size or PAGE_SIZE,
        )
        token = page.items[-1].id if page.has_more else ""
        keys = map(key_to_proto, page.items, await self._budgets(ScopeKind.KEY, page.items))
        return pb.ListKeysResponse(keys=keys, next_page_token=token, total_count=total)

    async def CreateUser(self, request: pb.CreateUserRequest, call: Call) -> pb.User:
        actor, user_id, changes = _actor(call), request.user.user_id or None, self._changes(request.user)
        if request.user.HasField("auto_create_key") and not request.user.auto_create_key:
            return user_to_proto(await self.users.create.run(actor, user_id, changes))
        user, secret = await self.create_user_with_key.run(actor, user_id, changes)
        return user_to_proto(user, secret=secret)

    async def UpdateUser(self, request: pb.UpdateUserRequest, call: Call) -> pb.User:
        user = await self._updated(self.users, request, request.user, request.user.user_id, call)
        (budget,) = await self._budgets(ScopeKind.USER, [user])
        return user_to_proto(user, budget)

    async def DeleteUsers(self, request: pb.DeleteUsersRequest, call: Call) -> pb.DeleteUsersResponse:
        deleted = await self.users.delete.run(_actor(call), request.user_ids)
        return pb.DeleteUsersResponse(deleted_users=deleted)

    async def GetUser(self, request: pb.GetUserRequest, call: Call) -> pb.GetUserResponse:
        user, keys = await self.users.get.run(call.principal, request.user_id)
        (budget,) = await self._budgets(ScopeKind.USER, [user])
        shown = map(key_to_proto, keys, await self._budgets(ScopeKind.KEY, keys))
        return pb.GetUserResponse(user_id=user.id, user_info=user_to_proto(user, budget), keys=shown)

    async def ListUsers(self, request: pb.ListUsersRequest, call: Call) -> pb.ListUsersResponse:
        users, token, total = await self._page(self.users, request, call)
        shown = map(user_to_proto, users, await self._budgets(ScopeKind.USER, users))
        return pb.ListUsersResponse(users=shown, next_page_token=token, total_count=total)

    async def CreateTeam(self, request: pb.CreateTeamRequest, call: Call) -> pb.Team:
        team = await self.teams.create.run(_actor(call), request.team.team_id or None, self._changes(request.team))
        return team_to_proto(team)

    async def UpdateTeam(self, request: pb.UpdateTeamRequest, call: Call) -> pb.Team:
        team = await self._updated(self.teams, request, request.team, request.team.team_id, call)
        (budget,) = await self._budgets(ScopeKind.TEAM, [team])
        return team_to_proto(team, budget)

    async def DeleteTeams(self, request: pb.DeleteTeamsRequest, call: Call) -> pb.DeleteTeamsResponse:
        deleted = await self.teams.delete.run(_actor(call), request.team_ids)
        return pb.DeleteTeamsResponse(deleted_teams=deleted)

    async def GetTeam(self, request: pb.GetTeamRequest, call: Call) -> pb.GetTeamResponse:
        team, keys = await self.teams.get.run(call.principal, request.team_id)
        (budget,) = await self._budgets(ScopeKind.TEAM, [team])
        shown = map(key_to_proto, keys, await self._budgets(ScopeKind.KEY, keys))
        return pb.GetTeamResponse(team_id=team.id, team_info=team_to_proto(team, budget), keys=shown)

    async def ListTeams(self, request: pb.ListTeamsRequest, call: Call) -> pb.ListTeamsResponse:
        teams, token, total = await self._page(self.teams, request, call)
        shown = map(team_to_proto, teams, await self._budgets(ScopeKind.TEAM, teams))
        return pb.ListTeamsResponse(teams=shown, next_page_token=token, total_count=total)

    async def ListAuditEvents(self, request: pb.ListAuditEventsRequest, call: Call) -> pb.ListAuditEventsResponse:
        page = await self.list_audit.run(
            call.principal,
            object_id=given(request, "object_id"),
            actor_key_id=given(request, "actor_key_id"),
            before=request.page_token or None,
            limit=request.size or PAGE_SIZE,
        )
        token = page.items[-1].id if page.has_more else ""
        return pb.ListAuditEventsResponse(events=map(audit_to_proto, page.items), next_page_token=token)

    async def _budgets(self, kind: ScopeKind, found: Sequence[ApiKey | Holder]) -> list[Budget]:
        """How far the budget of each is used."""
        return await self.get_budgets.run([Scope(kind, one.id, one.policy) for one in found])

    def _changes(self, message: Any, mask: Any = ()) -> Changes:
        return changes_of(message, tuple(mask), self.clock.now())

    async def _updated(
        self, operations: HolderOperations, request: Any, message: Any, holder_id: str, call: Call
    ) -> Holder:
        changes = self._changes(message, request.update_mask.paths)
        return await operations.update.run(_actor(call), holder_id, changes, etag=given(request, "etag"))

    async def _page(
        self, operations: HolderOperations, request: Any, call: Call
    ) -> tuple[tuple[Holder, ...], str, int]:
        page, total = await operations.get.page(
            call.principal, after=_cursor(request.page_token), limit=request.size or PAGE_SIZE
        )
        token = _token(page.items[-1]) if page.has_more else ""
        return page.items, token, total


def _actor(call: Call) -> Actor:
    return Actor(call.principal, call.header("x-request-id"))


def _token(holder: Holder) -> str:
    return f"{holder.created_at.timestamp():.6f}_{holder.id}"


def _cursor(token: str) -> tuple[datetime, str] | None:
    moment, _, holder_id = token.partition("_")
    try:
        return (datetime.fromtimestamp(float(moment), UTC), holder_id) if token else None
    except (ValueError, OverflowError, OSError):
        raise InvalidField("'page_token' is none that a list gave.", param="page_token") from None
