"""The script of the worker process that recognises text; its arguments are those of ``extract/launch.py``.

See there for the empty packages. One thread for each numerical library: their pools would need threads for no gain.
"""

import os
import sys
import types
from pathlib import Path

if __name__ == "__main__":
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    here = Path(__file__).resolve().parent.parent
    for name, folder in (("rag_pipeline", here.parents[1]), ("rag_pipeline.ingest.extract", here)):
        package = types.ModuleType(name)
        package.__path__ = [str(folder)]
        sys.modules[name] = package

    from rag_pipeline.ingest.extract.ocr.worker import read_scan
    from rag_pipeline.ingest.extract.worker import main

    main(sys.argv[1], int(sys.argv[2]), read_scan)
