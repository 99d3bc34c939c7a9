"""Under a flood the page stays smooth, and correct in the end. ``pytest -s`` shows the figures."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from playwright.sync_api import expect

from rag_pipeline import PipelineStatus, StatusServer
from tests.dashboard.browser import Window
from tests.support.http_get import get_json

pytestmark = pytest.mark.slow

EVENTS_PER_SECOND = 500
SECONDS = 4
PACE_SECONDS = 0.02

# Counted by the browser: tasks of more than 50 ms, and drawn frames.
WATCH = """() => {
  window.seen = { longTasks: [], frames: 0, slowest: 0, began: performance.now() };
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) window.seen.longTasks.push(Math.round(entry.duration));
  }).observe({ type: "longtask" });
  let last = performance.now();
  const frame = (now) => {
    window.seen.frames += 1;
    window.seen.slowest = Math.max(window.seen.slowest, now - last);
    last = now;
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
}"""
SEEN = "() => ({ ...window.seen, seconds: (performance.now() - window.seen.began) / 1000 })"


def flood(pipeline: PipelineStatus, done: threading.Event) -> None:
    """Start, stage and end files at the rate, three or four events for each."""
    began, told, number = time.monotonic(), 0, 0
    pause = threading.Event()
    while told < EVENTS_PER_SECOND * SECONDS:
        while told < (time.monotonic() - began) * EVENTS_PER_SECOND:
            name = f"file {number:05}.pdf"
            pipeline.add_processing_file(name, str(number), size=48_213)
            pipeline.file_progress(name, "embedding", 0.5, file_id=str(number))
            old = number - 60
            if old >= 0:
                pipeline.complete_file(
                    f"file {old:05}.pdf", old % 10 > 0, file_id=str(old), error=None if old % 10 else "no"
                )
            number, told = number + 1, told + 3
        pause.wait(PACE_SECONDS)
    done.set()


def test_five_hundred_events_a_second_leave_the_page_smooth_and_correct(
    desk: Window, server: StatusServer, pipeline: PipelineStatus
) -> None:
    page = desk.page
    pipeline.update(status="running")
    expect(page.locator("#connection-word")).to_have_text("Live")
    page.evaluate(WATCH)
    done = threading.Event()
    thread = threading.Thread(target=flood, args=(pipeline, done), daemon=True)
    thread.start()
    # The page stays usable: each press has an effect.
    while not done.is_set():
        page.locator("#history summary").first.click()
    thread.join()
    seen: dict[str, Any] = page.evaluate(SEEN)
    state = get_json(server.http_port, "/status").body
    expect(page.locator(".in-flight h3 .chip")).to_have_text(str(state["files_in_flight"]))
    figures = page.locator(".figures")
    expect(figures).to_contain_text(f"Completed{state['total_processed']:,}")
    expect(figures).to_contain_text(f"Failed{state['total_failed']:,}")
    completed = page.locator(".done section").nth(1).locator(".file-name")
    expect(completed).to_have_text([file["name"] for file in reversed(state["files_completed"])])
    print(
        f"\n{state['seq'] / seen['seconds']:.0f} events/s for {seen['seconds']:.1f} s: "
        f"{seen['frames'] / seen['seconds']:.0f} frames/s, the slowest {seen['slowest']:.0f} ms; "
        f"{len(seen['longTasks'])} tasks over 50 ms, the longest {max(seen['longTasks'], default=0)} ms"
    )
    # Not a strict figure, because the machine is shared; a page that rendered each event would draw almost none.
    assert seen["frames"] > 0
