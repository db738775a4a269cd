"""The composition: every room's objects, connected once per process."""

from __future__ import annotations

from dataclasses import dataclass

from mediagate.config import ConfigError, Settings
from mediagate.core.clock import SystemClock
from mediagate.core.forms import FormLimits
from mediagate.files.get_file import GetFile
from mediagate.files.intake import Intake
from mediagate.files.open_content import OpenContent
from mediagate.files.remove_file import DropParts, RemoveFile, RemoveStrays, ResumeRemovals, SweepFiles
from mediagate.jobs.tasks import Operations
from mediagate.providers.local.files import LocalFiles
from mediagate.providers.local.videos import LocalVideos
from mediagate.routing.catalog import Deployment, ModelCatalog
from mediagate.routing.stores import FileStores
from mediagate.store.database import Database
from mediagate.store.files import FileLookup
from mediagate.store.videos import VideoLookup
from mediagate.videos.delete_video import RemoveVideo
from mediagate.videos.journal import Journal
from mediagate.videos.track_video import TrackVideo


@dataclass(frozen=True, slots=True)
class Parts:
    """What both kinds of process are made of."""

    settings: Settings
    db: Database
    stores: FileStores
    catalog: ModelCatalog
    clock: SystemClock
    intake: Intake
    get_file: GetFile
    open_content: OpenContent


def build_parts(settings: Settings) -> Parts:
    """Connect the rooms. Opens no connection yet."""
    if settings.database_url is None:
        raise ConfigError("environment", ["MEDIAGATE_DATABASE_URL is not set."])
    db = Database(settings.database_url.get_secret_value())
    clock = SystemClock()
    stores = FileStores({"local": LocalFiles(settings.data_dir / "files", fsync=settings.config.local.fsync)})
    videos = LocalVideos(settings.data_dir / "videos", parallel_renders=settings.config.local.parallel_renders)
    catalog = ModelCatalog(deployments(settings), {"local": videos})
    get_file = GetFile(FileLookup(db), clock)
    return Parts(
        settings=settings,
        db=db,
        stores=stores,
        catalog=catalog,
        clock=clock,
        intake=Intake(db, stores, clock),
        get_file=get_file,
        open_content=OpenContent(db, stores, get_file),
    )


def deployments(settings: Settings) -> list[Deployment]:
    """The `model_list` of the configuration."""
    found = []
    for entry in settings.config.model_list:
        provider, _, model = entry.litellm_params.model.partition("/")
        found.append(Deployment(f"{entry.model_name}:{provider}/{model}", entry.model_name, provider, model))
    return found


def form_limits(settings: Settings, *, file_bytes_max: int, field_bytes_max: int = 1 << 18) -> FormLimits:
    """Bounds for a form with one file."""
    limits = settings.config.limits
    return FormLimits(
        fields_max=limits.form_fields_max,
        field_bytes_max=field_bytes_max,
        fields_bytes_max=field_bytes_max + (1 << 20),
        file_bytes_max=file_bytes_max,
    )


def build_operations(parts: Parts) -> Operations:
    """What jobs do."""
    remove_file = RemoveFile(parts.db, parts.stores)
    drop_parts = DropParts(parts.db, parts.stores)
    return Operations(
        db=parts.db,
        track_video=TrackVideo(
            parts.db,
            VideoLookup(parts.db),
            parts.catalog,
            Journal(parts.db, parts.clock),
            parts.open_content,
            parts.clock,
            parts.settings.config.videos.poll_interval_s,
        ),
        remove_video=RemoveVideo(parts.db, parts.catalog),
        remove_file=remove_file,
        drop_parts=drop_parts,
        sweep_files=SweepFiles(parts.db, parts.stores, parts.clock),
        resume_removals=ResumeRemovals(parts.db, remove_file, drop_parts),
        remove_strays=RemoveStrays(parts.db, parts.stores, parts.clock),
    )
