"""WCAG 2.2 AA by axe in each state of the page; also keyboard, phone and reduced motion."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from rag_pipeline import PipelineStatus, StatusServer
from tests.dashboard.browser import DESK, PHONE, Window, window

pytestmark = pytest.mark.slow

AXE = Path(__file__).parents[1] / "js" / "node_modules" / "axe-core" / "axe.min.js"
needs_axe = pytest.mark.skipif(not AXE.exists(), reason="axe-core is not installed: npm ci --prefix tests/js")
RUN = """async () => (await axe.run(document, {
  runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
})).violations.map((found) => [found.id, found.nodes.map((node) => node.html)])"""
FOCUS = """() => {
  const focused = document.activeElement;
  const edge = document.querySelector(".bar").getBoundingClientRect().bottom;
  return [focused.innerText.split("\\n")[0], focused.getBoundingClientRect().bottom <= edge];
}"""
DARK = "async () => (await axe.run(document, { runOnly: ['color-contrast'] })).violations.map((found) => found.nodes)"
STATES = (
    "empty",
    "live",
    "failure opened",
    "warnings opened",
    "file found",
    "reconnecting",
    "token asked for",
    "token refused",
)


def work(pipeline: PipelineStatus) -> None:
    """Report one file of every kind."""
    pipeline.update(status="processing", files_queued=7, own={"message": "by hand", "model": "MiniLM"})
    for number in range(14):
        pipeline.add_processing_file(f"in flight {number}.pdf")
        pipeline.file_progress(f"in flight {number}.pdf", "embedding", number / 14 if number % 2 else None)
    pipeline.complete_file("done.pdf")
    fault = {"type": "rows_without_labels", "message": "rows_without_labels_" * 12, "count": 1200}
    pipeline.complete_file("warned.xlsx", warnings=[fault, "odd"], quality={"characters": 12, "odd_characters": 0.01})
    pipeline.skip_file("film.mp4", "no reader for video/mp4")
    error = {"type": "CorruptFileError", "message": "the cross-reference table is cut off " * 8}
    pipeline.complete_file("a name without any space in it".replace(" ", "_") * 4, success=False, error=error)
    pipeline.delete_file("gone.pdf")


def bring_to(page: Page, state: str, pipeline: PipelineStatus) -> None:
    """Bring the page into the state."""
    expect(page.locator("#connection-word")).to_have_text("Live")
    if state == "empty":
        return
    if state.startswith("token"):
        code = "token_missing" if state == "token asked for" else "token_invalid"
        page.evaluate(
            """async (code) => {
              const { TokenForm, Session } = await import("/dashboard/token-form.js");
              new TokenForm(() => {}).ask({ code, message: "" }, new Session());
            }""",
            code,
        )
        expect(page.get_by_label("Access token")).to_be_focused()
        return
    work(pipeline)
    expect(page.locator("#history-rows > li").first).to_be_visible()
    if state == "failure opened":
        page.locator(".done summary").first.click()
    elif state == "warnings opened":
        page.get_by_label("Warnings").select_option("With warnings")
        expect(page.locator("#history-rows > li")).to_have_count(1)
        page.locator("#history-rows summary").click()
        page.locator(".done summary", has_text="warned.xlsx").click()
    elif state == "file found":
        page.get_by_role("searchbox").fill("in flight 3")
        expect(page.locator("#history-rows > li")).to_have_count(1)
        page.locator("#history-rows summary").click()
    elif state == "reconnecting":
        page.context.set_offline(True)
        page.evaluate("window.dispatchEvent(new Event('offline'))")


@needs_axe
@pytest.mark.parametrize("state", STATES)
def test_axe_finds_nothing_in_light_or_dark(
    browser: Browser, server: StatusServer, pipeline: PipelineStatus, state: str
) -> None:
    size = PHONE if state == "failure opened" else DESK
    with window(browser, size) as opened:
        opened.page.add_init_script(path=AXE)
        page = opened.visit(server.http_port).page
        bring_to(page, state, pipeline)
        assert page.evaluate(RUN) == []
        page.emulate_media(color_scheme="dark")
        assert page.evaluate(DARK) == []


def test_everything_works_by_keyboard(desk: Window, pipeline: PipelineStatus) -> None:
    work(pipeline)
    page = desk.page
    page.reload()  # so that the history is loaded once all files are done
    expect(page.locator("#history-rows > li")).to_have_count(19)
    reached: list[str] = []
    page.locator("body").press("Tab")
    expect(page.get_by_role("link", name="Skip to the pipelines")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    while not reached or reached[-1] != "AsyncAPI":
        page.keyboard.press("Tab")
        name, hidden = page.evaluate(FOCUS)
        assert not hidden, f"{name} has the focus and is behind the header"
        reached.append(name)
    page.locator(".done summary").first.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".done details[open] .facts")).to_be_visible()
    page.get_by_role("button", name="Show 2 more").focus()
    page.keyboard.press("Space")
    expect(page.locator(".flight")).to_have_count(14)
    expect(page.get_by_role("button", name="Show fewer")).to_be_focused()
    page.get_by_role("searchbox").focus()
    page.keyboard.type("film")
    expect(page.locator("#history-rows > li")).to_have_count(1)
    assert {"Show 2 more", "film.mp4", "Older", "Status"} <= set(reached)


@pytest.mark.parametrize("state", ["empty", "failure opened", "file found", "token refused"])
def test_no_width_scrolls_sideways(
    browser: Browser, server: StatusServer, pipeline: PipelineStatus, state: str
) -> None:
    with window(browser) as opened:
        page = opened.visit(server.http_port).page
        bring_to(page, state, pipeline)
        for width in (768, PHONE[0], 320):
            page.set_viewport_size({"width": width, "height": 740})
            assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_touch_targets_are_large_enough_on_a_phone(
    browser: Browser, server: StatusServer, pipeline: PipelineStatus
) -> None:
    with window(browser, PHONE, has_touch=True) as opened:
        page = opened.visit(server.http_port).page
        bring_to(page, "live", pipeline)
        small = page.evaluate(
            """[...document.querySelectorAll("button, input, select, summary, footer a")]
              .filter((node) => node.offsetParent !== null && node.getBoundingClientRect().height < 24)
              .map((node) => node.outerHTML)"""
        )
        assert small == []


def test_a_screen_reader_announces_the_connection_but_not_each_event(desk: Window, pipeline: PipelineStatus) -> None:
    page = desk.page
    expect(page.locator("#connection-word")).to_have_text("Live")
    page.evaluate(
        """() => {
          window.announced = [];
          for (const node of document.querySelectorAll("[role=status], [aria-live]")) {
            new MutationObserver(() => window.announced.push(node.id)).observe(
              node, { childList: true, characterData: true, subtree: true });
          }
        }"""
    )
    work(pipeline)
    expect(page.locator(".flight")).to_have_count(12)
    expect(page.locator("#history-count")).to_contain_text("Files 1 to")
    assert set(page.evaluate("window.announced")) <= {"history-count"}
