from __future__ import annotations

import pytest

from rag_pipeline.status.pipeline import PipelineStatus, core_of
from tests.support.recorder import Recorder


@pytest.fixture
def pipeline() -> PipelineStatus:
    return PipelineStatus("local_files", "under-test")


@pytest.fixture
def recorder(pipeline: PipelineStatus) -> Recorder:
    recorder = Recorder()
    core_of(pipeline).attach(recorder)
    recorder.items.clear()
    return recorder
