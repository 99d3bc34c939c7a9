"""A pipeline at work on the page, from the first call to a failed file."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Locator, expect

from rag_pipeline import PipelineStatus, StatusServer, start_status_server
from rag_pipeline.http_server.page import Addresses, render
from tests.dashboard.browser import Window, window
from tests.support.programs import Program

pytestmark = pytest.mark.slow

THREE_LINES = re.compile(r"<code>(from rag_pipeline .*?)</code>", re.DOTALL)


def section(within: Window, title: str) -> Locator:
    """Return the part of the first pipeline with this heading."""
    heading = within.page.get_by_role("heading", level=3, name=re.compile(f"^{title}"))
    return within.page.locator(".card section").filter(has=heading).first


def figure(within: Window, name: str) -> Locator:
    return within.page.locator(".figure").filter(has_text=re.compile(f"^{name}")).locator("dd")


def test_without_pipelines_the_page_explains_the_first_steps_then_shows_the_first_pipeline(
    desk: Window, pipeline: PipelineStatus
) -> None:
    page = desk.page
    expect(page.get_by_role("heading", name="No pipeline has reported yet")).to_be_visible()
    expect(page.get_by_role("heading", name="All files")).to_be_hidden()
    expect(page).to_have_title("Waiting – Pipelines")
    pipeline.update(status="scanning")
    expect(page.get_by_role("heading", level=2, name="papers")).to_be_visible()
    expect(page.get_by_role("heading", name="No pipeline has reported yet")).to_be_hidden()
    expect(page.locator(".card .badge").first).to_have_text("Scanning")


def test_the_example_works(browser: Browser) -> None:
    found = THREE_LINES.search(render(Addresses(1, 2)))
    assert found
    lines = found[1].replace("&quot;", '"')
    assert len(lines.splitlines()) == 3
    program = (
        f"from rag_pipeline import start_status_server\nserver = start_status_server(0)\n{lines}\n"
        "print('port', server.http_port, flush=True)\ninput()"
    )
    with Program("-c", program) as running, window(browser) as opened:
        opened.visit(int(running.expect(r"port (\d+)")))
        expect(section(opened, "Completed")).to_contain_text("document.pdf")


def test_the_example_can_be_copied(browser: Browser, server: StatusServer) -> None:
    with window(browser, permissions=["clipboard-read", "clipboard-write"]) as opened:
        opened.visit(server.http_port).page.get_by_role("button", name="Copy").click()
        expect(opened.page.get_by_role("button", name="Copied")).to_be_visible()
        copied = opened.page.evaluate("navigator.clipboard.readText()")
        assert copied.startswith("from rag_pipeline import pipeline_status\n")


def test_a_file_is_shown_from_its_start_to_its_end(desk: Window, pipeline: PipelineStatus) -> None:
    flights = section(desk, "In flight")
    pipeline.add_processing_file("report.pdf", "1", size=48_213)
    expect(flights.locator(".flight")).to_contain_text("report.pdf")
    expect(flights.locator(".flight")).to_contain_text("48 kB")
    expect(flights.locator(".flight-stage")).to_have_text("Started")
    bar = flights.get_by_role("progressbar", name="report.pdf")
    expect(bar).not_to_have_attribute("value", re.compile(".*"))
    pipeline.file_progress("report.pdf", "embedding", 0.52, file_id="1")
    expect(flights.locator(".flight-stage")).to_have_text("Embedding")
    expect(flights.locator(".flight-percent")).to_have_text("52%")
    expect(bar).to_have_attribute("value", "0.52")
    expect(flights.locator(".flight-elapsed")).to_have_text(re.compile(r"^\d+ s$"))
    expect(desk.page).to_have_title("1 in flight – Pipelines")
    pipeline.complete_file("report.pdf", file_id="1")
    expect(flights.locator(".flight")).to_have_count(0)
    expect(section(desk, "Completed")).to_contain_text("report.pdf")
    expect(figure(desk, "Completed")).to_have_text("1")


def test_a_failed_file_opens_to_its_details(desk: Window, pipeline: PipelineStatus) -> None:
    for _ in range(2):
        pipeline.add_processing_file("scan.pdf", "7", link="https://drive.example.com/7")
        pipeline.file_progress("scan.pdf", "extracting", file_id="7")
        pipeline.complete_file(
            "scan.pdf", success=False, file_id="7", error={"type": "CorruptFileError", "message": "it is cut off"}
        )
    row = section(desk, "Failed").locator("details").first
    expect(row.locator("summary")).to_contain_text("it is cut off")
    expect(row.locator(".facts")).to_be_hidden()
    row.locator("summary").click()
    for name, value in (
        ("Type", "CorruptFileError"), ("Message", "it is cut off"), ("Stage", "Extracting"), ("Attempts", "2"),
    ):  # fmt: skip
        expect(row.locator(".facts > div").filter(has_text=re.compile(f"^{name}")).locator("dd")).to_have_text(value)
    expect(row.locator("time[datetime]").first).to_have_attribute("title", re.compile(r"^\d{4}-.*\+00:00$"))
    expect(row.get_by_role("link")).to_have_attribute("href", "https://drive.example.com/7")


def test_an_open_failure_stays_when_newer_ones_replace_it(desk: Window, pipeline: PipelineStatus) -> None:
    pipeline.skip_file("first.txt", "so that the page is there")
    pipeline.complete_file("read me.pdf", success=False, error="no text")
    failed = section(desk, "Failed")
    failed.locator("summary").click()
    for number in range(6):
        pipeline.complete_file(f"later {number}.pdf", success=False, error="no text")
    expect(failed).to_contain_text("later 5.pdf")
    expect(failed.locator("details[open]")).to_contain_text("read me.pdf")
    failed.locator("details[open] > summary").click()
    pipeline.complete_file("last.pdf", success=False, error="no text")
    expect(failed).to_contain_text("last.pdf")
    expect(failed).not_to_contain_text("read me.pdf")


def test_skipped_and_deleted_files_are_shown(desk: Window, pipeline: PipelineStatus) -> None:
    pipeline.skip_file("film.mp4", "no reader for video/mp4")
    pipeline.delete_file("old.pdf")
    expect(section(desk, "Skipped")).to_contain_text("no reader for video/mp4")
    expect(figure(desk, "Deleted")).to_have_text("1")


def test_state_checks_queue_and_own_fields_are_shown(desk: Window, pipeline: PipelineStatus) -> None:
    page = desk.page
    pipeline.update(status="waiting_for_quota", files_queued=1_234, own={"message": "until noon", "model": "MiniLM"})
    expect(page.locator(".card .badge").first).to_have_text("Waiting for quota")
    expect(page.locator(".message")).to_have_text("until noon")
    expect(page.locator(".checks")).to_contain_text("MiniLM")
    expect(figure(desk, "Queued")).to_have_text("1,234")
    pipeline.update(status="idle", seconds_until_next_check=185)
    following = page.locator(".checks > div").filter(has_text="Next check").locator("dd")
    expect(following).to_have_text(re.compile(r"^in 3 min \d s"), use_inner_text=True)
    seen = following.inner_text()
    expect(following).not_to_have_text(seen, use_inner_text=True)  # it counts down
    pipeline.update(status="scanning", is_checking=True)
    expect(following).to_have_text("now", use_inner_text=True)
    pipeline.update(status="error")
    expect(page.locator(".card .badge").first).to_have_attribute("data-tone", "bad")
    expect(page).to_have_title("Error – Pipelines")
    expect(page.locator("#icon")).to_have_attribute("href", "dashboard/icon-error.svg")


def test_a_long_list_in_flight_begins_with_a_dozen(desk: Window, pipeline: PipelineStatus) -> None:
    for number in range(110):
        pipeline.add_processing_file(f"{number:03}.pdf")
    flights = section(desk, "In flight")
    expect(flights.locator(".flight")).to_have_count(12)
    more = flights.get_by_role("button", name="Show 88 more")
    expect(more).to_have_attribute("aria-expanded", "false")
    expect(flights).to_contain_text("10 more, started earlier, are not listed.")
    more.click()
    expect(flights.locator(".flight")).to_have_count(100)
    expect(flights.get_by_role("button", name="Show fewer")).to_have_attribute("aria-expanded", "true")


def test_text_from_pipelines_is_never_markup(desk: Window, pipeline: PipelineStatus) -> None:
    evil = "<img src=x onerror=alert(1)><b>.pdf"
    pipeline.update(status="<i>", own={"message": "<script>alert(1)</script>", "own": "<u>"})
    pipeline.add_processing_file(evil)
    pipeline.complete_file(evil, success=False, error={"type": "<b>", "message": "<a href=x>"})
    pipeline.complete_file("linked.pdf", success=False, error="no")
    pipeline.add_processing_file("bad link.pdf", link="javascript:alert(1)")
    pipeline.complete_file("bad link.pdf", success=False, error="no text")
    failed = section(desk, "Failed")
    expect(failed).to_contain_text(evil)
    failed.locator("summary").filter(has_text="bad link.pdf").click()
    expect(failed.locator("[open] .facts")).to_contain_text("javascript:alert(1)")
    expect(failed.get_by_role("link")).to_have_count(0)
    assert desk.page.locator("main :is(img, script, i, b, u)").count() == 0


def test_each_pipeline_has_its_own_card(browser: Browser) -> None:
    pipelines = [PipelineStatus("google_drive", "drive"), PipelineStatus(None, "archive")]
    with start_status_server(0, pipelines=pipelines) as server, window(browser) as opened:
        for pipeline in pipelines:
            pipeline.update(status="idle")
        headings = opened.visit(server.http_port).page.locator(".card h2")
        expect(headings).to_have_text(["archive", "drive"])
        expect(opened.page.locator(".eyebrow")).to_have_text(["Pipeline", "Google drive"])
        expect(opened.page.get_by_role("combobox", name="Pipeline")).to_be_visible()


def test_the_sparkline_shows_files_ended_while_the_page_was_open(desk: Window, pipeline: PipelineStatus) -> None:
    pipeline.update(status="running")
    chart = desk.page.get_by_role("img", name="Files per minute")
    expect(chart).to_be_visible()
    expect(chart.locator(".some")).to_have_count(0)
    for number in range(5):
        pipeline.skip_file(f"{number}.txt", "empty")
    expect(chart.locator(".some").first).to_be_attached()


SCAN = {"type": "pages_without_text", "message": "9 of 10 pages have no text (scanned?)", "count": 9}


def test_a_file_with_warnings_is_marked_counted_and_opens_to_its_verdict(
    desk: Window, pipeline: PipelineStatus
) -> None:
    pipeline.complete_file("good.md", quality={"characters": 900})
    expect(section(desk, "Completed")).to_contain_text("good.md")
    expect(figure(desk, "With warnings")).to_be_hidden()
    quality = {"characters": 12345, "odd_characters": 0.0025, "pages": 10, "pages_without_text": 9, "unknown": None}
    odd = {"type": "odd", "message": "<b>some</b> text is odd"}
    pipeline.complete_file("scan.pdf", file_id="7", warnings=[SCAN, odd], quality=quality)
    expect(figure(desk, "With warnings")).to_have_text("1")
    row = section(desk, "Completed").locator("details")
    expect(row).to_have_count(1)
    expect(row.locator("summary")).to_contain_text("2 warnings: 9 of 10 pages have no text (scanned?)")
    row.locator("summary").click()
    items = row.locator(".warnings > li")
    expect(items).to_have_text(
        ["9 of 10 pages have no text (scanned?) (pages_without_text, 9 cases)", "<b>some</b> text is odd (odd)"]
    )
    facts = row.locator(".facts > div")
    for name, value in (("Characters", "12,345"), ("Odd characters", "0.25%"), ("Pages", "10"), ("Pages without", "9")):
        expect(facts.filter(has_text=re.compile(f"^{name}")).first.locator("dd")).to_have_text(value)
    expect(facts.filter(has_text="Unknown")).to_have_count(0)
    pipeline.complete_file("scan.pdf", file_id="7")
    expect(figure(desk, "With warnings")).to_be_hidden()


def test_all_files_can_be_filtered_by_their_warnings(desk: Window, pipeline: PipelineStatus) -> None:
    pipeline.complete_file("good.md")
    pipeline.complete_file("scan.pdf", warnings=[SCAN])
    rows = desk.page.locator("#history-rows > li")
    expect(rows).to_have_count(2)
    expect(rows.filter(has_text="scan.pdf").locator(".warned")).to_have_text(f"Warning: {SCAN['message']}")
    expect(rows.filter(has_text="good.md").locator(".warned")).to_have_count(0)
    desk.page.get_by_label("Warnings").select_option("With warnings")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("scan.pdf")
    desk.page.get_by_label("Warnings").select_option("Without")
    expect(rows).to_contain_text("good.md")
    expect(rows).to_have_count(1)
