"""XML of any vocabulary."""

from __future__ import annotations

import pytest

from rag_pipeline.errors import ExtractionLimitError
from tests.ingest.extract.makers import read, warnings


def test_text_and_prose_attributes_are_read() -> None:
    data = b'<?xml version="1.0"?><a id="x1" title="Two words" href="http://a b"><b>one</b>\n <c>two</c></a>'
    assert read(data) == [("", "title: Two words\none\ntwo")]


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<p>H<sub>2</sub>O costs <b>five</b>fold</p>", "H2O costs fivefold"),
        ("<p><b>five</b>fold and\n   more</p>", "fivefold and\nmore"),
        ("<r><a>1</a><b>2</b> <c>3</c>\n<d>4</d></r>", "1\n2 3\n4"),
        ('<r><i name="Valve" price="5"/><i name="Pump"><n v="4"/></i></r>', "name: Valve | price: 5\nname: Pump\nv: 4"),
        ('<c type="xhtml" x:lang="de" xmlns="urn:b"><x:p>Unbound</x:p></c>', "Unbound"),
        ("<r>caf&eacute;&nbsp;A & B &bogus; &#0; x</r>", "café A & B &bogus; \ufffd x"),
        ("<!DOCTYPE r [<!ENTITY me 'Meyer'>]><r>&me; &eacute;</r>", "Meyer é"),
        ("<d><![CDATA[<p>Big <b>sale</b> on <a href='x'>Friday</a></p>]]></d>", "Big sale on Friday"),
        ("<d>&lt;p&gt;Big &lt;b&gt;sale&lt;/b&gt;&lt;/p&gt;</d>", "Big sale"),
        ("<d><![CDATA[AT&T x < y]]></d>", "AT&T x < y"),
    ],
)
def test_text_is_joined_as_it_is_shown(markup: str, text: str) -> None:
    assert read(f'<?xml version="1.0"?>{markup}'.encode()) == [("", text)]


@pytest.mark.parametrize(
    ("declared", "codec", "text"),
    [
        ("Shift_JIS", "cp932", "東京①"),
        ("EUC-KR", "cp949", "한국어"),
        ("UTF-16", "utf-16", "Köln"),
        ("x", "cp1252", "Köln"),
    ],
)
def test_any_charset_is_read(declared: str, codec: str, text: str) -> None:
    data = f'<?xml version="1.0" encoding="{declared}"?><a>{text}</a>'.encode(codec)
    assert read(data) == [("", text)]


def test_the_rest_of_broken_xml_is_read_without_structure() -> None:
    data = b"<?xml version='1.0'?><r><a>one</a><b>two</r><c>three</c> four"
    assert read(data) == [("", "one\ntwo\nthree\nfour")]
    assert warnings(data) == ["the XML is not well formed; the rest was read without its structure"]


def test_entities_that_expand_without_limit_are_refused() -> None:
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
    data = f'<?xml version="1.0"?><!DOCTYPE r [<!ENTITY e0 "{"x" * 100}">{entities}]><r>&e11;</r>'.encode()
    with pytest.raises(ExtractionLimitError, match="expand"):
        read(data)


def test_the_declared_encoding_is_used() -> None:
    assert read('<?xml version="1.0" encoding="iso-8859-1"?><a>é</a>'.encode("latin-1")) == [("", "é")]


def test_files_in_base64_are_left_out() -> None:
    data = b"<?xml version='1.0'?><r><p>words</p><binary>" + (b"iVBORw0KGgo" * 7 + b"\n") * 9 + b"</binary></r>"
    assert read(data) == [("", "words")]
    assert warnings(data) == ["data in base64 was left out"]
