"""Pages of PDF and picture files as pixels."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from rag_pipeline.errors import CorruptFileError, ExtractionLimitError
from rag_pipeline.ingest.extract.input_file import InputFile
from rag_pipeline.ingest.extract.limits import ExtractionLimits
from rag_pipeline.ingest.extract.ocr.pictures import MAX_PIXELS, Pages, open_pages
from tests.ingest.extract.makers import make_pdf
from tests.ingest.extract.readers.pdf.makers import unmapped


def opened(content: bytes, mime_type: str = "image/png") -> Pages:
    return open_pages(InputFile(io.BytesIO(content), len(content), "a", ExtractionLimits()), mime_type)


def saved(image: Image.Image, name: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, name, **options)
    return stream.getvalue()


def test_a_picture_is_one_page_blue_first() -> None:
    pages = opened(saved(Image.new("RGB", (4, 2), (255, 0, 10))))
    pixels = pages.picture(0)
    assert pixels is not None
    assert (pages.count, pages.are_numbered, pixels.shape) == (1, False, (2, 4, 3))
    assert pixels[0, 0].tolist() == [10, 0, 255]


def test_transparency_is_white() -> None:
    pixels = opened(saved(Image.new("RGBA", (4, 4), (0, 0, 0, 0)))).picture(0)
    assert pixels is not None
    assert pixels.min() == 255


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "I;16", "CMYK"])
def test_every_mode_becomes_colours(mode: str) -> None:
    name = "TIFF" if mode == "CMYK" else "PNG"
    pixels = opened(saved(Image.new("L", (6, 4), 255).convert(mode), name)).picture(0)
    assert pixels is not None
    assert pixels.shape == (4, 6, 3)


def test_a_turned_photograph_is_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = opened(saved(Image.new("RGB", (6, 4)), "JPEG", exif=exif), "image/jpeg").picture(0)
    assert pixels is not None
    assert pixels.shape == (6, 4, 3)


def test_a_fax_has_numbered_pages() -> None:
    frames = [Image.new("1", (8, 8), value) for value in (0, 1)]
    pages = opened(saved(frames[0], "TIFF", save_all=True, append_images=frames[1:]), "image/tiff")
    assert (pages.count, pages.are_numbered) == (2, True)
    first, second = pages.picture(0), pages.picture(1)
    assert first is not None
    assert second is not None
    assert (first.max(), second.min()) == (0, 255)


def test_a_large_picture_is_scaled_down() -> None:
    pixels = opened(saved(Image.new("1", (4000, 3000)))).picture(0)
    assert pixels is not None
    assert pixels.shape[0] * pixels.shape[1] <= MAX_PIXELS * 1.01


def test_a_bomb_is_refused_before_it_is_decoded() -> None:
    content = saved(Image.new("1", (30_000, 3_000)))
    assert len(content) < 100_000
    with pytest.raises(ExtractionLimitError, match=r"30,000 x 3,000 pixels, over the limit of 60,000,000"):
        opened(content).picture(0)


def test_a_damaged_picture_is_named() -> None:
    with pytest.raises(CorruptFileError):
        opened(b"\x89PNG\r\n\x1a\n" + bytes(40))
    whole = saved(Image.fromarray(np.random.default_rng(1).integers(0, 255, (60, 60), np.uint8)))
    with pytest.raises(CorruptFileError):
        opened(whole[: len(whole) // 2]).picture(0)


def _pdf(size: tuple[int, int]) -> bytes:
    return saved(Image.new("1", (20, 20)), "PDF", resolution=20 * 72 / size[0])


def test_a_page_is_drawn_within_the_limit() -> None:
    pytest.importorskip("pypdfium2")
    pages = opened(_pdf((14_000, 14_000)), "application/pdf")
    pixels = pages.picture(0)
    assert pixels is not None
    assert 0.9 * MAX_PIXELS < pixels.shape[0] * pixels.shape[1] <= 1.01 * MAX_PIXELS
    assert (pages.count, pages.are_numbered) == (1, True)


_PICTURE = b"q 595 0 0 842 0 0 cm BI /W 1 /H 1 /CS /G /BPC 8 ID x EI Q "
_STAMP = b"BT /F1 9 Tf 72 800 Td (Received 6 May 2024) Tj ET"


@pytest.mark.parametrize(
    ("content", "is_drawn"), [(_STAMP, False), (_PICTURE, True), (_PICTURE + _STAMP, True), (b"0 0 m 9 9 l S", True)]
)
def test_a_page_with_text_of_its_own_is_not_drawn(content: bytes, is_drawn: bool) -> None:
    pytest.importorskip("pypdfium2")
    pixels = opened(make_pdf(1, content=content), "application/pdf").picture(0)
    assert (pixels is not None) == is_drawn


def test_a_page_of_undecoded_letters_is_drawn() -> None:
    pytest.importorskip("pypdfium2")
    assert opened(unmapped(b"", bytes(range(1, 20)) * 6), "application/pdf").picture(0) is not None
    assert opened(unmapped(b"", b"Checklist of services"), "application/pdf").picture(0) is None


def test_what_is_no_pdf_is_named() -> None:
    pytest.importorskip("pypdfium2")
    with pytest.raises(CorruptFileError, match="no PDF document"):
        opened(b"%PDF-1.7 nothing", "application/pdf")
