"""RTF documents."""

from __future__ import annotations

import pytest

from rag_pipeline.ingest.extract.read_options import ReadOptions
from tests.ingest.extract.makers import read, read_metadata, read_text, warnings

FONTS = rb"{\fonttbl{\f0\fcharset0 Arial;}{\f1\fcharset204 Arial Cyr;}{\f2\fnil\fcharset2 Symbol;}{\f3 Arial CE;}}"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (rb"a\b b\b0  c\par d", "ab c\nd"),
        (rb"\'e9\'80", "é€"),
        (rb"\ansicpg1251 \'cf\'f0\'e8", "При"),
        (rb"\u8364 ?x\uc0\u233 y\uc2\u233 zzw", "€xéyéw"),
        (rb"\u-10179?\u-8704?", "😀"),
        (rb"{\fonttbl Times;}{\*\unknown gone}{\stylesheet Normal;}kept", "kept"),
        (rb"{\pict\bin4 }}}}}after", "after"),
        (rb"\{\}\\\~\emdash x", "{}\\ —x"),
        (b"one\r\n two", "one two"),
        (FONTS + rb"\f0 Name: \f1 \'cc\'ee\'f1\'ea\'e2\'e0\f0 \'e9", "Name: Москваé"),
        (FONTS + rb"{\f1 \'cc}\f3\'a3{\plain x}\f2 a\u61623 ?", "МŁxα•"),
        (rb"{\f9 \'e9}", "é"),
        (rb"Rate 4{\footnote\pard Since May.} percent.\par Next", "Rate 4 percent.\nFootnote: Since May.\nNext"),
        (rb"Body{\shp{\*\shpinst{\sp{\sn x}{\sv 7}}{\shptxt box\par}}{\shprslt box}}\par", "Body\nbox"),
        (rb"{\field{\*\fldinst HYPERLINK x}{\fldrslt link}} {\object{\*\objdata 00}{\result result}}", "link result"),
        (rb"{\upr{old}{\*\ud{new}}}", "new"),
        (rb"{\listtext 1.\tab}Open\par", "1.\tOpen"),
        (rb"\trowd\cellx9\cellx99\intbl a\par b\cell c\cell\row\pard after", "a b | c\n\nafter"),
        (rb"\mac\'8e", "é"),
    ],
)
def test_text_is_read(body: bytes, text: str) -> None:
    assert read_text(rb"{\rtf1\ansi " + body + b"}").strip() == text


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (rb"{\rtf1 words", "words"),
        (rb"{\rtf1 words\par {\b bold", "words\nbold"),
        (rb"{\rtf1 words}} rest}", "words"),
        (rb"{\rtf1 a{\footnote note", "a\nFootnote: note"),
        (b"{\\rtf1 words}\x00\x00", "words"),
    ],
)
def test_missing_and_surplus_braces_do_no_harm(data: bytes, text: str) -> None:
    assert read_text(data) == text


def test_deleted_and_hidden_text_is_left_out_or_marked() -> None:
    data = rb"{\rtf1 {\deleted thirty}forty{\v  secret}\v x\v0  shown\par{\deleted\par}}"
    assert read_text(data) == "forty shown"
    assert warnings(data) == ["hidden words are left out"]
    assert read_text(data, options=ReadOptions(hidden=True)).startswith("[deleted: thirty]forty[hidden:  secret]")


def test_comments_have_authors_unless_left_out() -> None:
    data = rb"{\rtf1 Text{\*\atnid A}{\*\atnauthor Ann}\chatn{\*\annotation\pard Sure?} more.\par}"
    assert read_text(data) == "Text more.\nComment by Ann: Sure?"
    assert read_text(data, options=ReadOptions(comments=False)) == "Text more."


def test_headings_margins_and_metadata() -> None:
    data = (
        rb"{\rtf1{\stylesheet{\s1\outlinelevel0 Titre 1;}{\s2 Normal;}}{\info{\title Rules}{\author Ann}{\operator B}}"
        rb"{\header ACME\par}{\footerl ACME}\pard\s1 One\par\pard\s2 text\par\pard\outlinelevel1 Two\par\pard more\par}"
    )
    assert read(data) == [("One", "One\ntext"), ("One › Two", "Two\nmore"), ("headers and footers", "ACME")]
    assert read_metadata(data) == {"title": "Rules", "author": "Ann"}
