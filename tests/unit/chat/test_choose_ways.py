"""How providers can be told, over made-up providers: every plan keeps to what they take, every refusal says where."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediagate.chat.choose_ways import BY_COPY, ChooseWays
from mediagate.chat.mentioned import Mentioned, Reader
from mediagate.core.chat import Dialect, MediaKind, Mention, Way
from mediagate.core.errors import InvalidField
from mediagate.core.lifecycle import FileState, ReplicaState
from mediagate.core.media_kinds import is_among, kind_of
from mediagate.core.objects import File, Principal, Replica
from mediagate.files.link_file import LinkFile
from mediagate.files.place_copy import PlaceCopy
from mediagate.providers.account import Account
from mediagate.providers.chat import ChatSpec, Taken
from mediagate.routing.catalog import Deployment
from mediagate.routing.stores import FileStores

NOW = datetime(2026, 11, 22, tzinfo=UTC)
WHO = Principal("me")
INLINE_MAX = 1000
TYPES = ("image/png", "application/pdf", "audio/wav", "video/mp4", "text/csv", "application/zip")


class Clock:
    def now(self) -> datetime:
        return NOW


class Store:
    """A provider's files. Nobody is asked in these tests."""

    def __init__(self, account: Account) -> None:
        from mediagate.providers.registry import file_spec

        self.spec = file_spec(account.provider)


ACCOUNTS = [
    Account("openai", "openai"),
    Account("proxied", "openai", api_base="https://eu.api.openai.com/v1"),
    Account("at-home", "openai", api_base="http://vllm:8000/v1"),
    Account("elsewhere", "openai", api_base="https://api.openai.com.example/v1"),
    Account("by-environment", "openai", environ={"OPENAI_BASE_URL": "http://10.0.0.7/v1"}),
    Account("gemini", "gemini", labels={"region": "eu"}),
    Account("bedrock", "bedrock"),
    Account("local", "local"),
]
STORES = FileStores(ACCOUNTS, build=lambda account: cast(Any, Store(account)))
PLACE = PlaceCopy(cast(Any, None), STORES, cast(Any, None), Clock())


def choose(base: str | None = "https://gateway.example") -> ChooseWays:
    return ChooseWays(
        STORES, PLACE, LinkFile(STORES, Clock(), base, lambda file, until: "", 60), INLINE_MAX, 5 * INLINE_MAX
    )


def stored(content_type: str, size_bytes: int, *replicas: Replica, **more: Any) -> Mentioned:
    file = File(
        "file-1", "me", "a", "user_data", size_bytes, "", content_type, FileState.PROCESSED, NOW, replicas=replicas,
        **more,
    )  # fmt: skip
    mention = Mention(("messages", 0, "content", 0), "messages[0].content[0].file.file_id", None, file_id=file.id)
    return Mentioned(mention, kind_of(content_type), content_type, size_bytes, file)


def copy(account: str, state: ReplicaState = ReplicaState.READY, expires_at: datetime | None = None) -> Replica:
    return Replica("file-1", account, account, f"{account}-ref", state, expires_at)


def spec(*takes: Taken, dialects: tuple[Dialect, ...] = (), **more: Any) -> ChatSpec:
    return ChatSpec("openai", "Provider", "https://example.com", takes, dialects, **more)


def reader(told: ChatSpec, account: str = "openai", dialect: Dialect = Dialect.CHAT) -> Reader:
    return Reader(Deployment("d", "m", account, "m", account=account), told, dialect)


_taken = st.builds(
    Taken,
    st.sampled_from(MediaKind),
    st.sampled_from(Way),
    st.lists(st.sampled_from([*TYPES, "image/*", "text/*", "*/*"]), max_size=3).map(tuple),
    st.none() | st.integers(0, 2000),
    st.sampled_from([(), (Dialect.CHAT,), (Dialect.RESPONSES,)]),
)
_specs = st.builds(
    spec,
    *[_taken] * 4,
    dialects=st.sampled_from([(), (Dialect.CHAT,), (Dialect.CHAT, Dialect.RESPONSES)]),
    request_bytes_max=st.none() | st.integers(0, 3000),
    fetches_callers_links=st.booleans(),
)
_replicas = st.lists(
    st.builds(
        copy,
        st.sampled_from(["openai", "gemini", "local", "gone"]),
        st.sampled_from(ReplicaState),
        st.sampled_from([None, NOW - timedelta(seconds=1), NOW + timedelta(seconds=1)]),
    ),
    max_size=3,
    unique_by=lambda replica: replica.account,
)
_given = st.builds(
    lambda kind, media_type, size, link: Mentioned(
        Mention(("x",), "x", kind, link="https://example.com/a" if link else None, data=None if link else "AAAA"),
        kind,
        "" if link and size % 2 else media_type,
        None if link else size,
    ),
    st.sampled_from(MediaKind),
    st.sampled_from(TYPES),
    st.integers(1, 2000),
    st.booleans(),
)
_stored = st.builds(
    lambda media_type, size, replicas: stored(media_type, size, *replicas),
    st.sampled_from(TYPES),
    st.integers(1, 2000),
    _replicas,
)


@given(
    st.lists(_stored | _given, min_size=1, max_size=3),
    st.lists(_specs, min_size=1, max_size=3),
    st.sampled_from(["openai", "gemini", "bedrock", "nobody"]),
    st.sampled_from(Dialect),
    st.booleans(),
)
def test_plans_keep_to_what_is_taken(
    files: list[Mentioned], specs: list[ChatSpec], account: str, dialect: Dialect, linked: bool
) -> None:
    readers = [reader(one, account, dialect) for one in specs]
    try:
        plans = choose("https://gateway.example" if linked else None).run(WHO, files, readers)
    except InvalidField as refused:
        assert refused.param in {one.mention.param for one in files}
        return
    assert plans
    assert [plan.copies for plan in plans] == sorted(plan.copies for plan in plans)
    for plan in plans:
        assert len(plan.choices) == len(files)
        for one, choices in plan.choices:
            assert choices
            for choice in choices:
                _check(one, choice.way, plan.reader)
                assert not (choice.copies and choice.way not in BY_COPY)


def _check(one: Mentioned, way: Way, asked: Reader) -> None:
    if one.file is None:
        assert way in (Way.LINK, Way.DATA)
        return
    fits = [
        taken
        for taken in asked.spec.ways(one.kind, asked.dialect, "m")
        if taken.way is way
        and is_among(one.media_type, taken.media_types)
        and (taken.bytes_max is None or (one.size_bytes or 0) <= taken.bytes_max)
    ]
    assert fits
    assert way is not Way.DATA or (one.size_bytes or 0) <= INLINE_MAX


PDF_BY_ID = Taken(MediaKind.DOCUMENT, Way.FILE_ID, ("application/pdf",), 500)
PDF_INLINE = Taken(MediaKind.DOCUMENT, Way.DATA, ("application/pdf",))
PDF_BY_LINK = Taken(MediaKind.DOCUMENT, Way.LINK, ("application/pdf",))


def ways(one: Mentioned, told: ChatSpec, account: str = "openai", base: str | None = None) -> list[tuple[Way, bool]]:
    (plan,) = choose(base).run(WHO, [one], [reader(told, account)])
    ((_, choices),) = plan.choices
    return [(choice.way, choice.copies) for choice in choices]


def test_the_best_way_comes_first_and_the_others_are_kept_for_need() -> None:
    told = spec(PDF_BY_ID, PDF_BY_LINK, PDF_INLINE)
    local = stored("application/pdf", 100, copy("local"))
    assert ways(local, told) == [(Way.FILE_ID, True), (Way.DATA, False)]
    assert ways(local, told, base="https://g") == [(Way.FILE_ID, True), (Way.LINK, False), (Way.DATA, False)]
    there = stored("application/pdf", 100, copy("local"), copy("openai"))
    assert ways(there, told)[0] == (Way.FILE_ID, False)
    assert ways(stored("application/pdf", 600, copy("local")), told) == [(Way.DATA, False)]


def test_what_has_no_way_says_why() -> None:
    cases: Iterator[tuple[Mentioned, ChatSpec, str, str]] = iter(
        [
            (stored("video/mp4", 1, copy("local")), spec(PDF_BY_ID), "openai", "unsupported_part"),
            (stored("text/csv", 1, copy("local")), spec(PDF_BY_ID), "openai", "wrong_media_type"),
            (stored("application/pdf", 501, copy("local")), spec(PDF_BY_ID), "openai", "file_too_large"),
            (stored("application/pdf", 1001, copy("local")), spec(PDF_INLINE), "openai", "file_too_large"),
            (stored("application/pdf", 1, copy("gemini")), spec(PDF_BY_ID), "openai", "no_readable_copy"),
            (stored("application/pdf", 1, copy("gemini")), spec(PDF_INLINE), "openai", "no_readable_copy"),
            (stored("application/pdf", 1, copy("local")), spec(PDF_BY_LINK), "openai", "file_without_link"),
            (stored("application/pdf", 1, copy("local")), spec(PDF_BY_ID), "nobody", "model_without_files"),
            (
                stored("application/pdf", 1, copy("local"), copy("openai", ReplicaState.FAILED)),
                spec(PDF_BY_ID),
                "openai",
                "file_refused_by_provider",
            ),
            (
                stored("application/pdf", 1, copy("local"), required={"region": "eu"}),
                spec(PDF_BY_ID),
                "openai",
                "placement_not_satisfied",
            ),
            (
                stored("application/pdf", 900, copy("local")),
                spec(PDF_INLINE, request_bytes_max=1000),
                "openai",
                "request_too_large",
            ),
        ]
    )
    for one, told, account, code in cases:
        with pytest.raises(InvalidField) as refused:
            choose(None).run(WHO, [one], [reader(told, account)])
        assert refused.value.code == code, code
        assert refused.value.param == one.mention.param


@pytest.mark.parametrize("given", [{"link": "https://example.com/a.wav"}, {"data": "AAAA"}])
def test_nobody_is_told_to_upload_what_the_provider_does_not_read_at_all(given: dict[str, str]) -> None:
    one = Mentioned(Mention(("x",), "x", MediaKind.AUDIO, **given), MediaKind.AUDIO, "audio/wav", 3)
    with pytest.raises(InvalidField, match=r"Provider takes no recordings.*Ask a model that does\.$") as refused:
        choose().run(WHO, [one], [reader(spec(PDF_BY_ID))])
    assert (refused.value.code, refused.value.param) == ("unsupported_part", "x")
    pdf = Mentioned(Mention(("x",), "x", MediaKind.DOCUMENT, **given), MediaKind.DOCUMENT, "application/pdf", 3)
    with pytest.raises(InvalidField, match="Upload it"):
        choose().run(WHO, [pdf], [reader(spec(PDF_BY_ID))])


def test_one_request_holds_no_more_than_one_process_may() -> None:
    one = stored("application/pdf", 900, copy("local"))
    assert choose(None).run(WHO, [one] * 5, [reader(spec(PDF_INLINE))])
    with pytest.raises(InvalidField) as refused:
        choose(None).run(WHO, [one] * 6, [reader(spec(PDF_INLINE))])
    assert refused.value.code == "request_too_large"


def test_a_file_that_may_lie_in_one_region_is_read_there() -> None:
    there = stored("application/pdf", 1, copy("local"), required={"region": "eu"})
    assert ways(there, spec(PDF_INLINE), "gemini") == [(Way.DATA, False)]


@pytest.mark.parametrize(
    ("account", "way"),
    [
        ("openai", Way.LINK),
        ("proxied", Way.LINK),
        ("at-home", Way.DATA),
        ("elsewhere", Way.DATA),
        ("by-environment", Way.DATA),
    ],
)
def test_links_of_callers_go_to_the_providers_own_hosts_alone(account: str, way: Way) -> None:
    mention = Mention(("x",), "x", MediaKind.IMAGE, link="https://example.com/a.png")
    one = Mentioned(mention, MediaKind.IMAGE, "image/png", None)
    told = spec(Taken(MediaKind.IMAGE, Way.DATA, ("image/*",)), dialects=(Dialect.CHAT,), own_hosts=("openai.com",))
    assert ways(one, told, account) == [(way, False)]


def test_several_that_cannot_are_named_together() -> None:
    one = stored("video/mp4", 1, copy("local"))
    other = ChatSpec("x", "Other", "https://example.com", (PDF_BY_ID,))
    with pytest.raises(InvalidField, match=r"Provider takes no videos.*Nor can it be read.*Other"):
        choose().run(WHO, [one], [reader(spec(PDF_BY_ID)), reader(other)])


def test_without_files_everybody_can_be_asked_in_the_order_that_was() -> None:
    readers = [reader(spec(), account) for account in ("gemini", "openai", "nobody")]
    plans = choose().run(WHO, [], readers)
    assert [plan.reader for plan in plans] == readers
