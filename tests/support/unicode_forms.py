"""The Unicode normalization forms in which a file system may store a name."""

from __future__ import annotations

from typing import Literal

Form = Literal["NFC", "NFD"]
FORMS: tuple[Form, ...] = ("NFC", "NFD")
