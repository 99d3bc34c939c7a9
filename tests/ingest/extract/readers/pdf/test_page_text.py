"""The text of a page: its fragments, its direction, and letters without a Unicode value."""

from __future__ import annotations

import io
from contextlib import closing

import pytest

from rag_pipeline.ingest.extract.readers.pdf.page_text import PageText, read_page_text, turn
from rag_pipeline.ingest.extract.readers.pdf.pdfium import PdfDocument
from tests.ingest.extract.makers import make_pdf, read
from tests.ingest.extract.readers.pdf.makers import Placed, placed, unmapped


def page_text(data: bytes, *, wide_gaps_are_spaces: bool = False) -> PageText:
    """Return the text of the first page."""
    with closing(PdfDocument(io.BytesIO(data), len(data))) as document, document.page(0) as page:
        return read_page_text(page, wide_gaps_are_spaces=wide_gaps_are_spaces)


def test_a_fragment_has_its_place_and_the_size_of_its_font() -> None:
    (fragment,) = page_text(placed([(72, 700, "some words")], size=20)).fragments
    assert (fragment.text, fragment.size, round(fragment.left)) == ("some words", 20.0, 72)
    assert fragment.bottom < 700 < fragment.top
    assert fragment.height < 30


def test_a_wide_gap_separates_fragments() -> None:
    fragments = page_text(placed([(72, 700, "left words"), (300, 700, "right words")])).fragments
    assert [fragment.text for fragment in fragments] == ["left words", "right words"]


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize(("matrix", "turns"), [("1 0 0 1", 0), ("0 1 -1 0", 1), ("-1 0 0 -1", 2), ("0 -1 1 0", 3)])
def test_turned_text_is_read_as_if_the_page_were_turned(matrix: str, turns: int, rotation: int) -> None:
    x, y = {0: (72, 700), 1: (100, 100), 2: (500, 100), 3: (100, 700)}[turns]
    step = {0: (0, -14), 1: (14, 0), 2: (0, 14), 3: (-14, 0)}[turns]
    lines = [(x + step[0] * n, y + step[1] * n, f"line {n} of this turned text") for n in range(4)]
    shown = " ".join(f"{matrix} {a} {b} Tm ({text}) Tj" for a, b, text in lines)
    data = make_pdf(1, content=f"BT /F1 12 Tf {shown} ET".encode())
    text = page_text(data.replace(b"/Type/Page/Parent", b"/Type/Page/Rotate %d/Parent" % rotation))
    assert text.turns == turns
    assert [fragment.text for fragment in text.fragments] == [line for _, _, line in lines]
    tops = [fragment.top for fragment in text.fragments]
    assert tops == sorted(tops, reverse=True)


def test_a_stamp_along_the_margin_is_one_line_and_no_heading() -> None:
    body = "".join(f"1 0 0 1 90 {700 - 14 * n} Tm (Line {n} of the text has some words) Tj " for n in range(9))
    stamp = "BT /F1 20 Tf 0 1 -1 0 30 200 Tm (arXiv:2401.01234v2 [cs.CL] 5 May 2024) Tj ET "
    data = make_pdf(1, content=f"{stamp}BT /F1 11 Tf {body}ET".encode())
    ((locator, text),) = read(data)
    assert locator == "page 1"
    assert text.splitlines()[0].startswith("Line 0")
    assert text.splitlines()[-1] == "arXiv:2401.01234v2 [cs.CL] 5 May 2024"


def test_texts_in_three_directions_are_lines() -> None:
    shown = (
        "1 0 0 1 72 700 Tm (Normal words here and there) Tj 0 1 -1 0 300 300 Tm (Rotated heading words) Tj "
        "0 -1 1 0 400 500 Tm (Words that run downwards) Tj"
    )
    texts = [
        fragment.text for fragment in page_text(make_pdf(1, content=f"BT /F1 12 Tf {shown} ET".encode())).fragments
    ]
    assert sorted(texts) == ["Normal words here and there", "Rotated heading words", "Words that run downwards"]


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_a_page_that_is_displayed_turned_is_read_line_by_line(rotation: int) -> None:
    rows = [("Item", "Qty", "Price"), ("Valve", "3", "12.50"), ("Pump", "4", "99.00")]
    texts: list[Placed] = [(72, 760, "First paragraph line one of the text,"), (72, 744, "and its second line.")]
    texts += [(72 + 100 * n, 700 - 16 * row, cell) for row, cells in enumerate(rows) for n, cell in enumerate(cells)]
    texts += [(72, 640, "Final line.")]
    data = placed(texts).replace(b"/Type/Page/Parent", b"/Type/Page/Rotate %d/Parent" % rotation)
    ((_, text),) = read(data)
    assert text.split("\n") == [texts[0][2], texts[1][2], *map(" ".join, rows), "Final line."]


def test_a_right_to_left_line_on_a_page_of_another_language_is_read_as_it_is_spoken() -> None:
    line = "החזר כספי לוקח עשרה ימים"
    codes = {letter: code for code, letter in enumerate(sorted(set(line) - {" "}), start=0x41)}
    unicode_map = " ".join(f"<00{code:02x}><{ord(letter):04x}>" for letter, code in codes.items())
    shown, right = "", 300.0
    for word in line.split():  # as browsers draw it
        right -= 7.2 * len(word)
        shown += f" 1 0 0 1 {right} 660 Tm <{bytes(codes[letter] for letter in reversed(word)).hex()}> Tj"
        right -= 4
    english = "The office answers all letters within ten days of their arrival"
    text = page_text(
        unmapped(unicode_map.encode(), f"BT /F1 12 Tf 72 700 Td ({english}) Tj /F2 12 Tf{shown} ET".encode())
    )
    assert not text.right_to_left
    assert [fragment.text for fragment in text.fragments] == [english, line]


def test_four_turns_are_none() -> None:
    box = (1.0, 2.0, 30.0, 40.0)
    assert turn(turn(box, 1), 3) == turn(turn(box, 2), 2) == box


def test_a_hyphen_at_a_line_end_is_kept_for_the_joining() -> None:
    fragments = page_text(placed([(72, 700, "well-"), (72, 686, "known")])).fragments
    assert [fragment.text for fragment in fragments] == ["well-", "known"]


def test_a_shadow_is_left_out() -> None:
    texts = [(72, 700, "Annual report"), (74, 699, "Annual report"), (74, 680, "report"), (300, 680, "report")]
    fragments = page_text(placed(texts, size=20)).fragments
    assert [fragment.text for fragment in fragments] == ["Annual report", "report", "report"]


def test_letters_without_a_unicode_value_are_marked() -> None:
    text = page_text(unmapped(b"", b"\x01\x02\x03\x04"))
    assert (text.letters, text.undecoded) == (4, 4)
    assert text.fragments[0].text == "\ufffd" * 4


def test_codes_that_are_letters_are_believed() -> None:
    text = page_text(unmapped(b"", b"Checklist of services"))
    assert (text.undecoded, [fragment.text for fragment in text.fragments]) == (0, ["Checklist", "of", "services"])


@pytest.mark.parametrize(
    "codes", [b"five o\x1eces were\x1f miscon\x1cgured", b"five o\x0eces were\x0f miscon\x0cgured"]
)
def test_ligatures_of_tex_are_letters(codes: bytes) -> None:
    text = page_text(unmapped(b"", codes))
    words = [fragment.text for fragment in text.fragments]
    assert (text.undecoded, " ".join(words)) == (0, "five o\ufb03ces were\ufb04 miscon\ufb01gured")


@pytest.mark.parametrize(
    ("codes", "text"),
    [
        (
            b"Gr\xf6\xffe, \xc9tat, na\xefve, \x83esk\xfd, \x8a\xf3d\xb9 and Stra\xffe, o\x1ece",
            "Größe, État, naïve, Český, Łódź and Straße, o\ufb03ce",
        ),
        (b"Stra\xdfe and Gr\xf6\xdfe, na\xefve \xc9tat", "Straße and Größe, naïve État"),
    ],
)
def test_accented_letters_of_tex_are_those_of_its_encoding(codes: bytes, text: str) -> None:
    words = [fragment.text for fragment in page_text(unmapped(b"", codes)).fragments]
    assert " ".join(words) == text


def test_a_page_without_text_has_no_fragments() -> None:
    assert page_text(make_pdf(1, content=b"0 0 m 9 9 l S")) == PageText([], 0, 0, 0, False)


def test_spaces_that_were_guessed_within_words_of_ocr_are_removed() -> None:
    # The last letter of each word stands further right than the font says; the words bring spaces of their own.
    words = "".join(
        f"({word[:-1]}) Tj {6 * len(word) + 3} 0 Td ({word[-1]} ) Tj 14 0 Td " for word in ("Harbour", "Bay")
    )
    lines = " ".join(f"1 0 0 1 72 {700 - 14 * number} Tm {words}" for number in range(12))
    fragments = page_text(make_pdf(1, content=f"BT /F1 12 Tf {lines} ET".encode())).fragments
    assert fragments[0].text == "Harbour Bay"


def test_character_spacing_in_place_of_a_space_separates_words() -> None:
    data = make_pdf(
        1,
        content=b"BT /F1 12 Tf 72 700 Td (fiv)Tj 3.5 Tc (ew)Tj 0 Tc 30.84 0 Td (as)Tj "
        b"-30.84 -20 Td 3.5 Tc (SPACED)Tj ET",
    )
    assert [fragment.text for fragment in page_text(data, wide_gaps_are_spaces=True).fragments] == [
        "five was",
        "SPACED",
    ]
    assert page_text(data).fragments[0].text == "fivewas"
