from __future__ import annotations

import re

from rag_pipeline.cli.watch.plain_lines import PlainLines
from rag_pipeline.client import ConnectionState, UnreachableError
from tests.cli.watch.states import Made, Output, frame


def test_each_important_event_is_a_line_of_five_columns() -> None:
    made, out = Made(), Output()
    made.work()
    output = PlainLines(out)
    output.begin()
    output.show(frame(made.state), made.events())
    assert {len(row) for row in out.rows} == {5}
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+\+00:00", row[0]) for row in out.rows)
    assert [row[1:] for row in out.rows] == [
        ["-", "connection", "live", ""],
        ["papers", "status", "initializing", "0 done, 0 failed, 0 skipped"],
        ["papers", "status", "processing", "0 done, 0 failed, 0 skipped, 7 waiting"],
        ["papers", "completed", "good.md", "0.0 s"],
        ["papers", "failed", "bad\\x1b[2J.docx", "extracting: ValueError: it is cut off badly"],
        ["papers", "skipped", "movie.mp4", "no reader for video/mp4"],
        ["papers", "deleted", "old.md", ""],
    ]
    assert "\x1b" not in out.text


def test_a_status_is_a_line_only_when_it_has_changed() -> None:
    made, out = Made(), Output()
    output = PlainLines(out)
    made.pipeline.update(status="idle", own={"note": 1})
    output.show(frame(made.state), made.events()[-1:])
    made.pipeline.update(own={"note": 2})
    output.show(frame(made.state), made.events()[-1:])
    made.pipeline.update(status="error", own={"message": "the folder\nis gone"})
    output.show(frame(made.state), made.events()[-1:])
    assert [row[2:] for row in out.rows[1:]] == [
        ["status", "idle", "0 done, 0 failed, 0 skipped"],
        ["status", "error", "0 done, 0 failed, 0 skipped: the folder is gone"],
    ]


def test_a_break_is_a_line_between_the_events_before_and_after() -> None:
    made, out = Made(), Output()
    output = PlainLines(out)
    output.show(frame(connection=ConnectionState.CONNECTING), ())
    assert out.text == ""
    output.show(frame(connection=ConnectionState.CONNECTING, error=UnreachableError("no connection")), ())
    output.show(frame(made.state), ())
    made.pipeline.complete_file("before")
    output.show(
        frame(connection=ConnectionState.RECONNECTING, error=UnreachableError("it is gone")), made.events()[-2:]
    )
    output.show(frame(connection=ConnectionState.RECONNECTING, error=UnreachableError("it is gone")), ())
    made.pipeline.complete_file("after")
    output.show(frame(made.state), made.events()[-1:])
    output.missed("over 10 events")
    assert [row[2:4] for row in out.rows if row[2] != "status"] == [
        ["connection", "connecting"],
        ["connection", "live"],
        ["completed", "before"],
        ["connection", "reconnecting"],
        ["connection", "live"],
        ["completed", "after"],
        ["connection", "behind"],
    ]


def test_the_summary_is_the_last_line() -> None:
    out = Output()
    output = PlainLines(out)
    output.end(None)
    assert out.text == ""
    output.end("1 completed")
    assert out.rows[-1][1:] == ["-", "done", "-", "1 completed"]
