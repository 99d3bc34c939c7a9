"""Take colours and other codes for terminals out of a text, such as a log."""

from __future__ import annotations

import re

# Colours, movements of the cursor, and titles and links of terminals.
_CODE = re.compile(r"\x1b(?:\[[0-?]{0,50}[ -/]{0,5}[@-~]|\][^\x07\x1b]{0,2000}(?:\x07|\x1b\\)|[(-/][0-~]|[0-Z=>\\^-~])")


def without_terminal_codes(text: str) -> str:
    """Return the text as a terminal shows it, without colours."""
    return _CODE.sub("", text) if "\x1b" in text else text
