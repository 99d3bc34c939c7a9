"""Normal forms equal the library's for real text, and take linear time for any text."""

from __future__ import annotations

import ast
import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.common.normal_forms import MAX_MARKS, nfc, nfd, nfkd, stream_safe
from rag_pipeline.ingest.span_tokenizers import EstimatedSpanTokenizer
from rag_pipeline.ingest.terms.analyzer import DEFAULT_ANALYZER
from rag_pipeline.journal.search_text import folded
from rag_pipeline.sources.local_files.unicode_ids import UnicodeIds, normalize_id
from tests.support.linear_time import assert_linear, time_limit
from tests.support.programs import ROOT

# Out of order, so that sorting moves each mark past all of the other kind. The last one decomposes into two.
RUNS = ("\u0301\u0316", "\u0316\u0301", "\u0591\u05bf\u0315", "\u0f73", "\U0001e94a\u0334", "\u0344\u0316")


@given(st.text())
def test_normal_forms_equal_those_of_the_library(text: str) -> None:
    assert nfc(text) == unicodedata.normalize("NFC", text)
    assert nfd(text) == unicodedata.normalize("NFD", text)
    assert nfkd(text) == unicodedata.normalize("NFKD", text)


def test_more_than_30_marks_begin_another_run() -> None:
    marks = "\u0301\u0316" * (MAX_MARKS // 2)
    assert stream_safe(f"a{marks}b") == f"a{marks}b"
    assert stream_safe(f"a{marks}\u0301b") == f"a{marks}\u034f\u0301b"
    assert nfd(f"a{marks}b") == unicodedata.normalize("NFD", f"a{marks}b")
    safe = stream_safe("a" + marks * 5)
    assert safe.count("\u034f") == 4
    assert stream_safe(safe) == safe


def _ids(text: str) -> object:
    forms = UnicodeIds()
    forms.learn([text])
    return forms.assign([text + "x"])


@pytest.mark.slow
@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "normalize",
    [
        nfc,
        nfd,
        nfkd,
        DEFAULT_ANALYZER.index_terms,
        DEFAULT_ANALYZER.query_terms,
        folded,
        normalize_id,
        _ids,
        EstimatedSpanTokenizer().spans,
    ],
)
@pytest.mark.parametrize("run", RUNS, ids=ascii)
def test_a_run_of_marks_takes_linear_time(normalize: Callable[[str], object], run: str) -> None:
    def prepared(size: int) -> Callable[[], object]:
        text = "a" + run * (size // len(run))
        return lambda: normalize(text)

    assert_linear(prepared, (640, 6_400, 64_000), normalize)


def test_the_library_takes_quadratic_time() -> None:
    def prepared(size: int) -> Callable[[], object]:
        text = "a" + RUNS[0] * (size // 2)
        return lambda: unicodedata.normalize("NFD", text)

    with pytest.raises((AssertionError, TimeoutError)), time_limit(20):
        assert_linear(prepared, (640, 6_400, 64_000), "NFD")


@pytest.mark.slow
def test_no_other_module_calls_normalize() -> None:
    for path in (ROOT / "rag_pipeline").rglob("*.py"):
        if path.name == "normal_forms.py":
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        names |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
        assert not names & {"normalize", "is_normalized"}, path
