"""States of pipelines of other processes are computed from their events."""

from __future__ import annotations

from rag_pipeline.broadcast import Hub, HubItem, NewJournal, Subscriber
from rag_pipeline.broadcast.remote_states import STALLED, RemoteStates
from rag_pipeline.common.mailbox import Mailbox
from rag_pipeline.contract import events
from rag_pipeline.journal import Entry, Generations, Tail, offset_of
from rag_pipeline.status.pipeline import PipelineStatus, core_of
from tests.broadcast.outlets import RecordingOutlet
from tests.support.recorder import Recorder
from tests.support.state_client import without_volatile

IDENTITY = "0123456789abcdef"


class Setup:
    """A hub that gets a remote pipeline's events as entries, numbered or not."""

    def __init__(self) -> None:
        self.pipeline = PipelineStatus("local_files", "elsewhere")
        self.recorder = Recorder()
        core_of(self.pipeline).attach(self.recorder)
        self.taken = 0
        self.position = 0
        self.states = RemoteStates()
        self.mailbox: Mailbox[HubItem] = Mailbox()
        self.hub = Hub(list, self.mailbox, Tail(Generations(IDENTITY)), remote_states=self.states)

    def entries(self) -> list[Entry]:
        """Return the events published since the last call, each at a position of its own."""
        made = []
        for event in self.recorder.events[self.taken :]:
            self.position += 3
            made.append(Entry(self.position, event))
        self.taken = len(self.recorder.events)
        return made

    def pump(self) -> None:
        for entry in self.entries():
            self.mailbox.publish(entry)
        while self.hub.drain() == 0.0:
            pass

    def join(self, offset: str | None = None, namespace: str = "/pipeline") -> RecordingOutlet:
        self.pump()
        outlet = RecordingOutlet()
        self.hub.join(Subscriber(f"s{id(outlet)}", "c", namespace, outlet, offset=offset))
        self.pump()
        return outlet

    def close(self) -> None:
        self.pipeline.close()
        self.mailbox.close()


def test_a_newcomer_gets_the_state_as_of_the_last_event() -> None:
    setup = Setup()
    setup.pipeline.update(status="running")
    setup.pipeline.add_processing_file("a")
    outlet = setup.join()
    ((_, name, body),) = outlet.received
    assert name == events.STATUS
    told = {key: value for key, value in body.items() if key not in ("timestamp", "offset")}
    assert without_volatile(told) == without_volatile(setup.pipeline.get())
    setup.pipeline.complete_file("a")
    setup.pump()
    assert [name for _, name, _ in outlet.received] == [events.STATUS, events.FILE_COMPLETED]
    setup.close()


def test_a_client_resumes_from_the_offset_of_any_event_numbered_or_not() -> None:
    setup = Setup()
    setup.pipeline.update(status="running")
    outlet = setup.join()
    offset = outlet.received[-1][2]["offset"]
    core_of(setup.pipeline).flush(everything=True)
    setup.pump()
    assert offset == offset_of(IDENTITY, setup.position)
    setup.pipeline.add_processing_file("a")
    setup.pump()
    again = setup.join(offset)
    assert [(name, body.get("recovered")) for _, name, body in again.received] == [
        (events.FILE_STARTED, None),
        (events.STATUS, True),
    ]
    setup.close()


def test_a_namespace_without_pipelines_has_an_empty_state() -> None:
    setup = Setup()
    setup.pipeline.update(status="running")
    ((_, _, body),) = setup.join(namespace="/google_drive").received
    assert body["pipeline_id"] is None
    setup.close()


def test_a_pipeline_that_stops_reporting_is_shown_as_stalled_until_it_is_back() -> None:
    setup = Setup()
    setup.pipeline.update(status="idle")
    outlet = setup.join()
    for stalled in (["elsewhere", "unknown"], ["elsewhere"], []):
        setup.hub.mark_stalled(stalled)
    assert [body["status"] for _, _, body in outlet.received] == ["idle", STALLED, "idle"]
    setup.hub.mark_stalled(["elsewhere"])
    state = setup.states.state("elsewhere")
    assert state is not None
    assert state["status"] == STALLED
    setup.close()


def test_only_the_first_status_after_a_recovery_is_marked_recovered() -> None:
    setup = Setup()
    setup.pipeline.update(status="idle")
    setup.pump()
    outlet = setup.join(offset_of(IDENTITY, setup.position))
    for stalled in (["elsewhere"], []):
        setup.hub.mark_stalled(stalled)
    told = [(body["status"], body.get("recovered")) for _, _, body in outlet.received]
    assert told == [("idle", True), (STALLED, None), ("idle", None)]
    setup.close()


def test_after_a_gap_every_client_gets_the_states_marked_with_the_gap() -> None:
    setup = Setup()
    setup.pipeline.update(status="running")
    outlet = setup.join()
    behind = setup.join(offset_of(IDENTITY, setup.position))
    setup.pipeline.update(status="idle")
    known = tuple(setup.entries())
    setup.mailbox.publish(NewJournal(Generations("fedcba9876543210"), setup.position, known))
    setup.pump()
    for one in (outlet, behind):
        body = one.received[-1][2]
        assert (body["status"], body["gap"]) == ("idle", True)
        assert body["offset"].startswith("fedcba9876543210-")
    again = setup.join(outlet.received[-1][2]["offset"])
    assert [body["recovered"] for _, _, body in again.received] == [True]
    setup.close()


def test_an_unknown_pipeline_has_no_state() -> None:
    states = RemoteStates()
    assert (states.state("x"), states.event("x"), states.ids(), states.all()) == (None, None, [], [])


def test_the_time_until_the_next_check_is_current() -> None:
    setup = Setup()
    setup.pipeline.update(seconds_until_next_check=1000)
    setup.pump()
    event = setup.states.event("elsewhere")
    assert event is not None
    assert 900 < event.payload()["seconds_until_next_check"] <= 1000
    setup.close()


def test_outcomes_count_files_with_warnings() -> None:
    setup = Setup()
    setup.pipeline.complete_file("a", warnings=["odd"])
    setup.pipeline.complete_file("b")
    for entry in setup.entries():
        setup.states.note(entry)
    assert setup.states.outcomes("elsewhere") == (2, 0, 0, 0, 1)
    state = setup.states.state("elsewhere")
    assert state is not None
    assert state["total_with_warnings"] == 1
    setup.close()
