"""SpendService: translate, call, translate."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from google.api.httpbody_pb2 import HttpBody
from google.protobuf import json_format

from mediagate._gen.mediagate.v1 import spend_pb2 as pb
from mediagate._gen.mediagate.v1 import spend_pb2_grpc
from mediagate.access.authenticate import require_admin
from mediagate.api.call import Call
from mediagate.api.convert import unix
from mediagate.api.spend_csv import as_csv
from mediagate.core.errors import InvalidField
from mediagate.core.moments import parse_moment
from mediagate.core.spend import (
    Budget,
    BudgetKind,
    Payer,
    SpendFilter,
    SpendGroup,
    SpendRecord,
    SpendState,
    SpendTotal,
)
from mediagate.spend.get_budget import GetBudgets
from mediagate.spend.report import ListSpend, TotalSpend
from mediagate.spend.reset_budget import ResetBudget
from mediagate.spend.settle import SettleByHand

LIMIT: Final = 100
JSON_LIMIT_MAX: Final = 1000
LOG_COLUMNS: Final = tuple(name for name in pb.SpendLog.DESCRIPTOR.fields_by_name if name not in ("object", "account"))
TOTAL_COLUMNS: Final = tuple(pb.SpendTotal.DESCRIPTOR.fields_by_name)


@dataclass(frozen=True, slots=True)
class SpendServicer(spend_pb2_grpc.SpendServiceServicer):
    """Serves `mediagate.v1.SpendService`."""

    list_spend: ListSpend
    total_spend: TotalSpend
    get_budgets: GetBudgets
    reset_budget: ResetBudget
    settle_spend: SettleByHand

    async def ListSpendLogs(self, request: pb.ListSpendLogsRequest, call: Call) -> pb.ListSpendLogsResponse:
        return await self._logs(request, call, limit_max=JSON_LIMIT_MAX)

    async def ListSpendLogsHttp(self, request: pb.ListSpendLogsRequest, call: Call) -> HttpBody:
        if not _wants_csv(request, call):
            return _as_json(await self._logs(request, call, limit_max=JSON_LIMIT_MAX))
        page = await self._logs(request, call, limit_max=None)
        call.respond([("x-has-more", str(page.has_more).lower())])
        return _csv(call, "spend-logs", LOG_COLUMNS, page.data)

    async def GetSpend(self, request: pb.GetSpendRequest, call: Call) -> pb.SpendReport:
        limit = request.limit if request.HasField("limit") else LIMIT
        group = SpendGroup(request.group)
        totals = await self.total_spend.run(call.principal, _filter(request), group, limit=limit)
        return pb.SpendReport(object="list", group=request.group, data=[_total(total) for total in totals])

    async def GetSpendHttp(self, request: pb.GetSpendRequest, call: Call) -> HttpBody:
        report = await self.GetSpend(request, call)
        if not _wants_csv(request, call):
            return _as_json(report)
        return _csv(call, f"spend-{request.group}", TOTAL_COLUMNS, report.data)

    async def GetBudgets(self, _request: pb.GetBudgetsRequest, call: Call) -> pb.GetBudgetsResponse:
        budgets = await self.get_budgets.run(call.principal.scopes)
        if call.principal.is_admin:
            budgets += await self.get_budgets.of_providers()
        return pb.GetBudgetsResponse(object="list", data=[budget_to_proto(budget) for budget in budgets])

    async def ResetBudget(self, request: pb.ResetBudgetRequest, call: Call) -> pb.Budget:
        require_admin(call.principal)
        payer = Payer(BudgetKind(request.kind), request.id)
        return budget_to_proto(await self.reset_budget.run(call.principal, payer))

    async def SettleSpend(self, request: pb.SettleSpendRequest, call: Call) -> pb.SpendLog:
        require_admin(call.principal)
        return _log(await self.settle_spend.run(call.principal, request.request_id, request.usd), call)

    async def _logs(
        self, request: pb.ListSpendLogsRequest, call: Call, *, limit_max: int | None
    ) -> pb.ListSpendLogsResponse:
        limit = request.limit if request.HasField("limit") else LIMIT
        if limit_max is not None and limit > limit_max:
            raise InvalidField(f"'limit' may be at most {limit_max}, but for CSV.", param="limit")
        after = request.after if request.HasField("after") else None
        page = await self.list_spend.run(call.principal, _filter(request), after=after, limit=limit)
        data = [_log(record, call) for record in page.items]
        return pb.ListSpendLogsResponse(object="list", data=data, has_more=page.has_more)


def budget_to_proto(budget: Budget) -> pb.Budget:
    """A budget on the wire."""
    limit = budget.limit
    return pb.Budget(
        object="budget",
        kind=limit.payer.kind.value,
        id=limit.payer.id,
        spend=float(budget.spent_usd),
        reserved=float(budget.reserved_usd),
        max_budget=None if limit.max_usd is None else float(limit.max_usd),
        soft_budget=None if limit.soft_usd is None else float(limit.soft_usd),
        remaining=None if budget.remaining_usd is None else float(budget.remaining_usd),
        budget_duration=limit.period.text or None,
        budget_reset_at=None if budget.resets_at is None else unix(budget.resets_at),
        soft_limit_reached=budget.soft_limit_at is not None or budget.is_above_soft,
    )


def _filter(request: Any) -> SpendFilter:
    """The members that both kinds of request have, and those of one of them."""

    def given(name: str) -> str | None:
        return getattr(request, name) if name in request.DESCRIPTOR.fields_by_name and request.HasField(name) else None

    key_id, status, since, until = given("api_key"), given("status"), given("start_date"), given("end_date")
    if key_id is not None and key_id.startswith("sk-"):
        raise InvalidField(
            "'api_key' takes the id of a key, such as key_…, and not the key itself: it would stand in logs.",
            param="api_key",
        )
    return SpendFilter(
        ref=given("request_id"),
        key_id=key_id,
        user_id=given("user_id"),
        team_id=given("team_id"),
        end_user=given("end_user"),
        model=given("model"),
        provider=given("provider"),
        state=None if status is None else SpendState(status),
        since=None if since is None else parse_moment(since, param="start_date"),
        until=None if until is None else parse_moment(until, param="end_date", past_the_day=True),
    )


def _log(record: SpendRecord, call: Call) -> pb.SpendLog:
    return pb.SpendLog(
        request_id=record.ref,
        object="spend.log",
        api_key=record.key_id,
        key_alias=record.key_alias,
        user=record.user_id,
        team_id=record.team_id,
        end_user=record.end_user,
        model=record.model,
        provider=record.provider,
        spend=float(record.usd),
        reserved=float(record.held_usd),
        estimate=None if record.estimate_usd is None else float(record.estimate_usd),
        status=record.state.value,
        reason=record.reason,
        start_time=_moment(record.reserved_at),
        end_time=None if record.settled_at is None else _moment(record.settled_at),
        account=record.account if call.principal.is_admin else None,
    )


def _total(total: SpendTotal) -> pb.SpendTotal:
    return pb.SpendTotal(
        id=total.id,
        alias=total.alias,
        spend=float(total.usd),
        reserved=float(total.reserved_usd),
        requests=total.requests,
    )


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _wants_csv(request: Any, call: Call) -> bool:
    if request.HasField("format"):
        return bool(request.format == "csv")
    return (call.header("accept") or "").partition(",")[0].partition(";")[0].strip().lower() == "text/csv"


def _as_json(message: Any) -> HttpBody:
    """As the edge prints other answers."""
    tree = json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return HttpBody(content_type="application/json", data=json.dumps(tree, separators=(",", ":")).encode())


def _csv(call: Call, name: str, columns: Sequence[str], rows: Sequence[Any]) -> HttpBody:
    call.respond([("content-disposition", f'attachment; filename="{name}.csv"')])
    return HttpBody(content_type="text/csv; charset=utf-8; header=present", data=as_csv(columns, rows))
