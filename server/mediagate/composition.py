"""The composition: every room's objects, connected once per process."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from mediagate.access.idempotency import SweepKeys
from mediagate.access.limits.sweep import SweepLimits
from mediagate.access.links import SignedLinks
from mediagate.access.tokens import SweepTokens
from mediagate.accounts import accounts_of
from mediagate.chat.cost import TokenCosts
from mediagate.chat.money import PRICE_KEYS, ChatMoney
from mediagate.chat.resolve_files import ResolveFiles
from mediagate.chat.spend_writer import SpendWriter
from mediagate.config import ConfigError, Settings
from mediagate.core.clock import SystemClock
from mediagate.core.forms import FormLimits
from mediagate.core.ids import stamp_ids
from mediagate.core.periods import parse_period
from mediagate.core.spend import BudgetKind, Limit, Payer
from mediagate.core.webhooks import RetryRules
from mediagate.file_references import build_links, build_resolve_files
from mediagate.files.copy_file import CopyFile
from mediagate.files.copy_news import CopyNews
from mediagate.files.find_source import FindSource
from mediagate.files.finish_replica import FollowReplica, RepairReplica
from mediagate.files.get_file import GetFile
from mediagate.files.intake import Intake
from mediagate.files.open_content import OpenContent
from mediagate.files.place_copy import MakeCopy
from mediagate.files.reconcile import Reconcile
from mediagate.files.remove_file import DropParts, RemoveReplicas, ResumeRemovals, SweepFiles
from mediagate.files.retention import Retention
from mediagate.guardrails.check_file import CheckFile
from mediagate.guardrails.rules import Guardrails
from mediagate.guards import build_guardrails
from mediagate.jobs.tasks import Operations
from mediagate.net.fetcher import Fetcher
from mediagate.net.urls import FetchRules, allowed_host
from mediagate.net.webhooks import WebhookSender
from mediagate.outputs import Outputs, build_outputs
from mediagate.pricing.prices import Prices, own_rates
from mediagate.pricing.token_prices import TokenPrices, own_tokens
from mediagate.providers.account import Account
from mediagate.providers.registry import FILE_PROVIDERS, VIDEO_PROVIDERS
from mediagate.routing.account_memory import RecallAccounts
from mediagate.routing.batch_accounts import BatchAccounts
from mediagate.routing.catalog import Deployment, ModelCatalog
from mediagate.routing.model_accounts import ChatAccounts
from mediagate.routing.router import Router
from mediagate.routing.sources import SourceRules, source_prefix
from mediagate.routing.stores import LOCAL, FileStores
from mediagate.routing.targets import Targets
from mediagate.routing.video_accounts import VideoAccounts
from mediagate.spend.adjust import AdjustSpend
from mediagate.spend.limits import BudgetRules
from mediagate.spend.record import RecordSpend
from mediagate.spend.reserve import ReserveSpend
from mediagate.spend.till import Till
from mediagate.storage.accounts import WatchAccounts
from mediagate.storage.fold import FoldUsage
from mediagate.storage.retention import RetentionDefaults
from mediagate.store.database import Database
from mediagate.store.files import FileLookup
from mediagate.store.gateway import stamp_of
from mediagate.store.limits import LimitStates
from mediagate.store.videos import VideoLookup
from mediagate.videos.callbacks import Callbacks
from mediagate.videos.cost import Costs
from mediagate.videos.delete_video import RemoveVideo
from mediagate.videos.journal import Journal
from mediagate.videos.line import Line
from mediagate.videos.provider_characters import ProviderCharacters
from mediagate.videos.provider_request import MakeRequest
from mediagate.videos.track_video import TrackVideo
from mediagate.webhooks.deliver import DeliverWebhooks
from mediagate.webhooks.upkeep import ResumeDeliveries, SweepEvents


@dataclass(frozen=True, slots=True)
class Parts:
    """What both kinds of process are made of."""

    settings: Settings
    db: Database
    stores: FileStores
    makers: VideoAccounts
    chats: ChatAccounts
    batch_accounts: BatchAccounts
    catalog: ModelCatalog
    router: Router
    costs: Costs
    budgets: BudgetRules
    chat_money: ChatMoney
    clock: SystemClock
    intake: Intake
    files: FileLookup
    get_file: GetFile
    open_content: OpenContent
    reconcile: Reconcile
    fetcher: Fetcher
    targets: Targets
    outputs: Outputs
    copy_file: CopyFile
    guardrails: Guardrails
    copy_news: CopyNews
    links: SignedLinks | None
    resolve_files: ResolveFiles


def build_parts(settings: Settings) -> Parts:
    """Connect the rooms. Opens no connection yet."""
    if settings.database_url is None:
        raise ConfigError("environment", ["MEDIAGATE_DATABASE_URL is not set."])
    db = Database(settings.database_url.get_secret_value())
    clock = SystemClock()
    accounts = accounts_of(settings, os.environ)
    stores = file_stores(settings, accounts.files)
    makers = VideoAccounts(accounts.videos)
    chats = ChatAccounts(accounts.chats)
    catalog = ModelCatalog(accounts.deployments, makers, parallel_max=makers.parallel_max)
    budgets = budget_rules(settings)
    files = FileLookup(db)
    get_file = GetFile(files, clock)
    reconcile = Reconcile(db, stores, clock, timedelta(seconds=settings.config.files.orphan_grace_s))
    open_content = OpenContent(stores, get_file, reconcile, clock)
    guardrails = build_guardrails(settings, os.environ)
    intake = Intake(db, stores, clock, CheckFile(guardrails))
    fetcher = Fetcher(fetch_rules(settings))
    targets = Targets(stores, catalog)
    outputs = build_outputs(settings, db, catalog, intake, files, open_content, clock, guardrails)
    copy_news = CopyNews(db)
    links = build_links(settings, files, clock)
    return Parts(
        settings=settings,
        db=db,
        stores=stores,
        makers=makers,
        chats=chats,
        batch_accounts=BatchAccounts(chats.known),
        catalog=catalog,
        router=Router(db, catalog, settings.config.router_settings.rules),
        costs=costs_of(accounts.deployments),
        budgets=budgets,
        chat_money=ChatMoney(
            db,
            token_costs_of(accounts.deployments, settings.config.budgets.chat_output_tokens),
            Till(db, ReserveSpend(budgets, price_keys=PRICE_KEYS)),
            SpendWriter(db, RecordSpend(budgets)),
        ),
        clock=clock,
        intake=intake,
        files=files,
        get_file=get_file,
        open_content=open_content,
        reconcile=reconcile,
        fetcher=fetcher,
        targets=targets,
        outputs=outputs,
        copy_file=CopyFile(
            intake,
            targets,
            FindSource(stores, get_file, open_content, fetcher, source_rules(settings), outputs.video_source.open, db),
            clock,
            settings.config.files.copy_bytes_max,
            retention=RetentionDefaults(settings.config.retention),
        ),
        guardrails=guardrails,
        copy_news=copy_news,
        links=links,
        resolve_files=build_resolve_files(settings, db, stores, copy_news, open_content, fetcher, links, clock),
    )


async def open_parts(parts: Parts) -> None:
    """What takes a connection to the database, before the first call."""
    stamp_ids(await stamp_of(parts.db))
    parts.stores.build_all()


async def recall_accounts(parts: Parts) -> None:
    """Bring back the accounts that the configuration no longer has, for what they hold; for processes that serve."""
    key = parts.settings.master_key
    recall = RecallAccounts(
        parts.db, parts.stores, parts.makers, parts.chats, key.get_secret_value() if key else None, os.environ
    )
    await recall.run(parts.clock.now())


def costs_of(deployments: Sequence[Deployment]) -> Costs:
    """What videos cost."""
    own = {deployment.id: own_rates(deployment.info) for deployment in deployments}
    return Costs(Prices({key: rates for key, rates in own.items() if rates is not None}))


def token_costs_of(deployments: Sequence[Deployment], assumed_answer: int | None = None) -> TokenCosts:
    """What chats cost."""
    own = {deployment.id: own_tokens(deployment.info) for deployment in deployments}
    return TokenCosts(TokenPrices({key: said for key, said in own.items() if said is not None}), assumed_answer)


def master_key_of(parts: Parts) -> str:
    """The key that opens everything. Raises `ConfigError` where the process was given none."""
    if parts.settings.master_key is None:
        raise ConfigError("environment", ["MEDIAGATE_MASTER_KEY is not set."])
    return parts.settings.master_key.get_secret_value()


def budget_rules(settings: Settings) -> BudgetRules:
    """What the configuration says of budgets. Raises `ConfigError` for a provider that nobody knows."""
    budgets = settings.config.budgets
    known = sorted({*VIDEO_PROVIDERS, *FILE_PROVIDERS})
    complaints = [
        f"budgets.provider_budget_config: '{name}' is no provider here; there are {', '.join(known)}"
        for name in budgets.provider_budget_config
        if name not in known
    ]
    if complaints:
        raise ConfigError(str(settings.config_path or "configuration"), complaints)
    limits = {
        name: Limit(
            Payer(BudgetKind.PROVIDER, name),
            Decimal(str(given.budget_limit)),
            None if given.soft_limit is None else Decimal(str(given.soft_limit)),
            parse_period(given.time_period),
        )
        for name, given in budgets.provider_budget_config.items()
    }
    return BudgetRules(limits, allows_unpriced=budgets.unpriced == "allow")


def source_rules(settings: Settings) -> SourceRules:
    """What files may be copied from."""
    copies = settings.config.copies
    hosts = copies.https_hosts
    return SourceRules(
        prefixes=tuple(map(source_prefix, copies.sources)),
        https_hosts=None if hosts is None else frozenset(map(allowed_host, hosts)),
    )


def fetch_rules(settings: Settings) -> FetchRules:
    """What may be fetched from URLs that callers give."""
    net = settings.config.net
    return FetchRules(
        allowed_hosts=frozenset(map(allowed_host, net.allowed_hosts)),
        allow_http=net.allow_http,
        ports=frozenset(net.ports),
        bytes_max=net.bytes_max,
        connect_s=net.connect_s,
        silence_s=net.silence_s,
        whole_s=net.whole_s,
    )


def webhook_sender(settings: Settings) -> WebhookSender:
    """What posts events, under the rules for URLs that callers give."""
    return WebhookSender(fetch_rules(settings), settings.config.webhooks.timeout_s)


def file_stores(settings: Settings, accounts: Sequence[Account]) -> FileStores:
    """The accounts that can keep files. Raises `ConfigError` for a name in `files` that is none of them."""
    files = settings.config.files
    stores = FileStores(accounts, scratch=files.scratch)
    complaints = [
        f"files.{key}: '{name}' is none of the accounts {', '.join(stores.names())}"
        for key, names in (("default", files.default), ("scratch", [files.scratch]))
        for name in names
        if stores.named(name) is None
    ]
    if complaints:
        raise ConfigError(str(settings.config_path or "configuration"), complaints)
    default = [stores.named(name) or LOCAL for name in files.default] or [LOCAL]
    return FileStores(accounts, default=default, scratch=stores.named(files.scratch) or LOCAL)


def form_limits(settings: Settings, *, file_bytes_max: int, field_bytes_max: int = 1 << 18) -> FormLimits:
    """Bounds for a form with one file."""
    limits = settings.config.limits
    return FormLimits(
        fields_max=limits.form_fields_max,
        field_bytes_max=field_bytes_max,
        fields_bytes_max=field_bytes_max + (1 << 20),
        file_bytes_max=file_bytes_max,
    )


def build_callbacks(settings: Settings) -> Callbacks:
    """The addresses that providers are told; none where the process has no key to make tokens with."""
    key = settings.master_key
    if key is None:
        return Callbacks(None, b"")
    return Callbacks(settings.config.videos.callback_base, key.get_secret_value().encode())


def build_tracker(parts: Parts) -> TrackVideo:
    """What carries a video to its end."""
    videos = VideoLookup(parts.db)
    return TrackVideo(
        parts.db,
        videos,
        parts.catalog,
        Journal(parts.db, parts.clock),
        parts.costs,
        MakeRequest(
            videos,
            parts.open_content,
            parts.outputs.open_output,
            build_callbacks(parts.settings),
            ProviderCharacters(parts.db, parts.catalog),
        ),
        parts.outputs.finish_video,
        Line(parts.db, parts.catalog),
        parts.clock,
        parts.settings.config.videos.poll_interval_s,
        parts.router,
        parts.settings.config.videos.deadline_s,
        AdjustSpend(parts.budgets),
    )


def build_operations(parts: Parts) -> Operations:
    """What jobs do."""
    # It is made of the parts above.
    from mediagate.batch_parts import build_batch_cleaner, build_batch_tracker

    remove_replicas = RemoveReplicas(parts.db, parts.stores)
    repair_replica = RepairReplica(parts.db, parts.stores, parts.files, parts.open_content, parts.clock)
    drop_parts = DropParts(parts.db, parts.stores)
    return Operations(
        db=parts.db,
        track_video=build_tracker(parts),
        track_batch=build_batch_tracker(parts),
        clean_batch=build_batch_cleaner(parts),
        remove_video=RemoveVideo(parts.db, parts.catalog, parts.clock, parts.costs),
        remove_replicas=remove_replicas,
        repair_replica=repair_replica,
        follow_replica=FollowReplica(parts.db, parts.stores, parts.clock),
        make_copy=MakeCopy(parts.db, repair_replica),
        copy_file=parts.copy_file,
        drop_parts=drop_parts,
        sweep_keys=SweepKeys(parts.db, parts.clock),
        sweep_limits=SweepLimits(LimitStates(parts.db)),
        sweep_tokens=SweepTokens(parts.db, parts.clock),
        sweep_files=SweepFiles(parts.db, remove_replicas, parts.clock),
        resume_removals=ResumeRemovals(parts.db, remove_replicas, drop_parts),
        reconcile=parts.reconcile,
        retention=Retention(parts.stores),
        deliver_webhooks=_deliver_webhooks(parts),
        sweep_events=SweepEvents(parts.db, parts.clock, timedelta(days=parts.settings.config.webhooks.retention_days)),
        resume_deliveries=ResumeDeliveries(parts.db, parts.clock),
        fold_usage=FoldUsage(parts.db),
        watch_accounts=WatchAccounts(parts.db, parts.stores),
    )


def _deliver_webhooks(parts: Parts) -> DeliverWebhooks:
    webhooks = parts.settings.config.webhooks
    rules = RetryRules(webhooks.retry_s_max, webhooks.retry_wait_s, webhooks.retry_wait_s_max)
    return DeliverWebhooks(parts.db, webhook_sender(parts.settings), parts.clock, rules, webhooks.parallel)
