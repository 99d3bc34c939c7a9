"""XML of any vocabulary."""

from __future__ import annotations

from tests.ingest.extract.makers import read


def test_text_and_prose_attributes_are_read() -> None:
    data = b'<?xml version="1.0"?><a id="x1" title="Two words" href="http://a b"><b>one</b>\n <c>two</c></a>'
    assert read(data) == [("", "Two words\none\ntwo")]


def test_the_declared_encoding_is_used() -> None:
    assert read('<?xml version="1.0" encoding="iso-8859-1"?><a>é</a>'.encode("latin-1")) == [("", "é")]
