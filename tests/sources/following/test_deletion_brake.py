"""The deletion brake, by examples and by a state machine of scans, confirmations and outages."""

from __future__ import annotations

from collections.abc import Collection

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from rag_pipeline.sources.following.deletion_brake import DEFAULT_BRAKE, BrakeSettings, DeletionBrake

MANY = {f"file {number:03}" for number in range(100)}


class Scans:
    """Scans of one source: files that the brake releases are no longer known."""

    def __init__(self, brake: BrakeSettings = DEFAULT_BRAKE, known: Collection[str] = MANY) -> None:
        self.brake = DeletionBrake(brake)
        self.known = set(known)

    def miss(self, gone: Collection[str], busy: Collection[str] = (), definite: Collection[str] = ()) -> set[str]:
        """Scan and miss these files; return those that are deleted."""
        deleted = self.brake.release(
            [key for key in sorted(gone) if key not in busy], self.known, busy, definite.__contains__
        )
        self.known.difference_update(deleted)
        return set(deleted)

    def is_hasty(self) -> bool:
        """Return whether another scan is due soon."""
        return self.brake.needs_rescan


def some(count: int) -> set[str]:
    return set(sorted(MANY)[:count])


def test_a_file_is_deleted_when_two_scans_in_a_row_miss_it() -> None:
    scans = Scans()
    assert scans.miss({"file 001"}) == set()
    assert scans.is_hasty()
    assert scans.miss({"file 001"}) == {"file 001"}
    assert not scans.is_hasty()
    assert scans.miss({"file 002"}) == set()
    assert scans.miss(set()) == set()
    assert not scans.is_hasty()
    assert scans.miss({"file 002"}) == set()


def test_a_failed_scan_in_between_resets_the_count() -> None:
    scans = Scans()
    scans.miss({"file 001"})
    scans.brake.source_unavailable()
    assert scans.miss({"file 001"}) == set()
    assert scans.miss({"file 001"}) == {"file 001"}


def test_definite_deletions_and_files_without_text_are_released_at_once() -> None:
    scans = Scans()
    assert scans.miss({"file 001", "file 002", "never known"}, definite={"file 001"}) == {"file 001", "never known"}


@pytest.mark.parametrize(
    ("max_files", "max_percent", "gone", "held"),
    [
        (25, 20, 25, 0),
        (25, 20, 26, 26),
        (10, 20, 20, 0),
        (10, 20, 21, 21),
        (0, 0, 1, 1),
        (0, 99.5, 99, 0),
        (0, 99.5, 100, 100),
        (0, 100, 100, 0),
    ],
)
def test_the_brake_holds_only_over_both_limits(max_files: int, max_percent: float, gone: int, held: int) -> None:
    scans = Scans(BrakeSettings(max_files, max_percent))
    scans.miss(some(gone))
    assert (scans.brake.held, scans.brake.known) == (held, 100)
    assert scans.miss(some(gone)) == (set() if held else some(gone))
    assert not scans.is_hasty()


def test_the_brake_holds_definite_deletions_too() -> None:
    assert Scans().miss(some(50), definite=some(50)) == set()


def test_confirmed_files_are_deleted_by_the_next_scan_that_misses_them() -> None:
    scans = Scans()
    scans.miss(some(50))
    scans.brake.confirm()
    assert scans.miss(some(49)) == some(49)  # one is back
    assert scans.brake.held == 0
    assert scans.miss({"file 049"}) == set()  # its confirmation has ended
    assert scans.is_hasty()


def test_a_confirmation_covers_only_the_files_that_were_held() -> None:
    scans = Scans()
    scans.miss(some(30))
    scans.brake.confirm()
    assert scans.miss(some(80)) == some(30)
    assert (scans.brake.held, scans.brake.known) == (50, 70)
    assert scans.miss(some(80) - some(30)) == set()


def test_a_confirmation_stays_valid_for_files_busy_at_the_next_scan() -> None:
    scans = Scans()
    scans.miss(some(50))
    scans.brake.confirm()
    assert scans.miss(some(50), busy=some(2)) == some(50) - some(2)
    assert scans.miss(some(2)) == some(2)


def test_a_confirmation_of_fewer_files_than_are_held_releases_none() -> None:
    scans = Scans()
    scans.miss(some(30))
    scans.miss(some(90))
    scans.brake.confirm(30)
    assert (scans.miss(some(90)), scans.brake.held) == (set(), 90)
    scans.brake.confirm(90)
    assert scans.miss(some(90)) == some(90)


def test_files_that_come_back_slowly_do_not_release_the_many_still_missing() -> None:
    scans = Scans(known={f"file {number:03}" for number in range(1000)})
    everything = sorted(scans.known)
    scans.miss(set(everything[:300]))
    for left in (250, 150, 26):  # less than 20 % of all by now
        assert scans.miss(set(everything[:left])) == set()
        assert scans.brake.held == left
    scans.miss(set(everything[:25]))
    assert scans.brake.held == 0
    assert scans.miss(set(everything[:25])) == set(everything[:25])


def test_new_files_do_not_release_a_held_set() -> None:
    scans = Scans()
    scans.miss(some(30))
    scans.known |= {f"new {number}" for number in range(100)}
    assert (scans.miss(some(30)), scans.miss(some(30)), scans.brake.held) == (set(), set(), 30)


def test_when_files_come_back_the_rest_must_be_missed_twice_more() -> None:
    scans = Scans()
    scans.miss(some(50))
    assert scans.miss(some(10)) == set()
    assert (scans.brake.held, scans.is_hasty()) == (0, True)
    assert scans.miss(some(10)) == some(10)


def test_a_confirmation_in_advance_covers_only_the_first_scan_and_needs_a_second_one() -> None:
    scans = Scans(BrakeSettings(confirm_first=True))
    assert scans.miss(some(50)) == set()
    assert (scans.brake.held, scans.is_hasty()) == (0, True)
    assert scans.miss(some(90)) == some(50)
    assert scans.brake.held == 40


def test_the_message_names_both_numbers_and_what_to_do() -> None:
    known = {str(number) for number in range(5000)}
    scans = Scans(known=known)
    scans.miss(set(sorted(known)[:4812]))
    assert scans.brake.message("`x`") == "4,812 of 5,000 files are gone; confirm with `x`, or they are kept"
    scans = Scans(BrakeSettings(0, 0))
    scans.miss(some(1))
    assert scans.brake.message("`x`") == "1 of 100 files is gone; confirm with `x`, or it is kept"


KEYS = st.sampled_from("abcdefghij")


class Source(RuleBasedStateMachine):
    """Files come and go, scans fail, people confirm: no text is deleted that must be kept."""

    def __init__(self) -> None:
        super().__init__()
        self.limits = BrakeSettings(2, 30)
        self.brake = DeletionBrake(self.limits)
        self.there: set[str] = set()
        self.known: set[str] = set()
        self.busy: set[str] = set()
        self.definite: set[str] = set()
        self.missed_last: set[str] = set()
        self.held: set[str] = set()
        self.confirmed: set[str] = set()

    @rule(keys=st.sets(KEYS))
    def add(self, keys: set[str]) -> None:
        self.there |= keys
        self.definite -= keys

    @rule(keys=st.sets(KEYS), sure=st.booleans())
    def remove(self, keys: set[str], sure: bool) -> None:
        self.there -= keys
        if sure:
            self.definite |= keys

    @rule(keys=st.sets(KEYS, max_size=2))
    def work(self, keys: set[str]) -> None:
        self.busy = keys

    @rule()
    def fail(self) -> None:
        self.brake.source_unavailable()
        self.missed_last.clear()

    @rule()
    def confirm(self) -> None:
        self.brake.confirm()
        self.confirmed |= self.held

    @rule()
    def scan(self) -> None:
        gone = self.known - self.there - self.busy
        deleted = set(self.brake.release(sorted(gone), self.known, self.busy, self.definite.__contains__))
        assert deleted <= gone
        assert deleted <= self.missed_last | self.definite, "a text was deleted after one scan"
        rest = gone - self.confirmed
        beyond = len(rest) > 2 and len(rest) > 0.3 * len(self.known - self.confirmed)
        beyond = beyond or len(rest & self.held) > 2
        if beyond:
            assert not deleted - self.confirmed, "a mass deletion that nobody has confirmed"
        self.held = rest if beyond else set()
        assert self.brake.held == len(self.held)
        assert self.brake.needs_rescan == bool(gone - deleted - self.held)
        self.missed_last = gone | (self.missed_last & self.busy)
        self.confirmed &= gone | self.busy
        self.known -= deleted
        self.known |= self.there - self.busy

    def teardown(self) -> None:
        self.busy.clear()
        for _ in range(3):
            self.scan()
        assert self.known - self.there == self.held
        self.confirm()
        self.scan()
        self.scan()
        assert self.known == self.there


Source.TestCase.settings = settings(max_examples=200, stateful_step_count=30, deadline=None)
TestSource = pytest.mark.slow(Source.TestCase)
