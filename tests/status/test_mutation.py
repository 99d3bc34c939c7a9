from __future__ import annotations

from rag_pipeline.status.clocks import Moment
from rag_pipeline.status.mutation import Mutation
from rag_pipeline.status.pipeline import PipelineStatus, core_of
from tests.support.recorder import Recorder


def test_a_mutation_finished_twice_goes_out_once() -> None:
    core, sink = core_of(PipelineStatus("local_files", "change-test")), Recorder()
    event = core.status_event()
    applied: list[int] = []
    change = Mutation(Moment(0.0, 0.0), lambda: applied.append(1), ())
    change.deliveries = ((sink.publish_all, iter([event])),)
    for _ in range(2):
        core._finish(change)
    assert (sink.items, applied) == ([event], [])
