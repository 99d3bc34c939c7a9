"""The history: a search over all files while typing, shown page by page."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Route, expect

from rag_pipeline import PipelineStatus, StatusServer, start_status_server
from tests.dashboard.browser import Window, window

pytestmark = pytest.mark.slow

FILES = 10_000
PAGE = 50

# Typed letter by letter, faster than the debounce even on a busy machine.
TYPE = """(box, text) => {
  for (let end = 1; end <= text.length; end += 1) {
    box.value = text.slice(0, end);
    box.dispatchEvent(new InputEvent("input", { bubbles: true }));
  }
}"""


@pytest.fixture(scope="module")
def past() -> Iterator[StatusServer]:
    """A service with many files, none of which changes any more."""
    pipeline = PipelineStatus("local_files", "archive")
    with start_status_server(0, pipelines=[pipeline]) as server:
        for number in range(FILES - 1):
            pipeline.skip_file(f"file {number:05}.txt", "there is no text in it")
        pipeline.complete_file("contract.pdf", success=False, error={"type": "CorruptFileError", "message": "cut off"})
        yield server


@pytest.fixture
def full(browser: Browser, past: StatusServer) -> Iterator[Window]:
    with window(browser) as opened:
        expect(rows(opened.visit(past.http_port))).to_have_count(PAGE)
        yield opened


def rows(within: Window) -> Locator:
    return within.page.locator("#history-rows > li")


def press(within: Window, name: str) -> None:
    within.page.get_by_role("button", name=name, exact=True).click()


def search_for(within: Window, text: str) -> None:
    within.page.get_by_role("searchbox").fill(text)


def test_of_ten_thousand_files_only_one_page_is_in_the_document(full: Window) -> None:
    expect(rows(full).first).to_contain_text("contract.pdf")
    expect(full.page.locator("#history-count")).to_have_text("Files 1 to 50")
    press(full, "Older")
    expect(full.page.locator("#history-count")).to_have_text("Files 51 to 100")
    expect(rows(full)).to_have_count(PAGE)
    press(full, "Newer")
    expect(rows(full).first).to_contain_text("contract.pdf")


def test_the_last_page_has_no_older_one(full: Window) -> None:
    search_for(full, "file 0123")
    expect(rows(full)).to_have_count(10)
    expect(full.page.get_by_role("button", name="Older", exact=True)).to_have_attribute("aria-disabled", "true")
    full.page.get_by_role("button", name="Older", exact=True).press("Enter")
    expect(full.page.locator("#history-count")).to_have_text("Files 1 to 10")


def test_typing_searches_names_and_messages(full: Window) -> None:
    search_for(full, "FILE 01234")
    expect(rows(full)).to_have_count(1)
    search_for(full, "cut off")
    expect(rows(full)).to_have_count(1)
    expect(rows(full)).to_contain_text("contract.pdf")
    search_for(full, "nowhere")
    expect(full.page.locator("#history-count")).to_have_text("No files.")


def test_an_outcome_can_be_chosen_and_a_file_opened(full: Window) -> None:
    full.page.get_by_label("Outcome").select_option("Failed")
    expect(rows(full)).to_have_count(1)
    rows(full).locator("summary").click()
    expect(rows(full).locator(".facts")).to_contain_text("CorruptFileError")
    expect(rows(full).locator(".facts")).to_contain_text(re.compile("Pipeline *archive"))


def test_typing_sends_one_request_and_the_last_search_wins(desk: Window, pipeline: PipelineStatus) -> None:
    pipeline.skip_file("slow.txt", "empty")
    pipeline.skip_file("quick.txt", "empty")
    desk.page.reload()
    expect(rows(desk)).to_have_count(2)
    asked: list[str] = []
    held: list[Route] = []

    def answer(route: Route) -> None:
        asked.append(route.request.url)
        if "slow" in route.request.url:
            held.append(route)
        else:
            route.continue_()

    desk.page.route("**/files?*", answer)
    with desk.page.expect_request("**/files?*q=slow"):
        desk.page.get_by_role("searchbox").evaluate(TYPE, "slow")
    search_for(desk, "quick")
    expect(rows(desk)).to_have_count(1)
    (late,) = held
    late.fulfill(json={"files": [], "next": None})
    desk.page.evaluate("new Promise((done) => setTimeout(done, 100))")  # time for what must not happen
    expect(rows(desk)).to_contain_text("quick.txt")
    assert [url.partition("q=")[2] for url in asked] == ["slow", "quick"]


def test_newer_changes_are_offered_without_changing_the_page(desk: Window, pipeline: PipelineStatus) -> None:
    pipeline.skip_file("one.txt", "empty")
    expect(rows(desk)).to_have_count(1)
    pipeline.skip_file("two.txt", "empty")
    newer = desk.page.get_by_role("button", name="Show newer changes")
    expect(newer).not_to_have_attribute("aria-disabled", "true")
    expect(rows(desk)).to_have_count(1)
    newer.click()
    expect(rows(desk)).to_have_count(2)
    expect(newer).to_have_attribute("aria-disabled", "true")
    expect(newer).to_be_focused()


def test_the_first_files_appear_by_themselves(desk: Window, pipeline: PipelineStatus) -> None:
    pipeline.update(status="running")
    expect(desk.page.locator("#history-count")).to_have_text("No files.")
    pipeline.skip_file("first.txt", "empty")
    expect(rows(desk)).to_have_count(1)


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (503, '{"error":"the history can\'t be read now: see /health"}', "see /health"),
        (500, "oh", "500"),
    ],
)
def test_a_history_that_can_not_be_read_shows_the_error(
    desk: Window, pipeline: PipelineStatus, status: int, body: str, message: str
) -> None:
    desk.page.route("**/files?*", lambda route: route.fulfill(status=status, body=body))
    pipeline.update(status="running")
    expect(desk.page.locator("#history-error")).to_contain_text(message)
    desk.page.unroute("**/files?*")
    search_for(desk, "any")
    expect(desk.page.locator("#history-error")).to_be_hidden()


def test_a_page_of_a_replaced_journal_leads_back_to_the_first(full: Window) -> None:
    def forget(route: Route) -> None:
        if "before=" in route.request.url:
            route.fulfill(status=400, json={"error": "before: of another journal"})
        else:
            route.continue_()

    full.page.route("**/files?*", forget)
    press(full, "Older")
    expect(full.page.locator("#history-count")).to_have_text("Files 1 to 50")
    expect(full.page.locator("#history-error")).to_be_hidden()


def test_with_several_pipelines_one_can_be_chosen(browser: Browser) -> None:
    pipelines = [PipelineStatus("google_drive", "drive"), PipelineStatus("local_files", "folder")]
    with start_status_server(0, pipelines=pipelines) as server, window(browser) as opened:
        for pipeline in pipelines:
            pipeline.skip_file(f"of {pipeline.pipeline_id}.txt", "empty")
        opened.visit(server.http_port)
        expect(rows(opened)).to_have_count(2)
        opened.page.locator("#search").get_by_label("Pipeline").select_option("folder")
        expect(rows(opened)).to_have_count(1)
        expect(rows(opened)).to_contain_text("of folder.txt")
