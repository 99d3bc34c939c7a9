from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

import pytest

from rag_pipeline.sources.runner.terminal_output import TerminalOutput
from tests.sources.runner.test_terminal import Screen


@pytest.mark.parametrize(("encoding", "line"), [("utf-8", "café ✓\n"), ("ascii", "caf\\xe9 \\u2713\n")])
def test_lines_are_printed_in_the_outputs_encoding(encoding: str, line: str) -> None:
    screen = Screen(encoding)
    output = TerminalOutput(screen)
    output.print("café ✓")
    assert screen.text == line
    assert output.knows_unicode is (encoding == "utf-8")


def test_a_closed_stdout_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    TerminalOutput().print("to nobody")


def test_an_output_that_cannot_be_written_is_logged_once_and_is_no_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stream:
        output = TerminalOutput(stream, "papers")
        drawn: list[str] = []
        with caplog.at_level(logging.WARNING):
            output.print("to nobody")
            output.print("again")
            output.attempt(drawn.append, "nothing")
    (record,) = caplog.records
    assert record.getMessage() == "the output can't be written (Broken pipe): the pipeline goes on without it"
    assert record.__dict__["pipeline_id"] == "papers"
    assert drawn == []
