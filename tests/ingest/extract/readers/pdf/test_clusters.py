"""Clusters whose parts are drawn apart, with their letters as ActualText."""

from __future__ import annotations

from rag_pipeline.ingest.extract.readers.pdf.clusters import has_signs
from tests.ingest.extract.makers import make_pdf, read_text


def page(*parts: tuple[str, float, str]) -> bytes:
    """Return a page with parts of clusters: their letters, the place, and what is drawn; "" goes on a cluster."""
    content = ""
    for letters, x, drawn in parts:
        if letters:
            content += f"EMC /Span<</ActualText<FEFF{letters.encode('utf-16-be').hex()}>>>BDC "
        content += f"1 0 0 1 {x} 700 Tm ({drawn})Tj "
    return make_pdf(1, content=f"BT /F1 12 Tf /Span BMC {content} EMC ET".encode())


def test_a_later_part_of_a_cluster_leaves_no_space() -> None:
    assert (
        read_text(page(("\u0915\u093e", 72, "A"), ("", 80, "I"), ("\u0932", 82, "L"))).strip() == "\u0915\u093e\u0932"
    )


def test_a_space_between_words_stays() -> None:
    text = read_text(page(("\u0915\u093e", 72, "A"), ("", 80, "I"), ("\u0932", 89, "L")))
    assert text.strip() == "\u0915\u093e \u0932"


def test_a_cluster_whose_part_is_met_later_is_not_repeated() -> None:
    text = read_text(page(("\u0e2b\u0e49", 72, "A"), ("", 81, "."), ("\u0e2d", 79.9, "B")))
    assert text.strip() == "\u0e2b\u0e49\u0e2d"


def test_signs() -> None:
    assert has_signs("a\u0915")
    assert not has_signs("Größe")
