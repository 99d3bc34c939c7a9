from __future__ import annotations

import pytest

from rag_pipeline.cli.watch.view import write_line
from tests.cli.watch.states import Output


@pytest.mark.parametrize(("encoding", "line"), [("utf-8", "Übung ✓\n"), ("ascii", "\\xdcbung \\u2713\n")])
def test_what_an_encoding_does_not_have_is_written_as_an_escape(encoding: str, line: str) -> None:
    out = Output(encoding)
    write_line(out, "Übung ✓")
    assert out.text == line
