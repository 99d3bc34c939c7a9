from __future__ import annotations

import shutil

import pytest

from benchmarks import ingestion


@pytest.mark.skipif(not shutil.which("gcc"), reason="the counting client is built with gcc")
def test_a_small_run_gives_a_ratio(capsys: pytest.CaptureFixture[str]) -> None:
    assert ingestion.main(["--files", "5", "--clients", "3", "--repetitions", "1", "--embedder", "none"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert float(last.split("|")[-2]) > 0
