from __future__ import annotations

from unicodedata import normalize

import pytest

from rag_pipeline.journal.search_text import folded
from tests.support.unicode_forms import FORMS, Form

NAME = "Mönch.txt"


@pytest.mark.parametrize("form", FORMS)
def test_case_and_form_make_no_difference(form: Form) -> None:
    assert folded(normalize(form, NAME).upper()) == folded(NAME)
