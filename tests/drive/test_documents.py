"""The exports of Docs: documents that the pipeline's own extractor can read."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag_pipeline.ingest.extract.extractor import ProcessExtractor
from tests.drive.content import whole
from tests.drive.documents import EXTENSIONS, KINDS, exports_of, mime_type_of

TEXT = "The falcon (a bird) flies.\nOver the harbour & the meadow."


def test_every_export_of_a_text_has_its_words(tmp_path: Path) -> None:
    with ProcessExtractor() as extractor:
        for kind, mime_types in KINDS.items():
            exports = exports_of(kind, TEXT)
            assert set(exports) == set(mime_types)
            for mime_type, content in exports.items():
                path = tmp_path / f"{kind}.{EXTENSIONS[mime_type]}"
                path.write_bytes(whole(content))
                words = " ".join(section.text for section in extractor.extract(str(path)).sections).split()
                assert {"falcon", "(a", "bird)", "harbour", "&", "meadow."} <= set(words), path.name


def test_exports_are_deterministic() -> None:
    assert exports_of("document", TEXT) == exports_of("document", TEXT)


def test_an_unknown_kind_is_rejected() -> None:
    with pytest.raises(ValueError, match="kind is 'poem', expected one of document"):
        mime_type_of("poem")
