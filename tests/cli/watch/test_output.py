from __future__ import annotations

import pytest

from rag_pipeline.cli.watch.output import write_line
from tests.cli.watch.states import Output


@pytest.mark.parametrize(("encoding", "line"), [("utf-8", "Übung ✓\n"), ("ascii", "\\xdcbung \\u2713\n")])
def test_characters_that_the_encoding_lacks_are_escaped(encoding: str, line: str) -> None:
    out = Output(encoding)
    write_line(out, "Übung ✓")
    assert out.text == line
