"""Make the corpus, or only the given parts: ``python -m tests.corpus.make [PART…]``."""

from __future__ import annotations

import sys
from importlib import import_module

from tests.corpus.make.programs import FILES

PARTS = ("writer", "pandoc", "pdfs", "workbooks", "slides", "word", "mails", "pages", "charsets", "tables")


def main() -> int:
    """Make the parts named on the command line; without names, all."""
    FILES.mkdir(exist_ok=True)
    for part in sys.argv[1:] or PARTS:
        print(part, flush=True)
        import_module(f"tests.corpus.make.{part}").make()
    return 0


if __name__ == "__main__":
    sys.exit(main())
