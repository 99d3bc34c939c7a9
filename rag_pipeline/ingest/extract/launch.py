"""Starts the worker process: run as a script, with the limits and the lifeline as arguments.

The package's ``__init__`` is the front door of the service and may import all of it. The worker needs none of that, so
an empty package of the same name and path stands in for it before anything is imported.
"""

import sys
import types
from pathlib import Path

if __name__ == "__main__":
    package = types.ModuleType("rag_pipeline")
    package.__path__ = [str(Path(__file__).resolve().parents[2])]
    sys.modules["rag_pipeline"] = package

    from rag_pipeline.ingest.extract.worker import main

    main(sys.argv[1], int(sys.argv[2]))
