"""The codec CESU-8: UTF-8 in which some programs write emoji as two surrogates of three bytes each."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Buffer

CESU_8 = "cesu_8"
SURROGATE_BYTES = re.compile(rb"\xed[\xa0-\xbf]")
_ERRORS = "cesu_8_surrogates"
_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")
_ALONE = re.compile("[\ud800-\udfff]")
_LENGTH = 3


def _decode(data: Buffer, final: bool) -> tuple[str, int]:
    """Return the text, with U+FFFD for invalid bytes, and the number of bytes read."""
    text, done = codecs.utf_8_decode(data, _ERRORS, final)
    if not final and "\ud800" <= text[-1:] <= "\udbff":
        text, done = text[:-1], done - _LENGTH  # its second half may follow
    text = _PAIR.sub(lambda pair: pair[0].encode("utf-16-le", "surrogatepass").decode("utf-16-le"), text)
    return _ALONE.sub("\ufffd", text), done


class _Decoder(codecs.BufferedIncrementalDecoder):
    def _buffer_decode(self, data: Buffer, errors: str, final: bool) -> tuple[str, int]:  # noqa: ARG002
        return _decode(data, final)


def _decode_all(data: Buffer, errors: str = "replace") -> tuple[str, int]:  # noqa: ARG001
    return _decode(data, final=True)


def _pass_surrogates(error: UnicodeError) -> tuple[str, int]:
    if isinstance(error, UnicodeDecodeError):
        unit = error.object[error.start : error.start + _LENGTH]
        if len(unit) == _LENGTH and SURROGATE_BYTES.match(unit) and unit[2] & 0xC0 == 0x80:
            return unit.decode("utf-8", "surrogatepass"), error.start + _LENGTH
    replace: Callable[[UnicodeError], tuple[str, int]] = codecs.lookup_error("replace")  # type: ignore[assignment]
    return replace(error)


def _find(name: str) -> codecs.CodecInfo | None:
    if name != CESU_8:
        return None
    utf8 = codecs.lookup("utf-8")
    return codecs.CodecInfo(
        utf8.encode, _decode_all, utf8.streamreader, utf8.streamwriter, utf8.incrementalencoder, _Decoder, CESU_8
    )


codecs.register_error(_ERRORS, _pass_surrogates)
codecs.register(_find)
