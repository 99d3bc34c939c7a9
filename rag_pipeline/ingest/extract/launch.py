"""Starts the worker process: run as a script, with the limits and the lifeline as arguments.

The package's ``__init__`` is the front door of the service and may import all of it, and that of this folder the
extractor. The worker needs none of that, so empty packages of the same names and paths stand in for them before
anything is imported.
"""

import sys
import types
from pathlib import Path

if __name__ == "__main__":
    here = Path(__file__).resolve().parent
    for name, folder in (("rag_pipeline", here.parents[1]), ("rag_pipeline.ingest.extract", here)):
        package = types.ModuleType(name)
        package.__path__ = [str(folder)]
        sys.modules[name] = package

    from rag_pipeline.ingest.extract.worker import main

    main(sys.argv[1], int(sys.argv[2]))
