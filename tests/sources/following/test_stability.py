from __future__ import annotations

from rag_pipeline.sources.following.stability import StabilityCheck
from rag_pipeline.sources.source import FoundFile


def file(mtime: float, version: str = "v1") -> FoundFile:
    return FoundFile("a", "a", "file:///a", 1, mtime, version)


def test_an_old_file_is_taken_at_once() -> None:
    assert StabilityCheck(2).wait_for(file(100), wall=102, mono=0) == 0


def test_a_young_file_waits_until_its_modification_is_long_enough_ago() -> None:
    settling = StabilityCheck(2)
    assert settling.wait_for(file(100), wall=100.5, mono=0) == 1.5
    assert settling.wait_for(file(100), wall=102, mono=1.5) == 0


def test_a_file_that_is_written_to_waits_on() -> None:
    settling = StabilityCheck(2)
    for second in range(10):
        assert settling.wait_for(file(100 + second, f"v{second}"), wall=100.5 + second, mono=second) == 1.5


def test_where_the_clock_of_the_files_is_ahead_it_counts_how_long_a_version_was_seen() -> None:
    settling = StabilityCheck(2)
    assert settling.wait_for(file(500), wall=100, mono=0) == 2
    assert settling.wait_for(file(500), wall=101, mono=1) == 1
    assert settling.wait_for(file(500, "v2"), wall=102, mono=2) == 2
    assert settling.wait_for(file(500, "v2"), wall=104, mono=4) == 0


def test_what_is_no_longer_waiting_is_forgotten() -> None:
    settling = StabilityCheck(2)
    settling.wait_for(file(500), wall=100, mono=0)
    settling.keep(set())
    assert settling.wait_for(file(500), wall=102, mono=2) == 2
