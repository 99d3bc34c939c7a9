"""The script a worker process starts with: run as the extractor runs it, or imported, which must do nothing."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import rag_pipeline
from rag_pipeline.ingest.extract import launch
from rag_pipeline.ingest.extract.limits import ExtractionLimits
from rag_pipeline.ingest.extract.messages import Decoder, Ready

LIMITS = json.dumps(asdict(ExtractionLimits()))


def run(*options: str, limits: str = LIMITS, folder: Path = Path("/")) -> subprocess.CompletedProcess[bytes]:
    """Run the script until it finds that there are no requests."""
    lifeline, other_end = os.pipe()
    requests, none = socket.socketpair()
    none.close()
    try:
        return subprocess.run(
            [sys.executable, "-P", *options, str(Path(launch.__file__)), limits, str(lifeline)],
            stdin=requests.fileno(),
            capture_output=True,
            pass_fds=(lifeline,),
            cwd=folder,
            env={},
            timeout=30,
            check=False,
        )
    finally:
        requests.close()
        os.close(lifeline)
        os.close(other_end)


def test_a_worker_is_ready_and_ends_with_its_requests() -> None:
    done = run()
    assert done.returncode == 0, done.stderr
    assert list(Decoder().feed(done.stdout)) == [Ready()]


def test_it_finds_its_package_by_its_own_place(tmp_path: Path) -> None:
    """Without site packages, from a folder that has a package of the same name."""
    (tmp_path / "rag_pipeline").mkdir()
    (tmp_path / "rag_pipeline" / "__init__.py").write_text("raise SystemExit('the wrong one')")
    done = run("-S", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, b"")


def test_it_loads_the_reading_of_files_and_nothing_of_the_service() -> None:
    done = run("-X", "importtime")
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.decode().splitlines()}
    own = {name for name in loaded if name.split(".")[0] == "rag_pipeline"}
    assert "rag_pipeline.ingest.extract.worker" in own
    assert "rag_pipeline" not in own, "the package's front door stays shut"
    parts = ("rag_pipeline.errors", "rag_pipeline.printing", "rag_pipeline.ingest")
    assert [name for name in own if not name.startswith(parts)] == []
    assert loaded.isdisjoint(
        {"subprocess", "socket", "logging", "asyncio", "socketio", "eventlet", "numpy", "lancedb", "tokenizers"}
    )


def test_why_it_can_not_start_is_its_last_word() -> None:
    done = run(limits=json.dumps({**asdict(ExtractionLimits()), "memory_bytes": 0}))
    assert done.returncode == 1
    assert done.stdout == b""
    assert done.stderr.decode().splitlines()[-1].endswith("memory_bytes=0: expected a number above 0")


def test_importing_it_starts_nothing() -> None:
    assert sys.modules["rag_pipeline"] is rag_pipeline
    assert rag_pipeline.__file__ is not None, "the package itself, not the stand-in"
    assert not hasattr(launch, "package")
