"""Pages: asked for once, bounded by bytes, and never ahead of the hub."""

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


def test_all_who_stand_at_one_place_ask_once_and_those_inside_a_page_do_not_ask() -> None:
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


def test_what_has_not_passed_the_hub_comes_by_way_of_the_tail() -> None:
    asked = Asked()
    asked.pages.find(NS, 990, asked.tail)
    asked.answer([entry(995), entry(1005)], 1010)
    page = asked.pages.find(NS, 990, asked.tail)
    assert page is not None
    assert ([one.position for one in page.entries], page.end) == ([995], 1000)


def test_what_could_not_be_had_is_told_to_all_who_wait_and_asked_anew_later() -> None:
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


def test_the_pages_are_bounded_by_bytes_and_those_who_stand_in_a_dropped_one_ask_anew() -> None:
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


def test_an_answer_of_another_journal_is_not_taken() -> None:
    asked = Asked()
    asked.pages.find(NS, 0, asked.tail)
    asked.pages.clear()
    asked.answer([entry(1)], 10)
    assert asked.pages.find(NS, 0, asked.tail) is None
