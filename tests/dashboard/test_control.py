"""The control buttons: shown if the service allows control, with the outcome of each request."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from rag_pipeline import PipelineStatus, StatusServer, start_status_server
from rag_pipeline.status.control import Action, Control, ControlRequest
from tests.dashboard.browser import PHONE, Window, window
from tests.dashboard.test_accessibility import AXE, DARK, RUN, needs_axe
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow


class Directed:
    """A pipeline that acts on requests at once, and records them."""

    def __init__(self) -> None:
        self.status = PipelineStatus("local_files", "papers & all")
        self.control = Control()
        self.control.attend(self.refuse, self.follow)
        self.status.control = self.control
        self.asked: list[ControlRequest] = []
        self.refusal: str | None = None
        self.status.update(status="idle")
        error = {"type": "CorruptFileError", "message": "it is damaged"}
        self.status.complete_file("bad & odd.pdf", success=False, file_id="sub/bad & odd?.pdf", error=error)

    def refuse(self, _: ControlRequest) -> str | None:
        return self.refusal

    def follow(self) -> None:
        self.asked += self.control.take()
        self.status.update(status="paused" if self.control.paused else "idle")


@pytest.fixture
def directed() -> Directed:
    return Directed()


@pytest.fixture
def fixed() -> PipelineStatus:
    return PipelineStatus("google_drive", "fixed")


@pytest.fixture
def allowed(directed: Directed, fixed: PipelineStatus, monkeypatch: pytest.MonkeyPatch) -> Iterator[StatusServer]:
    monkeypatch.setenv("STATUS_CONTROL", "1")
    with start_status_server(0, pipelines=[directed.status, fixed]) as server:
        yield server


@pytest.fixture
def page_of(browser: Browser, allowed: StatusServer) -> Iterator[Window]:
    with window(browser) as opened:
        yield opened.visit(allowed.http_port)


def test_one_button_pauses_and_resumes_and_keeps_the_focus(page_of: Window, directed: Directed) -> None:
    page = page_of.page
    page.get_by_role("button", name="Pause").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Resume")).to_be_focused()
    expect(page.get_by_role("button", name="Check now")).to_be_hidden()
    assert directed.control.paused
    page.keyboard.press("Space")
    expect(page.get_by_role("button", name="Pause")).to_be_focused()
    wait_until(lambda: not directed.control.paused)


def test_a_check_can_be_requested(page_of: Window, directed: Directed) -> None:
    page = page_of.page
    page.get_by_role("button", name="Check now").click()
    expect(page.locator(".card .status-message").first).to_have_text("Asked to check.")
    assert directed.asked == [ControlRequest(Action.CHECK)]
    directed.status.update(last_check_time=1e9)
    expect(page.locator(".card .status-message").first).to_have_text("")


def test_a_failed_file_can_be_retried(page_of: Window, directed: Directed) -> None:
    page = page_of.page
    page.get_by_role("button", name="Retry bad & odd.pdf").click()
    expect(page.locator(".file .status-message")).to_have_text("Asked to try it again.")
    assert directed.asked == [ControlRequest(Action.RETRY, "sub/bad & odd?.pdf")]


def test_a_refused_request_shows_the_reason_and_can_be_repeated(page_of: Window, directed: Directed) -> None:
    page = page_of.page
    directed.refusal = "it is not failed any more"
    retry = page.get_by_role("button", name="Retry bad & odd.pdf")
    retry.click()
    expect(page.locator(".file .status-message")).to_have_text("it is not failed any more")
    directed.refusal = None
    expect(retry).not_to_have_attribute("aria-disabled", "true")
    retry.click()
    expect(page.locator(".file .status-message")).to_have_text("Asked to try it again.")


def test_a_pipeline_that_takes_no_requests_has_no_buttons(page_of: Window, fixed: PipelineStatus) -> None:
    fixed.update(status="idle")
    fixed.complete_file("bad.pdf", success=False, file_id="bad.pdf", error="damaged")
    page = page_of.page
    card = page.get_by_role("article", name="Pipeline fixed")
    expect(card.get_by_text("bad.pdf").first).to_be_visible()
    expect(page.get_by_role("button", name="Pause")).to_have_count(1)
    expect(card.locator(".control button:visible")).to_have_count(0)


def test_an_ended_pipeline_has_no_buttons(page_of: Window, directed: Directed) -> None:
    expect(page_of.page.get_by_role("button", name="Pause")).to_be_visible()
    directed.status.update(status="stopped")
    expect(page_of.page.get_by_role("button", name="Pause")).to_be_hidden()


def test_buttons_appear_once_a_pipeline_takes_requests(page_of: Window, fixed: PipelineStatus) -> None:
    late = fixed
    late.update(status="initializing")
    card = page_of.page.get_by_role("article", name="Pipeline fixed")
    expect(card).to_be_visible()
    late.control = Control()
    late.update(status="idle")
    expect(card.get_by_role("button", name="Pause")).to_be_visible()


def test_without_control_there_are_no_buttons_and_no_requests(browser: Browser, directed: Directed) -> None:
    with start_status_server(0, pipelines=[directed.status]) as server, window(browser) as opened:
        asked: list[str] = []
        opened.page.on("request", lambda request: asked.append(request.url))
        page = opened.visit(server.http_port).page
        expect(page.get_by_text("bad & odd.pdf").first).to_be_visible()
        expect(page.locator("#connection-word")).to_have_text("Live")
        expect(page.locator(".control button:visible")).to_have_count(0)
        assert not [url for url in asked if url.endswith("/health")]


def hold(directed: Directed, count: int | None) -> None:
    """Have the pipeline hold this many deletions, or none."""
    message = f"{count} of 5,000 files are gone" if count else None
    directed.status.update(status="error" if count else "idle", own={"deletions_held": count, "message": message})


def test_held_deletions_are_confirmed_in_two_steps(page_of: Window, directed: Directed) -> None:
    page = page_of.page
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    expect(page.get_by_role("button", name="Delete")).to_have_count(0)
    hold(directed, 4812)
    page.get_by_role("button", name="Delete 4,812 files", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Delete the stored text of 4,812 files for good?")).to_be_visible()
    expect(page.get_by_role("button", name="Keep them")).to_be_focused()
    assert directed.asked == []
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Delete 4,812 files", exact=True)).to_be_focused()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Yes, delete 4,812 files").click()
    expect(page.locator(".held .status-message")).to_have_text("Asked to delete them.")
    assert directed.asked == [ControlRequest(Action.CONFIRM, deletions=4812)]
    hold(directed, None)
    expect(page.locator(".held")).to_be_hidden()
    page_of.check()


def test_the_confirmed_number_is_the_one_that_was_read(page_of: Window, directed: Directed) -> None:
    page = page_of.page
    hold(directed, 30)
    page.get_by_role("button", name="Delete 30 files").click()
    expect(page.get_by_role("button", name="Yes, delete 30 files")).to_be_visible()
    hold(directed, 31)
    expect(page.get_by_role("button", name="Delete 31 files", exact=True)).to_be_focused()
    expect(page.get_by_role("button", name="Keep them")).to_be_hidden()


def test_a_refused_confirmation_shows_the_reason(page_of: Window, directed: Directed) -> None:
    page = page_of.page
    hold(directed, 30)
    directed.refusal = "there is nothing to confirm"
    page.get_by_role("button", name="Delete 30 files").click()
    page.get_by_role("button", name="Yes, delete 30 files").click()
    expect(page.locator(".held .status-message")).to_have_text("there is nothing to confirm")
    assert directed.asked == []


def test_held_deletions_have_no_button_without_the_confirm_action(page_of: Window, fixed: PipelineStatus) -> None:
    fixed.control = Control([Action.PAUSE])
    fixed.update(status="error", own={"deletions_held": 30, "message": "30 of 40 files are gone"})
    card = page_of.page.get_by_role("article", name="Pipeline fixed")
    expect(card.get_by_text("30 of 40 files are gone")).to_be_visible()
    expect(card.get_by_role("button", name="Delete")).to_have_count(0)


@needs_axe
def test_axe_finds_no_violation_at_the_buttons(browser: Browser, allowed: StatusServer, directed: Directed) -> None:
    for size in (PHONE, (1280, 900)):
        with window(browser, size) as opened:
            opened.page.add_init_script(path=AXE)
            page = opened.visit(allowed.http_port).page
            directed.refusal = "it can't be done now " * 8
            page.get_by_role("button", name="Retry").click()
            expect(page.locator(".file .status-message")).not_to_have_text("")
            hold(directed, 4812)
            page.get_by_role("button", name="Delete 4,812 files").click()
            assert page.evaluate(RUN) == []
            assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
            small = (
                "[...document.querySelectorAll('.control button')].filter((n) => n.clientHeight && n.clientHeight < 24)"
            )
            assert page.evaluate(f"{small}.length") == 0
            page.emulate_media(color_scheme="dark")
            assert page.evaluate(DARK) == []
