"""The script of the worker process; its arguments are the limits and the lifeline's descriptor.

``rag_pipeline/__init__`` may import the whole service, and this folder's ``__init__`` the extractor. The worker needs
neither, so empty packages with the same names and paths replace them before anything is imported.
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
