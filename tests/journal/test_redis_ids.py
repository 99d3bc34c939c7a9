"""Ids that look like keys: no pipeline stands in the way of another, and data of earlier versions is taken over."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from rag_pipeline.journal import FileQuery, FileStatus
from rag_pipeline.journal.redis.connection import Link
from rag_pipeline.journal.redis.journal import RedisJournal
from rag_pipeline.journal.redis.keys import Keys
from rag_pipeline.status import PipelineStatus, core_of
from tests.journal.driving import recorded
from tests.journal.redis_server import RedisServer, needs_redis, running
from tests.watching import Recorder

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
    """Have a file of each status."""
    pipeline.complete_file("good.txt", file_id="1")
    pipeline.complete_file("bad.txt", success=False, file_id="2", error="no")
    pipeline.skip_file("odd.txt", "is odd", file_id="3")
    pipeline.delete_file("gone.txt", file_id="4")
    pipeline.add_processing_file("now.txt", "5")


def append(journal: RedisJournal, pipeline: PipelineStatus, recorder: Recorder) -> None:
    core_of(pipeline).flush(everything=True)
    journal.append(recorder.events)
    recorder.events.clear()


def listed(journal: RedisJournal, pipeline_id: str) -> dict[str, str]:
    return {row.file["name"]: row.status for row in journal.files(FileQuery(pipeline_id=pipeline_id))}


ALL = {
    "good.txt": "completed", "bad.txt": "failed", "odd.txt": "skipped", "gone.txt": "deleted", "now.txt": "processing",
}  # fmt: skip


def test_no_id_stands_in_the_way_of_another(server: RedisServer) -> None:
    journal = RedisJournal(server.url, prefix=next(prefixes))
    pipelines = {one: recorded(one) for one in HOSTILE}
    for _ in range(2):
        for pipeline, recorder in pipelines.values():
            work(pipeline)
            append(journal, pipeline, recorder)
    for one in HOSTILE:
        assert listed(journal, one) == ALL
        assert journal.saved()[one].totals.total_failed == 1
    journal.close()


def test_no_id_imitates_a_key() -> None:
    keys = Keys()
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


def before(link: Link, prefix: str, pipeline_id: str) -> None:
    """Put the order of a pipeline's files where earlier versions had it."""
    keys = Keys(prefix)
    for status in FileStatus:
        if link.call("EXISTS", keys.files_by_change(pipeline_id, status)):
            link.call(
                "RENAME",
                keys.files_by_change(pipeline_id, status),
                keys.files_by_change_before(pipeline_id, status),
            )


def test_what_an_earlier_version_wrote_is_read_and_taken_over(server: RedisServer, link: Link) -> None:
    prefix = next(prefixes)
    keys = Keys(prefix)
    journal = RedisJournal(server.url, prefix=prefix)
    pipeline, recorder = recorded("papers")
    work(pipeline)
    append(journal, pipeline, recorder)
    journal.close()
    before(link, prefix, "papers")
    # A server of this version, while the pipeline still runs under the earlier one.
    reader = RedisJournal(server.url, prefix=prefix)
    assert listed(reader, "papers") == ALL
    assert [file.name for file in reader.saved()["papers"].in_flight] == ["now.txt"]
    reader.close()
    # The process of the pipeline is started anew, with this version.
    journal = RedisJournal(server.url, prefix=prefix)
    pipeline.complete_file("good.txt", success=False, file_id="1", error="no more")
    append(journal, pipeline, recorder)
    assert listed(journal, "papers") == {**ALL, "good.txt": "failed"}
    assert not any(link.call("EXISTS", keys.files_by_change_before("papers", status)) for status in FileStatus)
    journal.close()


def test_a_pipeline_that_an_earlier_version_kept_out_gets_its_place(server: RedisServer, link: Link) -> None:
    prefix = next(prefixes)
    keys = Keys(prefix)
    journal = RedisJournal(server.url, prefix=prefix)
    first, of_first = recorded("papers")
    work(first)
    append(journal, first, of_first)
    before(link, prefix, "papers")
    assert link.call("TYPE", keys.files("papers:failed")) == "zset"
    second, of_second = recorded("papers:failed")
    work(second)
    # While the first runs under the earlier version, its keys are left alone.
    core_of(second).flush(everything=True)
    with pytest.raises(Exception, match="WRONGTYPE"):
        RedisJournal(server.url, prefix=prefix).append(of_second.events)
    assert link.call("TYPE", keys.files("papers:failed")) == "zset"
    journal.close()
    journal = RedisJournal(server.url, prefix=prefix)
    append(journal, second, of_second)
    assert listed(journal, "papers:failed") == ALL
    assert listed(journal, "papers") == ALL
    journal.close()


def test_back_to_the_earlier_version_and_forth_loses_no_file(server: RedisServer, link: Link) -> None:
    prefix = next(prefixes)
    keys = Keys(prefix)
    journal = RedisJournal(server.url, prefix=prefix)
    pipeline, recorder = recorded("papers")
    work(pipeline)
    append(journal, pipeline, recorder)
    journal.close()
    # The earlier version has seen a file fail that was stored, in keys of its own.
    rows = keys.files("papers")
    key = "id:1"
    row = str(link.call("HGET", rows, key))
    link.call("HSET", rows, key, row.replace("completed", "failed", 1))
    link.call("ZADD", keys.files_by_change_before("papers", FileStatus.FAILED), "99", key)
    journal = RedisJournal(server.url, prefix=prefix)
    journal._claim({"papers"})
    assert listed(journal, "papers") == {**ALL, "good.txt": "failed"}
    journal.close()
