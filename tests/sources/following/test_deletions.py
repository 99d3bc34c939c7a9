"""Deletions by a running pipeline: after a second scan, and held if there are too many."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rag_pipeline.errors import DeletionsHeldError, ExitCode
from rag_pipeline.sources.following.deletion_brake import BrakeSettings
from rag_pipeline.sources.source import SourceUnavailableError
from rag_pipeline.status.control import Action, ControlError
from tests.sources.following.memory_source import Following, following
from tests.sources.memory_stages import MemoryStore

pytestmark = pytest.mark.slow

COUNT = 40
ALL = [f"id{number:02}" for number in range(COUNT)]


def fill(run: Following, ids: list[str] = ALL) -> None:
    for key in ids:
        run.source.write(key, f"text of {key}")
    # The same versions in each run.
    run.source._versions = 1000


def lose(run: Following, ids: list[str]) -> None:
    """Remove files from the source at once, so that no scan sees half of it."""
    run.source.files = {key: file for key, file in run.source.files.items() if key not in ids}


def held(run: Following) -> tuple[object, object, object]:
    state = run.state()
    return state["status"], state.get("deletions_held"), state.get("message")


def message(run: Following, gone: int, known: int = COUNT) -> str:
    word = f"rag-pipeline control {run.status.pipeline_id} confirm {gone}"
    return f"{gone} of {known} files are gone; confirm with `{word}`, or they are kept"


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Following]:
    """A pipeline that has stored all files."""
    with following(tmp_path, start=False, interval=0.3) as run:
        fill(run)
        run.thread.start()
        run.wait_idle(processed=COUNT)
        yield run


def test_too_many_deletions_are_held_and_other_work_goes_on(full: Following) -> None:
    lose(full, ALL[:30])
    full.source.write("new", "a new file")
    full.source.write(ALL[-1], "a changed file")
    full.wait(lambda: full.attempts().total_processed == COUNT + 2)
    full.wait(lambda: held(full) == ("error", 30, message(full, 30, COUNT + 1)))
    full.wait_scan()
    full.wait_scan()
    assert held(full)[0] == "error"
    assert full.store.texts().keys() == {*ALL, "new"}
    assert full.store.texts()[ALL[-1]] == ["a changed file"]
    assert full.state()["total_deleted"] == 0


def test_held_deletions_are_done_once_confirmed(full: Following) -> None:
    lose(full, ALL[:30])
    full.wait(lambda: held(full)[1] == 30)
    full.ask(Action.CONFIRM)
    full.wait(lambda: full.state()["total_deleted"] == 30 and held(full) == ("idle", None, None))
    assert full.store.texts().keys() == set(ALL[30:])


def test_a_confirmation_does_not_cover_files_missed_later(full: Following) -> None:
    lose(full, ALL[:12])
    full.pipeline._brake._settings = BrakeSettings(5, 20)
    full.wait(lambda: held(full)[1] == 12)
    scan = full.source.scan

    def lose_more(check: object) -> object:
        full.source.scan = scan  # type: ignore[method-assign]
        lose(full, ALL[12:24])
        return scan(check)  # type: ignore[arg-type]

    full.source.scan = lose_more  # type: ignore[method-assign,assignment]
    full.pipeline._brake.confirm()  # as a request that came just before the next scan
    full.wait(lambda: held(full)[:2] == ("error", 12) and full.state()["total_deleted"] == 12)
    full.wait(lambda: held(full)[2] == message(full, 12, 28))
    full.wait_scan()
    assert full.store.texts().keys() == set(ALL[12:])


def test_files_that_come_back_release_the_brake(full: Following) -> None:
    files = full.source.files
    lose(full, ALL[:30])
    full.wait(lambda: held(full)[1] == 30)
    full.source.files = files
    full.wait(lambda: held(full) == ("idle", None, None))
    full.wait_scan()
    assert (full.state()["total_deleted"], len(full.store.texts())) == (0, COUNT)


def test_a_restart_decides_anew_and_deletes_nothing_before(full: Following, tmp_path: Path) -> None:
    lose(full, ALL[:30])
    full.wait(lambda: held(full)[1] == 30)
    full.end()
    assert (full.state()["status"], full.state().get("deletions_held")) == ("stopped", None)
    with following(tmp_path, full.store, start=False) as again:
        again.source.files, again.source.texts = full.source.files, full.source.texts
        again.thread.start()
        again.wait(lambda: held(again) == ("error", 30, message(again, 30)))
        assert len(again.store.texts()) == COUNT


def test_held_deletions_can_be_confirmed_during_a_pause(full: Following) -> None:
    lose(full, ALL[:30])
    full.wait(lambda: held(full)[1] == 30)
    full.ask(Action.PAUSE)
    full.wait(lambda: held(full) == ("paused", 30, message(full, 30)))
    full.ask(Action.CONFIRM)
    full.wait(lambda: not full.control._waiting)
    assert full.state()["total_deleted"] == 0
    full.ask(Action.RESUME)
    full.wait(lambda: full.state()["total_deleted"] == 30 and held(full) == ("idle", None, None))


def test_held_deletions_outlast_an_unavailable_source(full: Following) -> None:
    lose(full, ALL[:30])
    full.wait(lambda: held(full)[1] == 30)
    full.source.down = SourceUnavailableError("Drive does not answer", 0.3)
    full.wait(lambda: held(full) == ("error", 30, "Drive does not answer"))
    full.source.down = None
    full.wait(lambda: held(full) == ("error", 30, message(full, 30)))


def test_a_confirmation_is_refused_if_nothing_is_held(full: Following, tmp_path: Path) -> None:
    with pytest.raises(ControlError, match=r"^there is nothing to confirm$"):
        full.ask(Action.CONFIRM)
    with (
        following(tmp_path / "other", start=False) as other,
        pytest.raises(ControlError, match=r"^there is nothing to confirm$"),
    ):
        other.ask(Action.CONFIRM)


def test_a_file_missed_by_one_scan_keeps_its_text(full: Following) -> None:
    scan, files = full.source.scan, full.source.files

    def miss_once(check: object) -> object:
        full.source.scan = scan  # type: ignore[method-assign]
        lose(full, ALL[:3])
        found = scan(check)  # type: ignore[arg-type]
        full.source.files = files
        return found

    scans = full.source.scans
    full.source.scan = miss_once  # type: ignore[method-assign,assignment]
    full.wait(lambda: full.source.scans >= scans + 3)
    assert (full.ended("deleted"), len(full.store.texts())) == ([], COUNT)


def test_the_second_scan_comes_soon(tmp_path: Path) -> None:
    with following(tmp_path, start=False, interval=3600.0) as run:
        fill(run)
        run.thread.start()
        run.wait_idle(processed=COUNT)
        lose(run, ALL[:3])
        scans = run.source.scans
        run.ask(Action.CHECK)
        run.wait(lambda: run.state()["total_deleted"] == 3)
        assert run.source.scans == scans + 2


def test_a_definite_deletion_needs_no_second_scan(tmp_path: Path) -> None:
    with following(tmp_path, start=False, interval=3600.0) as run:
        fill(run)
        run.thread.start()
        run.wait_idle(processed=COUNT)
        run.source.definite.update(ALL[:3])
        lose(run, ALL[:3])
        scans = run.source.scans
        run.ask(Action.CHECK)
        run.wait(lambda: run.state()["total_deleted"] == 3)
        assert run.source.scans == scans + 1


# -- in a single pass --------------------------------------------------------------------------------------------------


@pytest.fixture
def stored(tmp_path: Path) -> MemoryStore:
    with following(tmp_path, single=True, start=False) as run:
        fill(run)
        run.thread.start()
        run.wait_over()
        assert (run.error, len(run.store.texts())) == (None, COUNT)
        return run.store


def test_a_single_pass_with_held_deletions_does_the_rest_and_ends_with_its_own_code(
    stored: MemoryStore, tmp_path: Path
) -> None:
    with following(tmp_path, stored, single=True, start=False) as run:
        fill(run)
        lose(run, ALL[:30])
        run.source.write("new", "a new file")
        run.thread.start()
        run.wait_over()
        assert isinstance(run.error, DeletionsHeldError)
        assert int(run.error.exit_code) == int(ExitCode.DELETIONS_HELD) == 12
        said = f"30 of {COUNT} files are gone; confirm with --confirm-deletions, or they are kept"
        assert str(run.error) == said
        assert (run.state()["status"], run.state().get("message")) == ("error", said)
        assert stored.texts().keys() == {*ALL, "new"}


def test_a_single_pass_with_confirmation_deletes_missing_files(stored: MemoryStore, tmp_path: Path) -> None:
    with following(tmp_path, stored, single=True, start=False, brake=BrakeSettings(confirm_first=True)) as run:
        fill(run)
        lose(run, ALL[:30])
        run.thread.start()
        run.wait_over()
        assert (run.error, run.state()["status"]) == (None, "stopped")
        assert stored.texts().keys() == set(ALL[30:])


def test_a_single_pass_scans_twice_before_it_deletes_a_few_files(stored: MemoryStore, tmp_path: Path) -> None:
    with following(tmp_path, stored, single=True, start=False) as run:
        fill(run)
        lose(run, ALL[:3])
        run.thread.start()
        run.wait_over()
        assert (run.error, run.source.scans, run.state()["total_deleted"]) == (None, 2, 3)
        assert stored.texts().keys() == set(ALL[3:])


def test_a_limit_of_100_percent_switches_the_brake_off(stored: MemoryStore, tmp_path: Path) -> None:
    with following(tmp_path, stored, single=True, start=False, brake=BrakeSettings(max_percent=100)) as run:
        fill(run)
        lose(run, ALL)
        run.source.write("new", "so that the place is not empty")
        run.thread.start()
        run.wait_over()
        assert (run.error, set(stored.texts())) == (None, {"new"})
