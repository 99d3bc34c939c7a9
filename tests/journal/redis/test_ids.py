"""Pipeline ids that look like keys: no pipeline blocks another, and data of earlier versions is migrated."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from rag_pipeline.journal import FileQuery, FileStatus
from rag_pipeline.journal.redis.connection import RedisConnection
from rag_pipeline.journal.redis.keys import RedisKeys
from rag_pipeline.status.pipeline import PipelineStatus, core_of
from tests.journal.driving import recorded
from tests.journal.redis_appender import RedisAppender
from tests.journal.redis_server import RedisServer, needs_redis, running
from tests.support.recorder import Recorder

pytestmark = needs_redis

STATUSES = [status.value for status in FileStatus]
HOSTILE = [
    "papers",
    *(f"papers:{status}" for status in STATUSES),
    "papers:failed:failed",
    ":",
    "events",
    "a:b",
    "files:p",
]
prefixes = (f"ids{n}" for n in itertools.count())


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running(tmp_path_factory.mktemp("redis") / "data", "--appendonly", "no") as started:
        yield started


def work(pipeline: PipelineStatus) -> None:
    """Make a file of each status."""
    pipeline.complete_file("good.txt", file_id="1")
    pipeline.complete_file("bad.txt", success=False, file_id="2", error="no")
    pipeline.skip_file("odd.txt", "is odd", file_id="3")
    pipeline.delete_file("gone.txt", file_id="4")
    pipeline.add_processing_file("now.txt", "5")


def append(journal: RedisAppender, pipeline: PipelineStatus, recorder: Recorder) -> None:
    core_of(pipeline).flush(everything=True)
    journal.append(recorder.events)
    recorder.events.clear()


def listed(journal: RedisAppender, pipeline_id: str) -> dict[str, str]:
    return {row.file["name"]: row.status for row in journal.files(FileQuery(pipeline_id=pipeline_id))}


ALL = {
    "good.txt": "completed", "bad.txt": "failed", "odd.txt": "skipped", "gone.txt": "deleted", "now.txt": "processing",
}  # fmt: skip


def test_no_pipeline_id_blocks_another(server: RedisServer) -> None:
    journal = RedisAppender(server.url, prefix=next(prefixes))
    pipelines = {one: recorded(one) for one in HOSTILE}
    for _ in range(2):
        for pipeline, recorder in pipelines.values():
            work(pipeline)
            append(journal, pipeline, recorder)
    for one in HOSTILE:
        assert listed(journal, one) == ALL
        assert journal.saved_states()[one].totals.total_failed == 1
    journal.close()


def test_no_pipeline_id_makes_two_keys_equal() -> None:
    keys = RedisKeys()
    names = [
        name
        for one in [*HOSTILE, *(f"{status}:papers" for status in STATUSES), "by-change-failed:papers"]
        for name in (
            keys.pipeline(one), keys.state(one), keys.owner(one), keys.files(one),
            *(keys.files_by_change(one, status) for status in FileStatus),
        )
    ]  # fmt: skip
    names += [keys.events, keys.identity, keys.generations, keys.count, keys.pipelines]
    assert len(set(names)) == len(names)


def use_legacy_keys(connection: RedisConnection, prefix: str, pipeline_id: str) -> None:
    """Rename a pipeline's sorted sets to their legacy names."""
    keys = RedisKeys(prefix)
    for status in FileStatus:
        if connection.call("EXISTS", keys.files_by_change(pipeline_id, status)):
            connection.call(
                "RENAME",
                keys.files_by_change(pipeline_id, status),
                keys.legacy_files_by_change(pipeline_id, status),
            )


def test_data_of_an_earlier_version_is_read_and_migrated(server: RedisServer, connection: RedisConnection) -> None:
    prefix = next(prefixes)
    keys = RedisKeys(prefix)
    journal = RedisAppender(server.url, prefix=prefix)
    pipeline, recorder = recorded("papers")
    work(pipeline)
    append(journal, pipeline, recorder)
    journal.close()
    use_legacy_keys(connection, prefix, "papers")
    # A server of this version reads while an earlier version runs the pipeline.
    reader = RedisAppender(server.url, prefix=prefix)
    assert listed(reader, "papers") == ALL
    assert [file.name for file in reader.saved_states()["papers"].in_flight] == ["now.txt"]
    reader.close()
    # The pipeline's process restarts with this version.
    journal = RedisAppender(server.url, prefix=prefix)
    pipeline.complete_file("good.txt", success=False, file_id="1", error="no more")
    append(journal, pipeline, recorder)
    assert listed(journal, "papers") == {**ALL, "good.txt": "failed"}
    assert not any(connection.call("EXISTS", keys.legacy_files_by_change("papers", status)) for status in FileStatus)
    journal.close()


def test_a_pipeline_that_an_earlier_version_blocked_gets_its_keys(
    server: RedisServer, connection: RedisConnection
) -> None:
    prefix = next(prefixes)
    keys = RedisKeys(prefix)
    journal = RedisAppender(server.url, prefix=prefix)
    first, of_first = recorded("papers")
    work(first)
    append(journal, first, of_first)
    use_legacy_keys(connection, prefix, "papers")
    assert connection.call("TYPE", keys.files("papers:failed")) == "zset"
    second, of_second = recorded("papers:failed")
    work(second)
    # While an earlier version runs the first pipeline, its keys are left alone.
    core_of(second).flush(everything=True)
    with pytest.raises(Exception, match="WRONGTYPE"):
        RedisAppender(server.url, prefix=prefix).append(of_second.events)
    assert connection.call("TYPE", keys.files("papers:failed")) == "zset"
    journal.close()
    journal = RedisAppender(server.url, prefix=prefix)
    append(journal, second, of_second)
    assert listed(journal, "papers:failed") == ALL
    assert listed(journal, "papers") == ALL
    journal.close()


def test_a_downgrade_and_upgrade_lose_no_file(server: RedisServer, connection: RedisConnection) -> None:
    prefix = next(prefixes)
    keys = RedisKeys(prefix)
    journal = RedisAppender(server.url, prefix=prefix)
    pipeline, recorder = recorded("papers")
    work(pipeline)
    append(journal, pipeline, recorder)
    journal.close()
    # Under the earlier version a completed file has failed, in the legacy keys.
    rows = keys.files("papers")
    key = "id:1"
    row = str(connection.call("HGET", rows, key))
    connection.call("HSET", rows, key, row.replace("completed", "failed", 1))
    connection.call("ZADD", keys.legacy_files_by_change("papers", FileStatus.FAILED), "99", key)
    journal = RedisAppender(server.url, prefix=prefix)
    journal.claim({"papers"})
    assert listed(journal, "papers") == {**ALL, "good.txt": "failed"}
    journal.close()
