"""Pages are read once, bounded by bytes, and never ahead of the hub."""

from __future__ import annotations

from collections.abc import Callable

from rag_pipeline.broadcast.pages import PAGES_BYTES, Pages
from rag_pipeline.contract.events import PipelineEvent
from rag_pipeline.journal import Entry, Generations, Tail
from rag_pipeline.status.model import FileBody, FileRecord

NS = "/pipeline"
Done = Callable[[list[Entry] | None, int], None]


def entry(position: int, size: int = 10) -> Entry:
    body = FileBody(FileRecord("a", None, result="x" * size))
    return Entry(position, PipelineEvent("pipeline:file_completed", (NS,), "p", None, "e", 1, 1.0, body))


class Asked:
    def __init__(self) -> None:
        self.questions: list[tuple[int, str, Done]] = []
        self.pages = Pages(lambda *question: self.questions.append(question))
        self.tail = Tail(Generations("identity"), newest=1000)

    def answer(self, entries: list[Entry] | None, end: int) -> None:
        self.questions.pop(0)[2](entries, end)


def test_readers_at_one_position_share_a_read_and_readers_inside_a_page_need_none() -> None:
    asked = Asked()
    assert asked.pages.find(NS, 0, asked.tail) is None
    assert asked.pages.find(NS, 0, asked.tail) is None
    assert len(asked.questions) == 1
    asked.answer([entry(1), entry(5)], 10)
    page = asked.pages.find(NS, 0, asked.tail)
    assert page is not None
    assert page is asked.pages.find(NS, 5, asked.tail)
    assert asked.pages.find(NS, 10, asked.tail) is None
    assert asked.pages.find("/local_files", 5, asked.tail) is None


def test_a_page_ends_where_the_hub_is() -> None:
    asked = Asked()
    asked.pages.find(NS, 990, asked.tail)
    asked.answer([entry(995), entry(1005)], 1010)
    page = asked.pages.find(NS, 990, asked.tail)
    assert page is not None
    assert ([one.position for one in page.entries], page.end) == ([995], 1000)


def test_a_failed_read_fails_for_all_readers_and_is_tried_again_later() -> None:
    asked = Asked()
    asked.pages.find(NS, 0, asked.tail)
    asked.answer(None, 0)
    for _ in range(3):
        page = asked.pages.find(NS, 0, asked.tail)
        assert page is not None
        assert page.failed_at is not None
    assert page is not None
    page.failed_at = 0.0
    assert asked.pages.find(NS, 0, asked.tail) is None
    assert len(asked.questions) == 1


def test_the_cache_is_bounded_by_bytes_and_readers_of_a_dropped_page_ask_again() -> None:
    asked = Asked()
    pages = []
    for start in range(0, 100, 10):
        asked.pages.find(NS, start, asked.tail)
        asked.answer([entry(start + 1, PAGES_BYTES // 8)], start + 10)
        pages.append(asked.pages.find(NS, start, asked.tail))
    kept = [page for page in pages if page is not None and page.entries]
    assert kept == pages[-len(kept) :]
    assert 0 < sum(page.size_bytes for page in kept if page is not None) <= PAGES_BYTES
    assert pages[0] is not None
    assert not pages[0].covers(0)


def test_an_answer_of_another_journal_is_ignored() -> None:
    asked = Asked()
    asked.pages.find(NS, 0, asked.tail)
    asked.pages.clear()
    asked.answer([entry(1)], 10)
    assert asked.pages.find(NS, 0, asked.tail) is None
