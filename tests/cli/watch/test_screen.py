from __future__ import annotations

import pytest

from rag_pipeline.cli.watch.screen import Screen
from rag_pipeline.client import ConnectionState, UnreachableError
from tests.cli.watch.states import Made, Output, frame

ENTER, LEAVE = "\x1b[?1049h", "\x1b[?1049l"


@pytest.fixture(autouse=True)
def size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "70")
    monkeypatch.setenv("LINES", "20")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)


def shown(out: Output) -> str:
    made = Made()
    made.work()
    screen = Screen(out, "here")
    screen.begin()
    screen.show(frame(connection=ConnectionState.CONNECTING), ())
    screen.show(frame(made.state), made.events())
    screen.missed("nothing of it")
    screen.show(frame(made.state, connection=ConnectionState.RECONNECTING, error=UnreachableError("it is gone")), ())
    screen.end("1 completed")
    return out.text


def test_the_alternate_screen_is_left_with_the_last_frame_printed() -> None:
    text = shown(Output(terminal=True))
    assert text.startswith(ENTER)
    before, after = text.split(LEAVE)
    assert "● live" in before
    assert "papers" in after
    assert "reconnecting" in after
    assert "1 completed" in after.splitlines()[-1]
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l"), "the cursor is visible again"


def test_an_unchanged_frame_is_not_redrawn_each_time() -> None:
    made, out = Made(), Output(terminal=True)
    screen = Screen(out, "here")
    screen.begin()
    for _ in range(20):
        screen.show(frame(made.state), ())
    still = out.text.count("● live")
    made.pipeline.add_processing_file("a.txt")
    for _ in range(20):
        screen.show(frame(made.state), ())
    assert still < 10
    assert out.text.count("● live") >= still + 20
    screen.end(None)


def test_no_color_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b[1;32m" in shown(Output(terminal=True))
    monkeypatch.setenv("NO_COLOR", "1")
    assert "32m" not in shown(Output(terminal=True))
