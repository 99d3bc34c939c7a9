"""The pure modules of the dashboard, each run alone in the browser."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser

from rag_pipeline import start_status_server
from tests.dashboard.browser import Window, window

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def still(browser: Browser) -> Iterator[Window]:
    """One window for all tests: none changes the page."""
    with start_status_server(0, pipelines=[]) as server, window(browser) as opened:
        yield opened.visit(server.http_port)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        ("m.span(0.9)", "0 s"),
        ("m.span(59.99)", "59 s"),
        ("m.span(200)", "3 min 20 s"),
        ("m.span(3600)", "1 h"),
        ("m.span(7500)", "2 h 5 min"),
        ("m.span(86400 * 3 + 3600 * 4 + 59)", "3 d 4 h"),
        ("m.span(-5)", "0 s"),
        ("m.ago(3)", "3 s ago"),
        ("m.ago(119)", "1 min ago"),
        ("m.ago(86400)", "1 d ago"),
        ("m.duration(0.139)", "139 ms"),
        ("m.duration(1.26)", "1.3 s"),
        ("m.duration(75)", "1 min 15 s"),
        ("m.bytes(0)", "0 B"),
        ("m.bytes(48213)", "48 kB"),
        ("m.bytes(3100000)", "3.1 MB"),
        ("m.bytes(999999)", "1.0 MB"),
        ("m.bytes(null)", "–"),
        ("m.percent(0.999)", "99%"),
        ("m.percent(1)", "100%"),
        ("m.percent(null)", ""),
        ("m.words('waiting_for_quota')", "Waiting for quota"),
        ("m.toneOf('error')", "bad"),
        ("m.toneOf('their own')", "neutral"),
        ("m.toneOf('constructor')", "neutral"),
        ("m.count(1234567)", "1,234,567"),
        ("m.rate(0.25)", "0.3"),
        ("m.number(12345.67891)", "12,345.6789"),
        ("m.share(0.0015)", "0.15%"),
    ],
)
def test_numbers_and_times_read_well(still: Window, call: str, text: str) -> None:
    assert still.run("format.js", f"return {call}") == text


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("http://box.test:8003/", "http://box.test:8004"),
        ("http://[::1]:8003/", "http://[::1]:8004"),
        ("https://box.test:8003/", "https://box.test:8003"),
        ("https://status.example.com/", "https://status.example.com"),
        ("http://127.0.0.1:9999/", "http://127.0.0.1:9999"),
    ],
)
def test_socket_io_is_on_the_other_port_or_behind_the_same_proxy(still: Window, address: str, found: str) -> None:
    assert still.run("socket-url.js", "return m.socketUrl(new URL(given), 8003, 8004)", address) == found


@pytest.mark.parametrize("link", ["javascript:alert(1)", "data:text/html,x", "file:///etc/passwd", "no link", "", None])
def test_only_web_links_can_be_followed(still: Window, link: str | None) -> None:
    assert still.run("dom.js", "return m.webLink(given)", link) is None
    assert still.run("dom.js", "return m.webLink('https://a.test/b')") == "https://a.test/b"


def recorded(still: Window, *totals: tuple[int, float]) -> list[float]:
    """Return the last six buckets after these totals, each with its second."""
    body = "const d = new m.DoneCounts(); for (const [n, at] of given) d.record(n, at); return d.perMinute().slice(-6)"
    found: list[float] = still.run("done-counts.js", body, totals)
    return found


def test_ended_files_are_counted_in_their_bucket(still: Window) -> None:
    assert recorded(still, (100, 0), (101, 1), (104, 9), (104, 10), (106, 11)) == [0, 0, 0, 0, 24, 12]


def test_files_that_ended_in_a_gap_are_spread_over_it(still: Window) -> None:
    assert recorded(still, (0, 5), (8, 36)) == [0, 0, 12, 12, 12, 12]


def test_a_total_that_starts_over_subtracts_nothing(still: Window) -> None:
    assert recorded(still, (50, 0), (52, 1), (1, 2), (2, 3)) == [0, 0, 0, 0, 0, 18]


def test_a_long_gap_empties_the_buckets(still: Window) -> None:
    assert recorded(still, (0, 0), (9, 1), *((9, at) for at in range(2, 400, 9))) == [0] * 6


def clock(still: Window, body: str) -> Any:
    return still.run(
        "service-clock.js", f"const c = new m.ServiceClock(); const iso = (ms) => new Date(ms).toISOString(); {body}"
    )


def test_a_page_is_behind_by_the_delay_of_its_events(still: Window) -> None:
    assert clock(still, "c.heard(iso(1000), 1050); c.heard(iso(2000), 9000); return c.behindSeconds(9000)") == 6
    assert clock(still, "c.heard(iso(1000), 1050); c.heard(iso(2000), 3000); return c.behindSeconds(3000)") == 0


def test_after_a_quiet_time_a_page_is_not_behind(still: Window) -> None:
    assert clock(still, "c.heard(iso(0), 0); c.heard(iso(0), 9000); return c.behindSeconds(20000)") == 0


def test_a_wrong_local_clock_is_corrected(still: Window) -> None:
    assert clock(still, "c.heard(iso(0), 3600_000); return [c.now(3600_000), c.behindSeconds(3600_000)]") == [0, 0]
    assert clock(still, "c.heard(iso(0), 500); return c.now(500)") == 500
    assert clock(still, "c.heard(iso(0), 3600_000); c.reset(); c.heard('never', 1); return c.now(7)") == 7


def test_rows_keep_their_nodes_while_records_move(still: Window) -> None:
    body = """
      const parent = document.createElement("ul");
      const list = new m.KeyedList(parent, () => ({
        node: document.createElement("li"),
        updates: 0,
        update(item) { this.node.textContent = item.k + ++this.updates; },
      }));
      const [a, b, c] = ["a", "b", "c"].map((k) => ({ k }));
      const key = (item) => item.k;
      list.update([a, b, c], key);
      const node = parent.children[1];
      list.update([{ k: "b" }, a, { k: "d" }, a], key);
      return [[...parent.children].map((li) => li.textContent), parent.children[0] === node];
    """
    assert still.run("keyed-list.js", body) == [["b2", "a1", "d1", "a1"], True]


def test_a_file_of_an_older_process_has_no_verdict(still: Window) -> None:
    assert still.run("verdict.js", "return [m.warningText({}), m.qualityFacts({}).length]") == ["", 0]
