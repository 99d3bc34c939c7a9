"""``python -m rag_pipeline`` is the ``rag-pipeline`` command."""

import sys

from rag_pipeline.cli import main

if __name__ == "__main__":
    sys.exit(main())
