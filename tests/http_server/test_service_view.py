"""A page can be cut without losing the way to the next."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.http_server.service_view import EventPage, Item, Source
from tests.http_server.support import StubSource

SOURCE: Source = StubSource()  # what the tests ask has the shape that the service has to have
TEXTS = st.lists(st.text(max_size=20), max_size=10)


def page_of(*texts: str) -> EventPage:
    items = [Item(f"o{number}", "name", text) for number, text in enumerate(texts, 1)]
    return EventPage(items, "far", recovered=False, more=False)


def test_a_page_that_fits_stays_as_it_is() -> None:
    page = page_of("ab", "cd", "ef")
    assert page.within(6) is page


def test_a_page_that_is_too_long_ends_early_and_says_where_to_go_on() -> None:
    page = page_of("ab", "cd", "ef")
    assert page.within(5) == EventPage(page.items[:2], "o2", recovered=False, more=True)


def test_an_event_that_is_too_long_alone_is_given_alone() -> None:
    page = page_of("abcdef", "")
    assert page.within(1) == EventPage(page.items[:1], "o1", recovered=False, more=True)


@given(TEXTS, st.integers(0, 100))
def test_a_cut_page_is_as_long_as_the_limit_lets_it_be(texts: list[str], limit: int) -> None:
    cut = page_of(*texts).within(limit)
    count = len(cut.items)
    assert list(cut.items) == page_of(*texts[:count]).items
    assert count <= 1 or sum(map(len, texts[:count])) <= limit
    if count < len(texts):
        assert cut.more
        assert cut.next == cut.items[-1].offset
        assert sum(map(len, texts[: count + 1])) > limit
