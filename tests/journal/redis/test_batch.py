from __future__ import annotations

from rag_pipeline.contract.events import PipelineEvent
from rag_pipeline.journal.redis.address import RedisAddress
from rag_pipeline.journal.redis.batch import BatchWriter, EncodedItem
from rag_pipeline.journal.redis.connection import RedisConnection
from rag_pipeline.journal.redis.keys import RedisKeys
from rag_pipeline.journal.redis.lease import LeaseOwner
from rag_pipeline.status.model import FileBody, FileRecord


def event(seq: int, *, numbered: bool = True, epoch: str = "e", pipeline_id: str = "p") -> PipelineEvent:
    body = FileBody(FileRecord("a", None))
    return PipelineEvent("pipeline:file_progress", ("/pipeline",), pipeline_id, None, epoch, seq, 1.0, body, numbered)


def test_each_batch_has_its_own_number_and_its_pipelines() -> None:
    connection = RedisConnection(RedisAddress("redis://127.0.0.1:1"))
    writer = BatchWriter(connection, RedisKeys(), LeaseOwner(RedisKeys()))
    first = writer.batch([EncodedItem.of(item) for item in (event(1), event(1, pipeline_id="q"), event(2))])
    assert (first.number, first.pipeline_ids) == (1, ["p", "q"])
    assert writer.batch([]).number == 2
