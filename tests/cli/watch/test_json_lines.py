from __future__ import annotations

import json

import pytest

from rag_pipeline.cli.watch.json_lines import JsonLines
from rag_pipeline.client import ConnectionState, UnreachableError
from tests.cli.watch.states import Made, Output, frame


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_every_event_is_one_line_of_json(encoding: str, capsys: pytest.CaptureFixture[str]) -> None:
    made, out = Made(), Output(encoding)
    made.work()
    made.pipeline.complete_file("Übung\n✓.md")
    output = JsonLines(out)
    output.begin()
    output.show(frame(made.state), made.events())
    output.show(frame(made.state), ())
    output.show(frame(connection=ConnectionState.RECONNECTING, error=UnreachableError("it is gone")), ())
    output.show(frame(connection=ConnectionState.RECONNECTING, notice="no such pipeline"), ())
    output.show(frame(connection=ConnectionState.RECONNECTING, notice="no such pipeline"), ())
    output.missed("over 10 events")
    output.end("1 completed")
    parsed = [json.loads(line) for line in out.text.splitlines()]
    assert parsed == [{"event": name, "data": data} for name, data in made.events()]
    assert capsys.readouterr().err.splitlines() == [
        "rag-pipeline watch: live",
        "rag-pipeline watch: reconnecting: it is gone",
        "rag-pipeline watch: no such pipeline",
        "rag-pipeline watch: over 10 events",
        "rag-pipeline watch: 1 completed",
    ]
