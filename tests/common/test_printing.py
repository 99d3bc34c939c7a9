"""Printed lines stay single lines, whatever they contain."""

from __future__ import annotations

import ast
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.common.exit import run_command
from rag_pipeline.common.printing import printable, say, say_lines
from rag_pipeline.errors import ServiceError
from tests.support.programs import ROOT


def test_control_characters_and_direction_marks_become_escapes() -> None:
    assert printable("a\x1b[2Jb\nc\udce9\u2028\u202e\x9b") == "a\\x1b[2Jb\\nc\\udce9\\u2028\\u202e\\x9b"
    assert printable("Büro 日本") == "Büro 日本"


@given(st.text(st.characters(codec=None)), st.sampled_from(["utf-8", "ascii", "cp1252"]))
def test_any_text_is_one_line_in_any_encoding(text: str, encoding: str) -> None:
    written = io.BytesIO()
    out = io.TextIOWrapper(written, encoding)
    say(text, out)
    line = written.getvalue().decode(encoding)
    assert line[-1] == "\n"
    assert line[:-1].isprintable()


def test_several_lines_are_printed_one_by_one() -> None:
    out = io.StringIO()
    say_lines("a\x1b\n\nb", out)
    assert out.getvalue() == "a\\x1b\n\nb\n"


def test_nothing_is_printed_without_stdout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", None)
    say("x")


def test_the_final_error_of_a_command_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> int:
        raise ServiceError("a\x1b]0;title\x07\nb\u202e")

    assert run_command("p", fail) == ServiceError.exit_code
    assert capsys.readouterr().err == "p: error: a\\x1b]0;title\\x07 b\\u202e\n"


@pytest.mark.slow
def test_no_other_module_prints_but_json() -> None:
    for path in (ROOT / "rag_pipeline").rglob("*.py"):
        if path.name == "printing.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
                assert ast.unparse(node.args[0]).startswith("json.dumps("), f"{path}:{node.lineno}"
