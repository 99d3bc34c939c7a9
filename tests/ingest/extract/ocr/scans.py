"""Pictures of text, drawn with the font of Pillow, and the mark of tests that need the extra ``ocr``."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont

from rag_pipeline.ingest.extract.ocr.installed import MODULES

_MISSING = [name for name in MODULES if find_spec(name) is None]
needs_ocr = pytest.mark.skipif(bool(_MISSING), reason=f"not installed: {', '.join(_MISSING)} (extra ocr)")


def draw(*lines: str, size: tuple[int, int] = (900, 300)) -> Image.Image:
    """Return a picture of the lines, black on white."""
    image = Image.new("RGB", size, "white")
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(32)
    for index, line in enumerate(lines):
        pen.text((40, 40 + 60 * index), line, "black", font)
    return image


def save_pdf(path: Path, *pages: Image.Image) -> Path:
    """Save pages that are only pictures, as a scanner does."""
    pages[0].save(path, "PDF", save_all=True, append_images=pages[1:], resolution=150)
    return path
