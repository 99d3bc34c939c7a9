from __future__ import annotations

from collections import deque

from rag_pipeline.status.pipeline import PipelineStatus, core_of
from rag_pipeline.status.sinks import Published
from tests.support.recorder import Recorder


def test_a_sink_takes_all_items_in_order_and_leaves_none() -> None:
    sink = Recorder()
    items: deque[Published] = deque([core_of(PipelineStatus("local_files", "sinks-test")).status_event()] * 3)
    left = iter(items)
    sink.publish_all(left)
    sink.publish_all(left)
    assert sink.items == list(items)
