"""Lines for people, in any encoding, and to nobody."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

import pytest

from rag_pipeline.sources.runner.output import Output
from tests.sources.runner.test_terminal import Screen


@pytest.mark.parametrize(("encoding", "line"), [("utf-8", "café ✓\n"), ("ascii", "caf\\xe9 \\u2713\n")])
def test_lines_are_in_the_encoding_of_the_output(encoding: str, line: str) -> None:
    screen = Screen(encoding)
    output = Output(screen)
    output.print("café ✓")
    assert screen.text == line
    assert output.knows_unicode is (encoding == "utf-8")


def test_where_stdout_was_closed_nothing_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    Output().print("to nobody")


def test_an_output_that_can_not_be_written_is_told_once_and_is_no_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stream:
        output = Output(stream, "papers")
        drawn: list[str] = []
        with caplog.at_level(logging.WARNING):
            output.print("to nobody")
            output.print("again")
            output.attempt(drawn.append, "nothing")
    (record,) = caplog.records
    assert record.getMessage() == "the output can't be written (Broken pipe): the pipeline goes on without it"
    assert record.__dict__["pipeline_id"] == "papers"
    assert drawn == []
