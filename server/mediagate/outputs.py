"""What is done with finished videos, put together from the parts of `mediagate.composition`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from mediagate.config import ConfigError, Settings
from mediagate.core.clock import Clock
from mediagate.files.intake import Intake
from mediagate.files.open_content import OpenContent
from mediagate.guardrails.rules import Guardrails
from mediagate.media.tools import VideoTools
from mediagate.providers.files import FileOperation
from mediagate.providers.registry import file_spec
from mediagate.routing.catalog import ModelCatalog
from mediagate.routing.stores import FileStores
from mediagate.store.database import Database
from mediagate.store.files import FileLookup
from mediagate.store.videos import VideoLookup
from mediagate.videos.archive import Archive, ArchiveRules
from mediagate.videos.find_kept import FindKept
from mediagate.videos.find_output import FindOutput
from mediagate.videos.finish_video import FinishVideo
from mediagate.videos.guard_output import GuardOutput
from mediagate.videos.journal import Journal
from mediagate.videos.open_output import OpenOutput
from mediagate.videos.pictures import OpenPicture
from mediagate.videos.video_source import VideoSource


@dataclass(frozen=True, slots=True)
class Outputs:
    """What proves, keeps, finds and opens them."""

    tools: VideoTools
    finish_video: FinishVideo
    open_output: OpenOutput
    open_picture: OpenPicture
    find_output: FindOutput
    video_source: VideoSource


def build_outputs(
    settings: Settings,
    db: Database,
    catalog: ModelCatalog,
    intake: Intake,
    files: FileLookup,
    open_file: OpenContent,
    clock: Clock,
    guardrails: Guardrails,
) -> Outputs:
    """Connect them. Raises `ConfigError` where `archive.store` names no account that can keep files."""
    rules = archive_rules(settings, intake.stores)
    spool_dir = settings.data_dir / "spool"
    tools, find_kept, videos = VideoTools(), FindKept(files, clock), VideoLookup(db)
    open_output = OpenOutput(catalog, find_kept, open_file)
    account = rules.account or intake.stores.scratch_account
    open_picture = OpenPicture(db, intake, find_kept, open_file, open_output, tools, spool_dir, account)
    archive = Archive(intake, find_kept, Journal(db, clock), clock, rules)
    return Outputs(
        tools=tools,
        finish_video=FinishVideo(open_file, archive, tools, clock, spool_dir, GuardOutput(guardrails, tools)),
        open_output=open_output,
        open_picture=open_picture,
        find_output=FindOutput(videos, find_kept, open_picture),
        video_source=VideoSource(videos, find_kept, open_output),
    )


def archive_rules(settings: Settings, stores: FileStores) -> ArchiveRules:
    """Where copies go and how long they stay. Raises `ConfigError` for an account that cannot keep them."""
    archive = settings.config.archive
    if archive.store is None:
        return ArchiveRules()
    account = stores.named(archive.store)
    if account is None:
        raise _refused(settings, f"'{archive.store}' is none of the accounts {', '.join(stores.names())}")
    spec = file_spec(stores.accounts[account].provider)
    if not {FileOperation.CREATE, FileOperation.CONTENT} <= spec.supports or not spec.reads_uploads:
        raise _refused(settings, f"'{archive.store}' does not give back what it is given")
    days = archive.expires_after_days
    return ArchiveRules(account, None if days is None else round(timedelta(days=days).total_seconds()))


def _refused(settings: Settings, why: str) -> ConfigError:
    return ConfigError(str(settings.config_path or "configuration"), [f"archive.store: {why}"])
