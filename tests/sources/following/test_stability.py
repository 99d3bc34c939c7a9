from __future__ import annotations

from rag_pipeline.sources.following.stability import StabilityCheck
from rag_pipeline.sources.source import FoundFile


def file(mtime: float, version: str = "v1") -> FoundFile:
    return FoundFile("a", "a", "file:///a", 1, mtime, version)


def test_an_old_file_is_stable_at_once() -> None:
    assert StabilityCheck(2).wait_for(file(100), wall=102, mono=0) == 0


def test_a_young_file_waits_until_it_is_old_enough() -> None:
    stability = StabilityCheck(2)
    assert stability.wait_for(file(100), wall=100.5, mono=0) == 1.5
    assert stability.wait_for(file(100), wall=102, mono=1.5) == 0


def test_a_file_that_keeps_changing_keeps_waiting() -> None:
    stability = StabilityCheck(2)
    for second in range(10):
        assert stability.wait_for(file(100 + second, f"v{second}"), wall=100.5 + second, mono=second) == 1.5


def test_with_a_modification_time_in_the_future_only_the_scans_count() -> None:
    stability = StabilityCheck(2)
    assert stability.wait_for(file(500), wall=100, mono=0) == 2
    assert stability.wait_for(file(500), wall=101, mono=1) == 1
    assert stability.wait_for(file(500, "v2"), wall=102, mono=2) == 2
    assert stability.wait_for(file(500, "v2"), wall=104, mono=4) == 0


def test_files_that_no_longer_wait_are_forgotten() -> None:
    stability = StabilityCheck(2)
    stability.wait_for(file(500), wall=100, mono=0)
    stability.keep(set())
    assert stability.wait_for(file(500), wall=102, mono=2) == 2
