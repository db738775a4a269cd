from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from mediagate.providers.files import ListQuery, ProviderFile
from mediagate.providers.listing import page_from, page_of


def files(count: int) -> list[ProviderFile]:
    """The newest first, every third for batch."""
    return [
        ProviderFile(
            ref=f"f{number:03}",
            filename="",
            created_at=datetime.fromtimestamp(number, UTC),
            purpose="" if number % 3 else "batch",
        )
        for number in reversed(range(count))
    ]


class Given:
    """Files as a provider gives them, and how many were taken."""

    def __init__(self, given: list[ProviderFile]) -> None:
        self.given = given
        self.taken = 0

    async def __aiter__(self) -> AsyncIterator[ProviderFile]:
        for file in self.given:
            self.taken += 1
            yield file


QUERIES = st.builds(
    ListQuery,
    limit=st.integers(1, 12),
    after=st.none() | st.integers(0, 25).map("f{:03}".format),
    ascending=st.booleans(),
    purpose=st.sampled_from([None, "batch", "other"]),
)


@given(st.integers(0, 20), QUERIES)
async def test_a_page_of_what_arrives_is_the_page_of_all(count: int, query: ListQuery) -> None:
    given = files(count)
    if query.after is not None and query.purpose is not None:
        # Where the cursor itself is filtered out, only the order can tell what is behind it.
        query = ListQuery(limit=query.limit, after=query.after, ascending=query.ascending)
    expected = page_of(given, query)
    assert await page_from(Given(given), query, newest_first=True) == expected  # type: ignore[arg-type]
    assert await page_from(Given(given[::-1]), query) == expected  # type: ignore[arg-type]


async def test_reading_ends_with_the_page() -> None:
    source = Given(files(100))
    page = await page_from(source, ListQuery(limit=5, after="f090"), newest_first=True)  # type: ignore[arg-type]
    assert [file.ref for file in page.items] == ["f089", "f088", "f087", "f086", "f085"]
    assert page.has_more
    assert source.taken == 16
