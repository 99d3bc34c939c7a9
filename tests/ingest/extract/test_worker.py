"""The worker's main function: what it imports, and what it sends."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import NoReturn

import pytest

from rag_pipeline.ingest.extract import launch
from rag_pipeline.ingest.extract.limits import ExtractionLimits
from rag_pipeline.ingest.extract.messages import (
    Decoder,
    Failed,
    Finished,
    Progressed,
    ReadRequest,
    SectionFound,
    TypeFound,
    WorkerMessage,
    WorkerReady,
    encode,
)
from rag_pipeline.ingest.extract.worker import serve
from tests.ingest.extract.makers import EXAMPLES, make_pdf

_ROOT = Path(__file__).resolve().parents[3]


def answers(path: Path, limits: ExtractionLimits | None = None) -> list[WorkerMessage]:
    """Serve a file in this process; this lowers its CPU time limit, to far more than tests need."""
    sent: list[WorkerMessage] = []
    descriptor = os.open(path, os.O_RDONLY)  # ``serve`` closes it
    serve(descriptor, os.fsencode(path.name), limits or ExtractionLimits(time_seconds=36_000), sent.append)
    return [message for message in sent if not isinstance(message, Progressed)]


@pytest.mark.slow
def test_a_worker_imports_nothing_of_the_service_and_survives_prints(tmp_path: Path) -> None:
    """The worker starts with a module that prints on import, and reports which modules are loaded."""
    (tmp_path / "sitecustomize.py").write_text("import atexit, sys, threading\nprint('noise', file=sys.stderr)\n")
    (tmp_path / "empty").touch()
    probe = tmp_path / "probe.py"
    probe.write_text(
        "import runpy, sys, os\n"
        "import importlib.abc\n"
        "class Spy(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('eventlet', 'socketio', 'engineio', 'multiprocessing', 'requests'):\n"
        "            os._exit(9)\n"
        "        if name == 'pypdf': print('a library that talks'); os.write(1, b'at length')\n"
        "sys.meta_path.insert(0, Spy())\n"
        f"sys.argv = {['launch.py', json.dumps(asdict(ExtractionLimits()))]!r} + sys.argv[1:]\n"
        f"runpy.run_path({launch.__file__!r}, run_name='__main__')\n"
    )
    read_end, write_end = os.pipe()
    ours, theirs = socket.socketpair()
    for path in (EXAMPLES / "products/aurora-manual.pdf", probe.with_name("empty")):
        with path.open("rb") as file:
            socket.send_fds(ours, [encode(ReadRequest(path.name))], [file.fileno()])
    ours.close()
    done = subprocess.run(
        [sys.executable, str(probe), str(read_end)],
        stdin=theirs.fileno(),
        capture_output=True,
        pass_fds=(read_end,),
        env={"PYTHONPATH": f"{tmp_path}:{_ROOT}"},
        timeout=30,
        check=False,
    )
    theirs.close()
    os.close(read_end)
    os.close(write_end)
    kinds = [type(message) for message in Decoder().feed(done.stdout)]
    assert done.returncode == 0, done.stderr
    assert kinds[0] is WorkerReady
    assert kinds.count(SectionFound) == 5
    assert Finished in kinds
    assert kinds[-1] is Failed


def test_each_file_has_one_outcome(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_text("# A\ntext")
    assert answers(path) == [
        TypeFound("text/markdown"),
        SectionFound("A", "A\ntext"),
        Finished("text/markdown", characters=6),
    ]
    (tmp_path / "empty").touch()
    (failed,) = answers(tmp_path / "empty")
    assert failed == Failed("EmptyFileError", "is empty (0 bytes)")


def test_the_message_of_a_readers_mistake_has_no_code_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: str) -> NoReturn:
        raise KeyError("cells")

    monkeypatch.setattr("rag_pipeline.ingest.extract.worker.load_reader", fail)
    path = tmp_path / "a.txt"
    path.write_text("words")
    message = "is damaged: its content is not as its format asks"
    assert answers(path)[1:] == [Failed("CorruptFileError", message, of_content=False)]


def test_the_error_of_a_damaged_file_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(make_pdf(2)[:300])
    found, failed = answers(path)
    assert found == TypeFound("application/pdf")
    assert isinstance(failed, Failed)
    assert failed.error == "CorruptFileError"
    assert "\n" not in failed.message
    assert len(failed.message) < 300
