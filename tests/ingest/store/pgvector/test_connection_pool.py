"""Connections are reused, replaced after a loss, and waited for within limits."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator

import pytest

from rag_pipeline.errors import StoreError
from rag_pipeline.ingest.store.pgvector.connection_pool import ConnectionPool, PgConnection, transaction
from rag_pipeline.ingest.types import Stopped
from tests.ingest.store.postgres import PostgresServer
from tests.support.waiting import wait_until


class Waits(threading.Event):
    """A stop event that counts the waits for it."""

    count = 0

    def wait(self, timeout: float | None = None) -> bool:
        self.count += 1
        return super().wait(timeout)


@pytest.fixture
def stop() -> Waits:
    return Waits()


@pytest.fixture
def link(postgres: PostgresServer, stop: Waits) -> Iterator[ConnectionPool]:
    link = ConnectionPool(postgres.address(), stop=stop)
    yield link
    link.close()


def pid(connection: PgConnection) -> int:
    row = connection.execute("SELECT pg_backend_pid()").fetchone()
    assert row is not None
    number: int = row[0]
    return number


def test_a_connection_is_reused(link: ConnectionPool) -> None:
    assert link.run("asking", pid) == link.run("asking", pid)


def test_each_thread_has_its_own_connection_and_few_are_kept(postgres: PostgresServer, link: ConnectionPool) -> None:
    meeting = threading.Barrier(12)
    seen: list[int] = []

    def work(connection: PgConnection) -> None:
        meeting.wait(30)
        seen.append(pid(connection))

    threads = [threading.Thread(target=link.run, args=("asking", work)) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(set(seen)) == 12
    count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'rag-pipeline'"
    wait_until(lambda: postgres.execute(count) == [(8,)])


def test_a_connection_lost_while_idle_is_replaced_without_waiting(
    postgres: PostgresServer, link: ConnectionPool, stop: Waits
) -> None:
    before = link.run("asking", pid)
    postgres.execute(f"SELECT pg_terminate_backend({before})")
    assert link.run("asking", pid) != before
    assert stop.count == 0


def test_interrupted_work_is_repeated_from_the_start(link: ConnectionPool, caplog: pytest.LogCaptureFixture) -> None:
    turns: list[int] = []

    def work(connection: PgConnection) -> str:
        turns.append(1)
        with transaction(connection, "BEGIN"):
            connection.execute("SELECT 1")
            if len(turns) == 1:
                connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        return "done"

    with caplog.at_level(logging.WARNING):
        assert link.run("asking", work) == "done"
    assert len(turns) == 2
    assert caplog.messages == []


@pytest.mark.slow
def test_an_unreachable_server_is_waited_for(own_postgres: PostgresServer, stop: Waits) -> None:
    link = ConnectionPool(own_postgres.address(), stop=stop)
    link.run("asking", pid)
    own_postgres.stop()
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(link.run("asking", pid)))
    thread.start()
    wait_until(lambda: stop.count > 1)
    own_postgres.start()
    thread.join(30)
    assert len(found) == 1
    link.close()


@pytest.mark.slow
def test_a_stop_ends_the_wait_for_the_server(own_postgres: PostgresServer, stop: Waits) -> None:
    own_postgres.stop()
    link = ConnectionPool(own_postgres.address(), stop=stop, reconnect_seconds=3600)
    ended: list[BaseException] = []

    def run() -> None:
        try:
            link.run("asking", pid)
        except Stopped as stopped:
            ended.append(stopped)

    thread = threading.Thread(target=run)
    thread.start()
    wait_until(lambda: stop.count > 0)
    stop.set()
    thread.join(30)
    assert len(ended) == 1


@pytest.mark.slow
def test_a_server_that_stays_unreachable_is_a_retryable_one_line_error(own_postgres: PostgresServer) -> None:
    own_postgres.stop()
    link = ConnectionPool(own_postgres.address(), reconnect_seconds=0.3)
    with pytest.raises(StoreError) as caught:
        link.run("storing 'a.txt'", pid)
    at = f"postgresql://127.0.0.1:{own_postgres.port}/postgres"
    assert str(caught.value) == f"{at}: storing 'a.txt' failed: Connection refused"
    assert caught.value.retryable


@pytest.mark.slow
def test_a_permanent_refusal_is_not_retried_forever_while_other_calls_succeed(
    postgres: PostgresServer, stop: Waits
) -> None:
    link = ConnectionPool(postgres.address(), stop=stop, reconnect_seconds=5)  # longer than the first attempt

    def work(connection: PgConnection) -> None:
        link.run("asking", pid)  # another call, so that there is always an idle connection
        with transaction(connection, "BEGIN READ ONLY"):
            connection.execute("CREATE TABLE refused ()")

    with pytest.raises(StoreError, match="the server takes no writes now"):
        link.run("asking", work)
    assert stop.count > 0
    link.close()


def test_a_permanent_error_is_raised_at_once(postgres: PostgresServer, stop: Waits) -> None:
    link = ConnectionPool(postgres.address(password="wrong-hush"), stop=stop)
    with pytest.raises(StoreError, match="refuses this user or password") as caught:
        link.run("asking", pid)
    assert "hush" not in str(caught.value)
    assert not caught.value.retryable
    assert stop.count == 0


def test_a_statement_that_times_out_is_not_repeated(link: ConnectionPool) -> None:
    turns: list[int] = []

    def work(connection: PgConnection) -> None:
        turns.append(1)
        with transaction(connection, "BEGIN; SET LOCAL statement_timeout = '50ms'"):
            connection.execute("SELECT pg_sleep(60)")

    with pytest.raises(StoreError, match="took longer") as caught:
        link.run("asking", work)
    assert caught.value.retryable
    assert len(turns) == 1


def test_an_error_of_the_work_is_raised_and_leaves_no_open_transaction(link: ConnectionPool) -> None:
    first = link.run("asking", pid)

    def work(connection: PgConnection) -> None:
        with transaction(connection, "BEGIN"):
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        link.run("asking", work)
    assert link.run("asking", pid) != first, "the session was in a transaction, so it was ended"


def test_a_connection_in_a_transaction_is_not_reused(link: ConnectionPool) -> None:
    def begin(connection: PgConnection) -> int:
        connection.execute("BEGIN")
        return pid(connection)

    assert link.run("asking", begin) != link.run("asking", pid)


@pytest.mark.parametrize("within", [False, True])
def test_a_closed_pool_keeps_no_connection(postgres: PostgresServer, within: bool) -> None:
    link = ConnectionPool(postgres.address())
    connections: list[PgConnection] = []
    close: Callable[[], None] = link.close if within else lambda: None

    def work(connection: PgConnection) -> None:
        connections.append(connection)
        close()

    link.run("asking", work)
    link.close()
    link.close()
    assert connections[0].closed
    with pytest.raises(StoreError, match="closed"):
        link.run("asking", pid)


def test_sessions_use_utf8_whatever_the_environment_says(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    link = ConnectionPool(postgres.address())
    answer = link.run("asking", lambda c: c.execute("SELECT '東京' || %s", ["🎉"]).fetchone())
    link.close()
    assert answer == ("東京🎉",)


def test_no_statement_is_prepared_because_a_pooler_may_be_in_between(link: ConnectionPool) -> None:
    def work(connection: PgConnection) -> int:
        for _ in range(10):
            connection.execute("SELECT 1")
        return len(connection.execute("SELECT name FROM pg_prepared_statements").fetchall())

    assert link.run("asking", work) == 0
