"""The script of the OCR worker."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from rag_pipeline.ingest.extract.ocr import launch


def test_the_worker_imports_neither_the_service_nor_the_engine_at_its_start() -> None:
    code = (
        "import sys, runpy; sys.argv = ['launch', '{}', '-1']\n"
        f"try: runpy.run_path({str(Path(launch.__file__))!r}, run_name='__main__')\n"
        "except BaseException: print(sorted({'cv2', 'rapidocr', 'rag_pipeline.service'} & set(sys.modules)), "
        "'rag_pipeline.ingest.extract.ocr.worker' in sys.modules)"
    )
    root = Path(__file__).resolve().parents[4]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False)
    assert done.stdout == "[] True\n", done.stderr
