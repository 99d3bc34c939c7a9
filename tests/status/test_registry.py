from __future__ import annotations

from rag_pipeline.status.core import StatusCore
from rag_pipeline.status.identity import PipelineIds
from rag_pipeline.status.pipeline import PipelineStatus, core_of
from rag_pipeline.status.registry import Registry, registry


def test_watchers_are_told_of_new_pipelines_until_they_unwatch() -> None:
    heard: list[StatusCore] = []
    old = PipelineStatus("x", "watch-0")
    assert core_of(old) in registry.watch(heard.append)
    new = PipelineStatus("x", "watch-1")
    registry.unwatch(heard.append)
    registry.unwatch(heard.append)
    registry.unwatch(print)
    later = PipelineStatus("x", "watch-2")
    assert core_of(later) in registry.all()
    assert heard == [core_of(new)]


def test_pipelines_are_listed_oldest_first() -> None:
    ids: PipelineIds[StatusCore] = PipelineIds()
    statuses = [PipelineStatus("x", f"order-{n}") for n in range(3)]
    pipelines = [core_of(status) for status in statuses]
    for pipeline in reversed(pipelines):
        ids.claim(pipeline, pipeline.pipeline_id)
    assert Registry(ids).all() == pipelines
    ids.release(pipelines[1])
    assert Registry(ids).all() == [pipelines[0], pipelines[2]]
