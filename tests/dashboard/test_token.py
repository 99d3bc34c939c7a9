"""The page asks for a required token, keeps it for its tab only, and explains a refusal."""

from __future__ import annotations

import importlib.util
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from rag_pipeline import PipelineStatus, StatusServer, start_status_server
from tests.dashboard.browser import Window, window

pytestmark = pytest.mark.slow

TOKEN = "an-access-token-of-the-tests"
SECRET = "a secret of the tests that is long enough"
needs_jwt = pytest.mark.skipif(importlib.util.find_spec("jwt") is None, reason='PyJWT is missing: pip install ".[jwt]"')


def token(**claims: Any) -> str:
    """Return a signed token with these claims."""
    import jwt

    return jwt.encode({"exp": time.time() + 600, **claims}, SECRET, "HS256")


@pytest.fixture
def guarded(pipeline: PipelineStatus, monkeypatch: pytest.MonkeyPatch) -> Iterator[StatusServer]:
    monkeypatch.setenv("STATUS_AUTH_TOKEN", TOKEN)
    with start_status_server(0, pipelines=[pipeline]) as server:
        pipeline.skip_file("secret plans.txt", "empty")
        yield server


@pytest.fixture
def signed(pipeline: PipelineStatus, monkeypatch: pytest.MonkeyPatch) -> Iterator[StatusServer]:
    monkeypatch.setenv("STATUS_JWT_SECRET", SECRET)
    with start_status_server(0, pipelines=[pipeline]) as server:
        pipeline.skip_file("secret plans.txt", "empty")
        yield server


def give(page: Page, text: str) -> None:
    page.get_by_label("Access token").fill(text)
    page.get_by_label("Access token").press("Enter")


def kept(opened: Window) -> Any:
    """Return the tab's storage; nothing may outlive the tab."""
    assert opened.page.evaluate("[localStorage.length, document.cookie]") == [0, ""]
    found = opened.page.evaluate("sessionStorage.getItem('rag-pipeline')")
    return None if found is None else json.loads(found)


def test_without_a_token_the_page_shows_only_the_form(browser: Browser, guarded: StatusServer) -> None:
    with window(browser) as opened:
        page = opened.visit(guarded.http_port).page
        expect(page.get_by_role("heading", name="This service asks for a token")).to_be_visible()
        expect(page.get_by_label("Access token")).to_be_focused()
        expect(page.get_by_role("alert")).to_be_hidden()
        expect(page.locator("#connection-word")).to_have_text("Not admitted")
        expect(page.locator("#history")).to_be_hidden()
        assert "secret plans" not in page.content()


def test_with_the_token_the_page_is_live_also_after_a_reload(browser: Browser, guarded: StatusServer) -> None:
    with window(browser) as opened:
        page = opened.visit(guarded.http_port).page
        give(page, f" {TOKEN} ")
        expect(page.locator("#connection-word")).to_have_text("Live")
        expect(page.locator("#token-section")).to_be_hidden()
        expect(page.locator("#history-rows")).to_contain_text("secret plans.txt")
        page.reload()
        expect(page.locator("#connection-word")).to_have_text("Live")
        expect(page.locator("#history-rows")).to_contain_text("secret plans.txt")
        assert kept(opened) == {"token": TOKEN, "namespace": "/pipeline"}


def test_another_tab_does_not_have_the_token(browser: Browser, guarded: StatusServer) -> None:
    with window(browser) as opened:
        give(opened.visit(guarded.http_port).page, TOKEN)
        expect(opened.page.locator("#connection-word")).to_have_text("Live")
        other = opened.page.context.new_page()
        other.goto(opened.page.url)
        expect(other.get_by_label("Access token")).to_be_visible()


def test_the_token_can_be_forgotten(browser: Browser, guarded: StatusServer) -> None:
    with window(browser) as opened:
        page = opened.visit(guarded.http_port).page
        expect(page.get_by_role("button", name="Forget the token")).to_be_hidden()
        give(page, TOKEN)
        expect(page.locator("#history-rows")).to_contain_text("secret plans.txt")
        page.get_by_role("button", name="Forget the token").click()
        expect(page.get_by_label("Access token")).to_be_visible()
        expect(page.get_by_label("Access token")).to_have_value("")
        assert "secret plans" not in page.content()
        assert kept(opened) is None


def test_a_wrong_token_is_explained_and_can_be_corrected(browser: Browser, guarded: StatusServer) -> None:
    with window(browser) as opened:
        page = opened.visit(guarded.http_port).page
        give(page, "no-such-token-at-all")
        expect(page.get_by_role("alert")).to_contain_text("not valid here")
        expect(page.get_by_label("Access token")).to_have_attribute("aria-invalid", "true")
        attempts = len(opened.sockets)
        give(page, TOKEN)
        expect(page.locator("#connection-word")).to_have_text("Live")
        assert len(opened.sockets) == attempts + 1  # no retries in between


@needs_jwt
def test_an_expired_token_is_explained(browser: Browser, signed: StatusServer) -> None:
    with window(browser) as opened:
        page = opened.visit(signed.http_port).page
        give(page, token(exp=time.time() - 60))
        expect(page.get_by_role("alert")).to_contain_text("has expired")


@needs_jwt
def test_when_the_token_expires_the_page_shows_nothing_any_more(browser: Browser, signed: StatusServer) -> None:
    with window(browser) as opened:
        page = opened.visit(signed.http_port).page
        give(page, token(exp=time.time() + 10))
        expect(page.locator("#history-rows")).to_contain_text("secret plans.txt")
        expect(page.get_by_role("alert")).to_contain_text("has expired")
        assert "secret plans" not in page.content()


@needs_jwt
def test_a_limited_token_shows_its_pipelines(browser: Browser, signed: StatusServer) -> None:
    with window(browser) as opened:
        page = opened.visit(signed.http_port).page
        give(page, token(namespaces=["local_files"]))
        expect(page.get_by_role("alert")).to_contain_text("not for these pipelines")
        page.get_by_label("Pipelines to show").select_option("Only local_files")
        page.get_by_role("button", name="Connect").click()
        expect(page.locator(".card h2")).to_have_text("papers")
        expect(page.locator("#history-rows")).to_contain_text("secret plans.txt")
