"""A manual in Markdown that pandoc turns into many formats."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.corpus.make.programs import FILES, run, version, write_truth

_MANUAL = """---
title: Pump P-7
author: Ingrid Sørensen
date: 2024-05-01
---

# Installation {#install}

Mount the pump on a *level* base. The base must carry **three times** the weight of the pump.[^weight]

[^weight]: The pump weighs 48 kg without oil.

1. Close both valves.
2. Connect the suction pipe.
3. Fill the housing with water.

## Electrical connection

Only qualified electricians may connect the motor; see the [wiring plan](https://pumps.example/p7) for details.

| Terminal | Wire    | Voltage |
|----------|---------|--------:|
| L1       | brown   |     400 |
| L2       | black   |     400 |
| N        | blue    |       0 |

```python
def flow(speed):
    return 0.75 * speed
```

# Maintenance

- Check the seal every month.
- Replace the bearings after 8000 hours.

> Never run the pump dry.

The efficiency is given by the manufacturer as seventy-one percent.
"""
_FORMATS = {
    "docx": (), "odt": (), "rtf": ("-s",), "epub": (), "html": ("-s",), "ipynb": (), "pptx": ("--slide-level=1",),
    "md": ("-t", "gfm", "-s"), "rst": ("-s",), "xml": ("-t", "docbook5", "-s"),
}  # fmt: skip
_NUMBERS_SHOWN = ("docx", "odt", "rtf", "html", "md", "ipynb", "rst")


def make() -> None:
    """Make all files of this program."""
    program = version("pandoc", "--version")
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "manual.md"
        source.write_text(_MANUAL, encoding="utf-8")
        for suffix, options in _FORMATS.items():
            run("pandoc", source, *options, "-o", FILES / f"pandoc-manual.{suffix}")
            write_truth(f"pandoc-manual.{suffix}", _truth(suffix), program)


def _truth(suffix: str) -> list[str]:
    headings = suffix in ("docx", "odt", "epub", "html", "md")
    heading = "heading: " if headings else ""
    numbered = suffix in _NUMBERS_SHOWN
    steps = ("Close both valves.", "Connect the suction pipe.", "Fill the housing with water.")
    lines = [
        "may: Author Date Notes Pump P-7 Ingrid Sørensen 2024-05-01 Table of Contents 1 2 3 title author date",
        f"{heading}Installation",
        "Mount the pump on a level base. The base must carry three times the weight of the pump.",
        "anywhere: The pump weighs 48 kg without oil.",
        *(f"{number}. {step}" if numbered else step for number, step in enumerate(steps, start=1)),
        f"{heading}Electrical connection",
        "Only qualified electricians may connect the motor; see the wiring plan for details.",
        "head: Terminal | Wire | Voltage",
        "row: L1 | brown | 400",
        "row: L2 | black | 400",
        "row: N | blue | 0",
        "def flow(speed):",
        "return 0.75 * speed",
        f"{heading}Maintenance",
        "Check the seal every month.",
        "Replace the bearings after 8000 hours.",
        "Never run the pump dry.",
        "The efficiency is given by the manufacturer as seventy-one percent.",
    ]
    if suffix in ("md", "rst", "ipynb"):
        # Text files are read as they are, with their markup.
        lines.append("may: python https pumps example p7 install weight code block rubric note wiring plan")
    if suffix == "xml":
        # The values of attributes are read, because other vocabularies have their text in them.
        lines.append(
            "may: arabic numeration spacing compact cols align left right python https pumps example p7 install"
        )
    if suffix == "md":
        lines.append("not: author: Ingrid")
    return lines
