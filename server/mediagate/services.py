"""The servicers of a server process, put together from the parts of `mediagate.composition`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from mediagate import __version__
from mediagate.access.authenticate import Authenticate
from mediagate.access.create_key import CreateKey
from mediagate.access.create_token import CreateToken, TokenRules
from mediagate.access.create_user import CreateUserWithKey
from mediagate.access.delete_keys import DeleteKeys
from mediagate.access.get_key import GetKey, ListKeys
from mediagate.access.idempotency import Idempotency
from mediagate.access.limits.admission import Limits
from mediagate.access.list_audit import ListAudit
from mediagate.access.tokens import GetToken, ListTokens, RevokeToken
from mediagate.access.update_key import RegenerateKey, UpdateKey
from mediagate.api.admin import AdminServicer, HolderOperations
from mediagate.api.callers import Callers
from mediagate.api.decision import ContentDecision
from mediagate.api.files import FileServicer
from mediagate.api.idempotency import Keys
from mediagate.api.limits import Door, Gate
from mediagate.api.models import ModelServicer
from mediagate.api.observe import Observer
from mediagate.api.pages import PagesServicer
from mediagate.api.pipeline import Pipeline
from mediagate.api.recovery import recoveries
from mediagate.api.spend import SpendServicer
from mediagate.api.system import DiagnosticsServicer, SystemServicer
from mediagate.api.targets import TargetReader
from mediagate.api.tokens import TokenServicer
from mediagate.api.uploads import UploadServicer
from mediagate.api.usage import UsageServicer
from mediagate.api.webhooks import WebhookServicer
from mediagate.batch_parts import build_batch_servicer
from mediagate.composition import Parts, fetch_rules, form_limits, master_key_of, webhook_sender
from mediagate.core import ids
from mediagate.core.access import ScopeKind
from mediagate.files.abandon_file import AbandonFile
from mediagate.files.add_part import AddPart
from mediagate.files.cancel_upload import CancelUpload
from mediagate.files.complete_upload import CompleteUpload
from mediagate.files.create_file import CreateFile
from mediagate.files.create_upload import CreateUpload
from mediagate.files.delete_file import DeleteFile
from mediagate.files.find_origin import FindOrigin
from mediagate.files.get_upload import GetUpload
from mediagate.files.list_files import ListFiles
from mediagate.files.provider_files import ProviderFiles
from mediagate.files.upload_room import ReserveRoom
from mediagate.files.upload_terms import SettleUpload
from mediagate.model_services import build_chat_servicer, build_video_servicer
from mediagate.net.urls import endpoint_of
from mediagate.net.webhooks import WebhookSender
from mediagate.routing.health import ReadHealth
from mediagate.routing.places import ContentPlaces
from mediagate.spend.get_budget import GetBudgets
from mediagate.spend.report import ListSpend, TotalSpend
from mediagate.spend.reset_budget import ResetBudget
from mediagate.spend.settle import SettleByHand, SettleSpend
from mediagate.storage.accounts import WatchAccounts
from mediagate.storage.retention import RetentionDefaults
from mediagate.storage.usage import GetStorageUsage
from mediagate.store.gauges import gauges
from mediagate.store.idempotency import IdempotencyLookup
from mediagate.store.keys import KeyLookup
from mediagate.store.limits import LimitStates
from mediagate.store.tokens import TokenLookup
from mediagate.store.videos import VideoLookup
from mediagate.telemetry.exposition import MetricsPage
from mediagate.telemetry.logs import request_log
from mediagate.telemetry.request_sink import RequestSink, SinkRules
from mediagate.telemetry.requests import RequestLog
from mediagate.videos.feed import VideoFeed
from mediagate.webhooks.create_endpoint import CreateWebhookEndpoint
from mediagate.webhooks.delete_endpoint import DeleteWebhookEndpoint
from mediagate.webhooks.get_endpoint import GetWebhookEndpoint, ListWebhookEndpoints
from mediagate.webhooks.list_deliveries import ListWebhookDeliveries
from mediagate.webhooks.redeliver_event import RedeliverEvent
from mediagate.webhooks.rotate_secret import RotateWebhookSecret
from mediagate.webhooks.send_sample import SendSample
from mediagate.webhooks.sign import signed_headers
from mediagate.webhooks.update_endpoint import UpdateWebhookEndpoint


def build_feed(parts: Parts) -> VideoFeed:
    """The events of videos for this process."""
    return VideoFeed(parts.db)


def build_callers(parts: Parts) -> Callers:
    """What knows who calls."""
    return Callers(_authenticate(parts))


def build_request_log(parts: Parts, also: Callable[[str], None] | None = None) -> RequestLog:
    """What writes a line for every call; `also` gets each of them."""
    telemetry = parts.settings.config.telemetry
    return request_log(level=telemetry.level, format=telemetry.format, also=also)


def build_request_sink(parts: Parts) -> RequestSink | None:
    """What pushes the lines of calls to a server of the operator's, where there is one."""
    config = parts.settings.config.telemetry.request_log
    if config is None:
        return None
    # The operator names it, so it may lie wherever that says.
    rules = replace(fetch_rules(parts.settings), allowed_hosts=frozenset({endpoint_of(config.url)}), allow_http=True)
    sender = WebhookSender(rules, config.timeout_s)
    headers = {name: value.get_secret_value() for name, value in config.headers.items()}
    secrets = [config.secret.get_secret_value()] if config.secret else []

    async def post(batch_id: str, body: bytes) -> bool:
        own = signed_headers(batch_id, body, secrets, parts.clock.now())
        answer = await sender.post(config.url, {**own, **headers}, body)
        return answer.status_code is not None and 200 <= answer.status_code < 300

    bounds = SinkRules(config.batch_lines_max, config.queue_lines_max, config.wait_s, config.retry_s_max)
    return RequestSink(post, bounds, ids.new_event_id)


def build_pipeline(
    parts: Parts, servicers: Mapping[str, Any], callers: Callers, limits: Limits, log: RequestLog | None = None
) -> Pipeline:
    """What surrounds every call."""
    config = parts.settings.config.limits
    door = Door(limits, Gate(config.requests_in_flight_max))
    return Pipeline(callers, _keys(parts, servicers), config.request_s, Observer(log), door)


def build_limits(parts: Parts) -> Limits:
    """What a process knows of the limits of callers and of deployments."""
    return Limits(LimitStates(parts.db))


def _authenticate(parts: Parts) -> Authenticate:
    return Authenticate(
        master_key_of(parts), KeyLookup(parts.db), TokenLookup(parts.db), parts.links, clock=parts.clock
    )


def build_decision(parts: Parts, pipeline: Pipeline) -> ContentDecision:
    """What tells the edge where content lies."""
    return ContentDecision(
        pipeline.callers,
        parts.get_file,
        FindOrigin(ContentPlaces(parts.stores, parts.catalog), parts.clock),
        ProviderFiles(parts.stores, parts.targets),
        TargetReader(parts.stores),
        parts.outputs.find_output,
        log=pipeline.observer.log,
        limits=pipeline.door.limits,
    )


def build_servicers(
    parts: Parts, feed: VideoFeed, require_ready: Callable[[], Awaitable[None]], callers: Callers, limits: Limits
) -> dict[str, Any]:
    """Every service by its full name."""
    health = ReadHealth(parts.catalog, parts.router)
    servicers: dict[str, Any] = {
        "mediagate.v1.FileService": _files(parts),
        "mediagate.v1.UploadService": _uploads(parts),
        "mediagate.v1.VideoService": build_video_servicer(parts, feed),
        "mediagate.v1.ChatService": build_chat_servicer(parts, limits),
        "mediagate.v1.BatchService": build_batch_servicer(parts),
        "mediagate.v1.WebhookService": _webhooks(parts),
        "mediagate.v1.TokenService": _tokens(parts, callers),
        "mediagate.v1.AdminService": _admin(parts),
        "mediagate.v1.SpendService": _spend(parts),
        "mediagate.v1.ModelService": ModelServicer(parts.catalog, health, parts.clock.now()),
        "mediagate.v1.UsageService": UsageServicer(
            GetStorageUsage(parts.db, WatchAccounts(parts.db, parts.stores)),
        ),
        "mediagate.v1.PagesService": PagesServicer(
            console=parts.settings.config.server.console, docs=parts.settings.config.server.docs
        ),
        "mediagate.v1.SystemService": _system(parts, require_ready, callers, health),
    }
    if parts.settings.config.general_settings.diagnostics:
        servicers["mediagate.v1.DiagnosticsService"] = DiagnosticsServicer()
    return servicers


def _system(
    parts: Parts, require_ready: Callable[[], Awaitable[None]], callers: Callers, health: ReadHealth
) -> SystemServicer:
    needs_key = parts.settings.config.telemetry.metrics_need_key
    page = MetricsPage(__version__, partial(gauges, parts.db))
    return SystemServicer(require_ready, health, page, callers.authenticate if needs_key else None)


def _keys(parts: Parts, servicers: Mapping[str, Any]) -> Keys:
    limits = parts.settings.config.limits
    return Keys(
        Idempotency(parts.db, IdempotencyLookup(parts.db), parts.clock),
        # As wide as the widest form: each servicer has its own limits for what it runs.
        form_limits(
            parts.settings,
            file_bytes_max=max(limits.file_bytes_max, limits.part_bytes_max),
            field_bytes_max=limits.form_field_bytes_max + limits.input_image_bytes_max // 2,
        ),
        recoveries(
            servicers["mediagate.v1.FileService"],
            servicers["mediagate.v1.VideoService"],
            servicers["mediagate.v1.BatchService"],
            GetUpload(parts.db),
            AbandonFile(parts.db),
            servicers["mediagate.v1.WebhookService"],
        ),
    )


def _files(parts: Parts) -> FileServicer:
    limits = parts.settings.config.limits
    return FileServicer(
        create_file=CreateFile(
            parts.intake,
            parts.targets,
            parts.settings.data_dir / "spool",
            limits.file_bytes_max,
            limits.jsonl_bytes_max,
            RetentionDefaults(parts.settings.config.retention),
        ),
        copy_file=parts.copy_file,
        list_files=ListFiles(parts.db, parts.clock),
        get_file=parts.get_file,
        delete_file=DeleteFile(parts.db, parts.clock),
        open_content=parts.open_content,
        provider_files=ProviderFiles(parts.stores, parts.targets),
        targets=TargetReader(parts.stores),
        form_limits=form_limits(parts.settings, file_bytes_max=limits.file_bytes_max),
    )


def _uploads(parts: Parts) -> UploadServicer:
    limits = parts.settings.config.limits
    return UploadServicer(
        create_upload=CreateUpload(
            parts.db,
            parts.targets,
            parts.clock,
            upload_bytes_max=limits.upload_bytes_max,
            batch_bytes_max=limits.jsonl_bytes_max,
            lifetime_s=limits.upload_lifetime_s,
            retention=RetentionDefaults(parts.settings.config.retention),
        ),
        add_part=AddPart(parts.db, parts.stores, parts.clock, limits.part_bytes_max),
        complete_upload=CompleteUpload(parts.db, parts.stores, parts.clock, parts.intake, parts.get_file),
        cancel_upload=CancelUpload(parts.db, parts.clock),
        targets=TargetReader(parts.stores),
        form_limits=form_limits(parts.settings, file_bytes_max=limits.part_bytes_max),
    )


def _tokens(parts: Parts, callers: Callers) -> TokenServicer:
    handles, limits = parts.settings.config.handles, parts.settings.config.limits
    rules = TokenRules(
        handles.lifetime_s,
        handles.lifetime_s_max,
        handles.playback_lifetime_s_max,
        callers.authenticate.master_mark,
    )
    return TokenServicer(
        create_token=CreateToken(
            parts.db, VideoLookup(parts.db), parts.files, parts.clock, rules, ReserveRoom(parts.clock)
        ),
        settle_upload=SettleUpload(parts.targets, limits.file_bytes_max, limits.jsonl_bytes_max),
        get_token=GetToken(parts.db),
        list_tokens=ListTokens(parts.db),
        revoke_token=RevokeToken(parts.db, parts.clock),
        clock=parts.clock,
        public_url=handles.public_url or "",
    )


def _webhooks(parts: Parts) -> WebhookServicer:
    sender = webhook_sender(parts.settings)
    get_endpoint = GetWebhookEndpoint(parts.db)
    return WebhookServicer(
        create_endpoint=CreateWebhookEndpoint(
            parts.db, sender, parts.clock, parts.settings.config.webhooks.endpoints_max
        ),
        list_endpoints=ListWebhookEndpoints(parts.db),
        get_endpoint=get_endpoint,
        update_endpoint=UpdateWebhookEndpoint(parts.db, sender, parts.clock),
        delete_endpoint=DeleteWebhookEndpoint(parts.db),
        rotate_secret=RotateWebhookSecret(parts.db, parts.clock),
        send_sample=SendSample(get_endpoint, sender, parts.clock),
        list_deliveries=ListWebhookDeliveries(get_endpoint),
        redeliver_event=RedeliverEvent(parts.db, parts.clock),
        clock=parts.clock,
    )


def _admin(parts: Parts) -> AdminServicer:
    db, clock = parts.db, parts.clock
    users = HolderOperations.of(db, clock, ScopeKind.USER)
    return AdminServicer(
        create_key=CreateKey(db, clock),
        update_key=UpdateKey(db, clock),
        delete_keys=DeleteKeys(db, clock),
        regenerate_key=RegenerateKey(db, clock),
        get_key=GetKey(db),
        list_keys=ListKeys(db),
        create_user_with_key=CreateUserWithKey(users.create),
        users=users,
        teams=HolderOperations.of(db, clock, ScopeKind.TEAM),
        list_audit=ListAudit(db),
        get_budgets=GetBudgets(db, parts.budgets),
        clock=clock,
    )


def _spend(parts: Parts) -> SpendServicer:
    list_spend = ListSpend(parts.db)
    return SpendServicer(
        list_spend=list_spend,
        total_spend=TotalSpend(parts.db),
        get_budgets=GetBudgets(parts.db, parts.budgets),
        reset_budget=ResetBudget(parts.db, parts.budgets),
        settle_spend=SettleByHand(parts.db, SettleSpend(), list_spend),
    )
