"""The servicers of models: of chats and of videos."""

from __future__ import annotations

from mediagate.access.limits.admission import Limits
from mediagate.api.chat import ChatServicer
from mediagate.api.videos import VideoServicer
from mediagate.chat.create_chat import CreateChat
from mediagate.chat.deployment_limits import DeploymentLimits
from mediagate.chat.guard_chat import GuardChat
from mediagate.chat.kept_responses import ResponseIds
from mediagate.chat.read_response import KeptResponses
from mediagate.composition import Parts, build_callbacks, form_limits, master_key_of
from mediagate.files.read_picture import ReadPicture
from mediagate.outputs import archive_rules
from mediagate.providers.base import VideoKind
from mediagate.routing.chats import ChatRoutes
from mediagate.spend.reserve import ReserveSpend
from mediagate.store.videos import VideoLookup
from mediagate.videos.callbacks import TakeCallback
from mediagate.videos.cancel_video import CancelVideo
from mediagate.videos.characters import CreateCharacter, GetCharacter
from mediagate.videos.create_video import CreateVideo, DeriveVideo, ReadForm
from mediagate.videos.delete_video import DeleteVideo
from mediagate.videos.estimate_video import EstimateVideo
from mediagate.videos.feed import VideoFeed
from mediagate.videos.get_video import GetVideo
from mediagate.videos.guard_request import GuardRequest
from mediagate.videos.inputs import KeepInput
from mediagate.videos.journal import Journal
from mediagate.videos.list_videos import ListVideos
from mediagate.videos.measure_input import MeasureInput
from mediagate.videos.open_content import OpenVideoContent
from mediagate.videos.places import VideoPlaces
from mediagate.videos.plan_video import PlanVideo
from mediagate.videos.route_video import RouteVideo
from mediagate.videos.start_video import StartVideo
from mediagate.videos.watch_video import WatchVideo
from mediagate.videos.watch_videos import WatchVideos


def _read_picture(parts: Parts) -> ReadPicture:
    return ReadPicture(parts.open_content, parts.outputs.tools, parts.settings.data_dir / "spool")


def build_chat_servicer(parts: Parts, limits: Limits) -> ChatServicer:
    """What answers chats."""
    routes = ChatRoutes(parts.catalog, parts.chats, parts.router)
    response_ids = ResponseIds(master_key_of(parts))
    guard = GuardChat(parts.guardrails, _read_picture(parts))
    return ChatServicer(
        CreateChat(routes, parts.resolve_files, parts.chat_money, DeploymentLimits(limits), guard, response_ids),
        KeptResponses(response_ids, parts.chats, guard, parts.catalog),
        parts.settings.config.chat.body_bytes_max,
    )


def build_video_servicer(parts: Parts, feed: VideoFeed) -> VideoServicer:
    """What makes videos."""
    config = parts.settings.config
    keep = KeepInput(parts.intake, parts.fetcher, config.limits.input_image_bytes_max, config.limits.file_bytes_max)
    videos = VideoLookup(parts.db)
    measure = MeasureInput(parts.open_content, parts.outputs.tools, parts.settings.data_dir / "spool")
    plan = PlanVideo(videos, parts.catalog, parts.get_file, measure, GetCharacter(parts.db))
    archive = archive_rules(parts.settings, parts.stores).account
    places = VideoPlaces(parts.db, parts.stores, parts.makers.accounts, archive)
    start = StartVideo(
        parts.db,
        RouteVideo(plan, parts.costs, parts.router, places, parts.guardrails),
        parts.catalog,
        Journal(parts.db, parts.clock),
        parts.clock,
        config.videos.deadline_s,
        ReserveSpend(parts.budgets),
        GuardRequest(parts.guardrails, parts.get_file, _read_picture(parts)),
    )
    create = CreateVideo(start, keep, parts.get_file)
    get_video = GetVideo(videos, feed)
    return VideoServicer(
        read_form=ReadForm(keep),
        create_video=create,
        estimate_video=EstimateVideo(parts.db, create),
        remix_video=DeriveVideo(start, parts.get_file, VideoKind.REMIX),
        edit_video=DeriveVideo(start, parts.get_file, VideoKind.EDIT),
        extend_video=DeriveVideo(start, parts.get_file, VideoKind.EXTEND),
        get_video=get_video,
        list_videos=ListVideos(parts.db),
        cancel_video=CancelVideo(parts.db, get_video, parts.clock),
        delete_video=DeleteVideo(parts.db, parts.clock),
        open_content=OpenVideoContent(get_video, parts.outputs.open_output, parts.outputs.open_picture, parts.clock),
        watch_video=WatchVideo(feed, get_video, parts.clock, config.videos.keepalive_s),
        watch_videos=WatchVideos(parts.db, feed, get_video, parts.clock, config.videos.keepalive_s),
        take_callback=TakeCallback(parts.db, build_callbacks(parts.settings)),
        create_character=CreateCharacter(parts.db, parts.get_file, parts.clock),
        get_character=GetCharacter(parts.db),
        catalog=parts.catalog,
        costs=parts.costs,
        form_limits=form_limits(
            parts.settings,
            file_bytes_max=config.limits.file_bytes_max,
            field_bytes_max=config.limits.form_field_bytes_max + config.limits.input_image_bytes_max // 2,
        ),
        wait_s_max=config.videos.wait_s_max,
        poll_after_ms=1000,
    )
