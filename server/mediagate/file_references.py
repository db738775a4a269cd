"""What requests to models need for the files that they mention, put together."""

from __future__ import annotations

from mediagate.access.links import SignedLinks, links_secret
from mediagate.chat.choose_ways import ChooseWays
from mediagate.chat.inline_room import InlineRoom
from mediagate.chat.load_files import LoadFiles
from mediagate.chat.resolve_files import ResolveFiles
from mediagate.config import Settings
from mediagate.core.clock import Clock
from mediagate.files.copy_news import CopyNews
from mediagate.files.link_file import LinkFile
from mediagate.files.open_content import OpenContent
from mediagate.files.place_copy import PlaceCopy
from mediagate.files.wait_for_file import WaitForFile
from mediagate.net.fetcher import Fetcher
from mediagate.routing.stores import FileStores
from mediagate.store.database import Database
from mediagate.store.files import FileLookup
from mediagate.store.videos import VideoLookup
from mediagate.videos.find_kept import FindKept
from mediagate.videos.kept_videos import KeptVideos


def build_links(settings: Settings, files: FileLookup, clock: Clock) -> SignedLinks | None:
    """Links to this gateway; none in a process without a key to sign them with."""
    key = settings.master_key
    return None if key is None else SignedLinks(files, clock, links_secret(key.get_secret_value()))


def build_resolve_files(
    settings: Settings,
    db: Database,
    stores: FileStores,
    news: CopyNews,
    open_content: OpenContent,
    fetcher: Fetcher,
    links: SignedLinks | None,
    clock: Clock,
) -> ResolveFiles:
    """One for each process: it bounds what the process holds of files."""
    rules = settings.config.chat_files
    base = None if rules.links == "store" else settings.config.handles.public_url
    get_file = open_content.get_file
    place_copy = PlaceCopy(db, stores, news, clock)
    link_file = LinkFile(
        stores,
        clock,
        base,
        links.path if links is not None else None,
        rules.link_s,
        uses_stores=rules.links != "gateway",
    )
    kept = KeptVideos(VideoLookup(db), FindKept(get_file.files, clock))
    return ResolveFiles(
        load_files=LoadFiles(WaitForFile(get_file, news), kept, rules.wait_s),
        choose_ways=ChooseWays(stores, place_copy, link_file, rules.inline_bytes_max, rules.inline_bytes_in_flight_max),
        place_copy=place_copy,
        link_file=link_file,
        open_content=open_content,
        fetcher=fetcher,
        stores=stores,
        room=InlineRoom(rules.inline_bytes_in_flight_max),
        wait_s=rules.wait_s,
        fetch_s=rules.fetch_s,
        inline_bytes_max=rules.inline_bytes_max,
    )
