"""Accounts that are gone from the configuration: they come back for what they hold, sealed, and for nothing new."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from mediagate.core.errors import InvalidField
from mediagate.core.lifecycle import VideoPhase
from mediagate.core.objects import Principal, Video
from mediagate.providers.account import Account
from mediagate.providers.base import VideoKind
from mediagate.routing.account_memory import RecallAccounts
from mediagate.routing.catalog import Deployment, ModelCatalog
from mediagate.routing.model_accounts import ChatAccounts
from mediagate.routing.stores import FileStores
from mediagate.routing.targets import Named, Targets, Wish
from mediagate.routing.video_accounts import VideoAccounts
from mediagate.store.account_memory import AccountMemory
from mediagate.store.database import Database
from mediagate.store.videos import VideoLookup
from mediagate.videos.plan_video import PlanVideo, VideoDraft

NOW = datetime(2026, 1, 1, tzinfo=UTC)
RUNWAY = Account("runwayml", "runwayml", api_key="sk-runway", options={"timeout": 30})
OPENAI = Account(
    "openai-eu",
    "openai",
    api_base="https://eu.api.example/v1",
    environ={"OPENAI_API_KEY": "sk-env", "HOME": "/root", "MEDIAGATE_MASTER_KEY": "sk-master"},
)
LOCAL = Account("local", "local", options={"root": "/tmp/x"})


class Process:
    """What one start of the gateway has."""

    def __init__(self, db: Database, files: Sequence[Account] = (), videos: Sequence[Account] = ()) -> None:
        self.db = db
        # The double of a provider is its account: what is built is what was remembered.
        build: Any = lambda account: account  # noqa: E731
        self.stores = FileStores([LOCAL, *files], build=build)
        self.makers = VideoAccounts([LOCAL, *videos], build=build)

    async def start(
        self, master_key: str | None = "sk-master", environ: Mapping[str, str] | None = None, now: datetime = NOW
    ) -> Process:
        await RecallAccounts(self.db, self.stores, self.makers, ChatAccounts([]), master_key, environ or {}).run(now)
        return self

    def store(self, account_id: str) -> Account:
        found: Any = self.stores.account(account_id)
        assert isinstance(found, Account)
        return found

    def maker(self, account_id: str) -> Account:
        found: Any = self.makers[account_id]
        assert isinstance(found, Account)
        return found


async def hold(db: Database, account: Account, **columns: Any) -> None:
    """A running video at the account, or whatever the columns make of it."""
    values = {"phase": "rendering", "ended_at": None, "deleted_at": None, "expires_at": None, **columns}
    async with db.transaction() as tx:
        await tx.connection.execute(
            text(
                "INSERT INTO video (id, owner_id, model, deployment, account, provider, provider_model, kind, phase,"
                " prompt, seconds, width, height, seq, created_at, deadline_at, progress, attempts, ended_at,"
                " deleted_at, expires_at)"
                " VALUES (:id, 'o', 'm', 'd', :account, 'p', 'm', 'create', :phase, 'x', 2, 320, 180, 1, :now, :now,"
                " 0, 1, :ended_at, :deleted_at, :expires_at)"
            ),
            {"id": f"memory-{account.id}", "account": account.id, "now": NOW, **values},
        )


@pytest.fixture(autouse=True)
async def _nothing_left(db: Database) -> AsyncIterator[None]:
    yield
    async with db.transaction() as tx:
        await tx.connection.execute(text("DELETE FROM account_memory"))
        await tx.connection.execute(text("DELETE FROM video WHERE id LIKE 'memory-%'"))


async def remembered(db: Database) -> list[str]:
    async with db.reading() as connection:
        return [row.id for row in await AccountMemory(connection).all()]


async def test_an_account_that_is_gone_serves_what_it_holds(db: Database) -> None:
    await hold(db, RUNWAY)
    await hold(db, OPENAI)
    await Process(db, files=[OPENAI], videos=[RUNWAY, OPENAI]).start()
    after = await Process(db).start(environ={"HOME": "/home/other", "OPENAI_API_KEY": "sk-of-another"})
    assert after.maker("runwayml") == replace(RUNWAY, environ={"HOME": "/home/other"})
    found = {"HOME": "/home/other", "OPENAI_API_KEY": "sk-env"}
    assert after.maker("openai-eu") == after.store("openai-eu") == replace(OPENAI, environ=found)
    with pytest.raises(KeyError):
        after.store("runwayml")


async def test_it_takes_nothing_new(db: Database) -> None:
    await hold(db, OPENAI)
    await Process(db, files=[OPENAI], videos=[OPENAI]).start()
    after = await Process(db).start()
    assert (list(after.stores.accounts), list(after.makers.accounts), list(after.makers)) == ((["local"],) * 3)
    assert "openai-eu" not in after.makers
    assert after.stores.named("openai-eu") is after.stores.named("openai") is None
    with pytest.raises(InvalidField):
        Targets(after.stores, ModelCatalog([], after.makers)).named(Principal("owner"), Named(path="openai"), Wish())


async def test_what_is_made_from_a_video_of_it_goes_to_an_account_that_is_there(db: Database) -> None:
    await hold(db, RUNWAY)
    await Process(db, videos=[RUNWAY]).start()
    after = await Process(db).start()
    catalog = ModelCatalog([Deployment("d", "m", "local", "local-video", model_account="local")], after.makers)
    source = Video(
        "video_1", "o", "m", "old", "runwayml", "runwayml", "local-video", "create", VideoPhase.READY, "x", 2, 320, 180,
        1, NOW, NOW,
    )  # fmt: skip
    assert catalog.video_of(source)[0].model_account == "local"
    draft = VideoDraft("a boat", VideoKind.CREATE, model="m", size="320x180", seconds="2")
    plan = await PlanVideo(VideoLookup(db), catalog, None, None, None).run(Principal("o"), draft)  # type: ignore[arg-type]
    assert plan.deployment.model_account == "local"


async def test_the_database_shows_no_secret(db: Database) -> None:
    await Process(db, files=[OPENAI], videos=[RUNWAY]).start()
    async with db.reading() as connection:
        rows = (await connection.execute(text("SELECT * FROM account_memory"))).all()
    assert len(rows) == 2
    assert not any(secret in repr(rows) for secret in ("sk-runway", "sk-env", "eu.api.example", "sk-master"))


async def test_another_key_in_the_configuration_is_the_one_that_is_remembered(db: Database) -> None:
    await hold(db, RUNWAY)
    await Process(db, videos=[RUNWAY]).start()
    await Process(db, videos=[replace(RUNWAY, api_key="sk-rotated")]).start()
    assert (await Process(db).start()).maker("runwayml").api_key == "sk-rotated"


async def test_what_did_not_change_is_not_written_again(db: Database) -> None:
    async def sealed() -> list[bytes]:
        async with db.reading() as connection:
            return [row.sealed for row in await AccountMemory(connection).all()]

    await Process(db, videos=[RUNWAY]).start()
    first = await sealed()
    await Process(db, videos=[RUNWAY]).start(now=NOW + timedelta(days=1))
    assert await sealed() == first


async def test_an_account_that_is_back_is_the_one_of_the_configuration(db: Database) -> None:
    await hold(db, RUNWAY)
    await Process(db, videos=[RUNWAY]).start()
    await Process(db).start()
    back = await Process(db, videos=[replace(RUNWAY, api_key="sk-new")]).start()
    assert (back.maker("runwayml").api_key, "runwayml" in back.makers) == ("sk-new", True)


async def test_an_account_that_lost_one_of_its_two_uses_keeps_it_for_what_it_holds(db: Database) -> None:
    await Process(db, files=[OPENAI], videos=[OPENAI]).start()
    after = await Process(db, videos=[OPENAI]).start()
    assert after.store("openai-eu") == OPENAI
    assert "openai-eu" not in after.stores.accounts


async def test_another_master_key_cannot_read_it_and_says_so_once(db: Database) -> None:
    await hold(db, RUNWAY)
    await hold(db, OPENAI)
    await Process(db, videos=[RUNWAY, OPENAI]).start()
    with capture_logs() as logs:
        after = await Process(db, videos=[RUNWAY]).start("sk-other")
    told = [entry for entry in logs if entry["event"] == "accounts_sealed_with_another_key"]
    assert [entry["accounts"] for entry in told] == [["openai-eu"]]
    with pytest.raises(KeyError):
        after.maker("openai-eu")
    # What the configuration has is sealed anew, and the first key still opens the rest.
    assert (await Process(db).start("sk-other")).maker("runwayml") == RUNWAY
    assert (await Process(db).start("sk-master")).maker("openai-eu").api_base == OPENAI.api_base


async def test_without_a_master_key_nothing_is_written(db: Database) -> None:
    with capture_logs() as logs:
        await Process(db, videos=[RUNWAY]).start(None)
    assert await remembered(db) == []
    assert [entry["event"] for entry in logs] == ["accounts_not_remembered"]
    with capture_logs() as logs:
        await Process(db).start(None)
    assert logs == []


@pytest.mark.parametrize(
    ("columns", "kept"),
    [
        ({}, True),
        ({"phase": "fate_unknown"}, True),
        ({"phase": "ready", "ended_at": NOW}, True),
        ({"phase": "ready", "ended_at": NOW, "expires_at": NOW + timedelta(hours=1)}, True),
        ({"phase": "ready", "ended_at": NOW, "expires_at": NOW - timedelta(hours=1)}, False),
        ({"phase": "failed", "ended_at": NOW}, False),
        ({"phase": "failed", "ended_at": NOW, "deleted_at": NOW}, True),
    ],
)
async def test_it_is_forgotten_once_it_holds_nothing(db: Database, columns: dict[str, Any], kept: bool) -> None:
    await hold(db, RUNWAY, **columns)
    await Process(db, videos=[RUNWAY]).start()
    assert await remembered(db) == ["runwayml"]
    await Process(db).start()
    assert await remembered(db) == (["runwayml"] if kept else [])


@pytest.mark.parametrize(("state", "kept"), [("ready", True), ("deleting", True), ("lost", True), ("deleted", False)])
async def test_copies_of_files_keep_it_too(db: Database, state: str, kept: bool) -> None:
    async with db.transaction() as tx:
        await tx.connection.execute(
            text(
                "INSERT INTO file (id, owner_id, filename, purpose, size_bytes, sha256, content_type, state, internal,"
                " created_at) VALUES ('file-memory', 'o', 'f', 'p', 1, '', 't', 'processed', false, :now)"
            ),
            {"now": NOW},
        )
        await tx.connection.execute(
            text(
                "INSERT INTO file_replica (file_id, account, provider, state, seen_at)"
                " VALUES ('file-memory', 'openai-eu', 'openai', :state, :now)"
            ),
            {"state": state, "now": NOW},
        )
    try:
        await Process(db, files=[OPENAI]).start()
        await Process(db).start()
        assert await remembered(db) == (["openai-eu"] if kept else [])
    finally:
        async with db.transaction() as tx:
            await tx.connection.execute(text("DELETE FROM file WHERE id = 'file-memory'"))
