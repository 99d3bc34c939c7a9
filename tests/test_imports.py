"""What importing the package loads. ``lint-imports`` checks the directions between modules."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

INGEST_LIBRARIES = {
    "lancedb",
    "numpy",
    "pyarrow",
    "pypdf",
    "rich",
    "safetensors",
    "semchunk",
    "tokenizers",
    "watchfiles",
}


def modules_after(statement: str) -> set[str]:
    """Return the modules that a new Python has loaded after the statement, which must not print to stderr."""
    code = f"{statement}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert run.stderr == ""
    return set(json.loads(run.stdout))


def foreign(modules: set[str]) -> set[str]:
    """Return the modules that belong to ingestion."""
    return {name for name in modules if name.startswith("rag_pipeline.ingest") or name in INGEST_LIBRARIES}


def test_importing_the_package_loads_neither_a_server_nor_ingestion() -> None:
    modules = modules_after("import rag_pipeline")
    assert foreign(modules) == set()
    assert not modules & {"eventlet", "socketio", "engineio", "rag_pipeline.socket_server", "rag_pipeline.http_server"}


@pytest.mark.slow
@pytest.mark.parametrize("module", ["rag_pipeline", "status_server"])
def test_running_the_service_loads_nothing_of_ingestion_and_prints_nothing(module: str) -> None:
    modules = modules_after(f"from {module} import start_status_server\nwith start_status_server(0): pass")
    assert "eventlet" in modules
    assert foreign(modules) == set()


def test_running_the_service_patches_nothing() -> None:
    modules_after(
        "import http.server, socket, threading, time\n"
        "before = socket.socket, threading.Thread.start, threading.Lock, time.sleep, http.server.ThreadingHTTPServer\n"
        "from rag_pipeline import start_status_server\n"
        "with start_status_server(0): pass\n"
        "now = socket.socket, threading.Thread.start, threading.Lock, time.sleep, http.server.ThreadingHTTPServer\n"
        "assert before == now"
    )


def test_a_function_with_the_name_of_a_submodule_stays_a_function() -> None:
    modules_after(
        "import glob, sys, types\n"
        "glob.part = len\n"  # as in a package whose __init__ imports a function from a module of the same name
        "sys.modules['glob.part'] = types.ModuleType('glob.part')\n"
        "from rag_pipeline import start_status_server\n"
        "with start_status_server(0): pass\n"
        "assert glob.part is len"
    )
