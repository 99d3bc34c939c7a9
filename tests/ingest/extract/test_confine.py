"""What a worker may not do, asked of a process that is confined for real."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[3]


def run_confined(code: str, *, limits: str = "") -> subprocess.CompletedProcess[str]:
    read_end, write_end = os.pipe()
    prologue = (
        "from rag_pipeline.ingest.extract.confine import confine, allow_processor_time\n"
        "from rag_pipeline.ingest.extract.limits import ExtractionLimits\n"
        f"confine(ExtractionLimits({limits}), {read_end})\n"
    )
    try:
        return subprocess.run(
            [sys.executable, "-B", "-c", prologue + code],
            cwd=_ROOT,
            pass_fds=(read_end,),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    finally:
        os.close(read_end)
        os.close(write_end)


def test_it_can_not_write_files(tmp_path: Path) -> None:
    path = tmp_path / "out"
    done = run_confined(f"open({str(path)!r}, 'w', buffering=1).write('text\\n')")
    assert "File too large" in done.stderr
    assert path.read_text() == ""


def test_it_can_not_take_more_memory() -> None:
    done = run_confined("bytes(200 << 20)", limits="memory_bytes=150 << 20")
    assert "MemoryError" in done.stderr


def test_its_processor_time_is_bounded_and_each_file_gets_its_own() -> None:
    import signal

    done = run_confined("allow_processor_time(0.1)\nwhile True: pass")
    assert done.returncode == -signal.SIGXCPU
    done = run_confined(
        "import resource\nallow_processor_time(5); a = resource.getrlimit(resource.RLIMIT_CPU)\n"
        "allow_processor_time(50); b = resource.getrlimit(resource.RLIMIT_CPU)\nassert b[0] - a[0] == 45"
    )
    assert done.returncode == 0, done.stderr


def test_it_gives_way_to_others() -> None:
    assert run_confined("import os; print(os.nice(0))").stdout == f"{min(19, os.nice(0) + 10)}\n"


def test_a_parent_that_is_gone_already_ends_it() -> None:
    read_end, write_end = os.pipe()
    os.close(write_end)
    code = (
        f"from rag_pipeline.ingest.extract.confine import die_with_parent; die_with_parent({read_end}); print('alive')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=_ROOT, pass_fds=(read_end,), capture_output=True, check=False
    )
    os.close(read_end)
    assert (done.returncode, done.stdout) == (1, b"")
