from __future__ import annotations

import pytest

from rag_pipeline.cli.watch.screen import Screen
from rag_pipeline.client import ConnectionState, UnreachableError
from tests.cli.watch.states import Made, Output, look

TAKE, GIVE_BACK = "\x1b[?1049h", "\x1b[?1049l"


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
    screen.show(look(connection=ConnectionState.CONNECTING), ())
    screen.show(look(made.state), made.events())
    screen.missed("nothing of it")
    screen.show(look(made.state, connection=ConnectionState.RECONNECTING, error=UnreachableError("it is gone")), ())
    screen.end("1 completed")
    return out.text


def test_it_takes_the_terminal_gives_it_back_and_leaves_the_last_picture_in_it() -> None:
    text = shown(Output(terminal=True))
    assert text.startswith(TAKE)
    before, after = text.split(GIVE_BACK)
    assert "● live" in before
    assert "papers" in after
    assert "reconnecting" in after
    assert "1 completed" in after.splitlines()[-1]
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l"), "the cursor is seen again"


def test_a_picture_in_which_nothing_moves_is_not_drawn_anew_at_each_look() -> None:
    made, out = Made(), Output(terminal=True)
    screen = Screen(out, "here")
    screen.begin()
    for _ in range(20):
        screen.show(look(made.state), ())
    still = out.text.count("● live")
    made.pipeline.add_processing_file("a.txt")
    for _ in range(20):
        screen.show(look(made.state), ())
    assert still < 10
    assert out.text.count("● live") >= still + 20
    screen.end(None)


def test_colour_is_left_out_where_it_is_not_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b[1;32m" in shown(Output(terminal=True))
    monkeypatch.setenv("NO_COLOR", "1")
    assert "32m" not in shown(Output(terminal=True))
