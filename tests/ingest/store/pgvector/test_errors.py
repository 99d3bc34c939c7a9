"""Classification of errors that a real PostgreSQL server raises."""

from __future__ import annotations

from collections.abc import Callable
from typing import LiteralString

import psycopg
import pytest

from rag_pipeline.ingest.postgres_address import PostgresAddress
from rag_pipeline.ingest.store.pgvector.errors import PostgresFailure, classify
from tests.ingest.store.postgres import PASSWORD, USER, PostgresServer

ADDRESS = PostgresAddress("db", 5432, "rag", "me", "hush")


def raised(postgres: PostgresServer, code: str) -> PostgresFailure:
    """Return the classified error that the server raises with this code."""
    with pytest.raises(psycopg.Error) as caught:
        postgres.execute(_raise(code))
    return classify(caught.value, ADDRESS)


def _raise(code: str) -> LiteralString:
    statement: LiteralString = "DO 'BEGIN RAISE EXCEPTION ''the server says hush'' USING ERRCODE = ''%s''; END'"
    return statement.replace("%s", code)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("code", "cause", "retryable", "waited_for"),
    [
        ("53100", "the server's disk is full", True, False),
        ("53300", "the server has no connection left", True, True),
        ("57014", "it took longer than is allowed", True, False),
        ("57P01", "the server is shutting down", True, True),
        ("40P01", "another transaction was in the way", True, True),
        ("55P03", "another session holds a lock on it", True, False),
        ("25006", "the server takes no writes now: it is a standby, or was made read-only", True, True),
        ("08006", "the server says ***", True, True),
        ("58030", "the server says ***", True, False),
        ("42501", "the server says ***: the user needs more rights", False, False),
        ("XX001", "the server says that its files are damaged", False, False),
        ("22012", "the server says ***", False, False),
    ],
)
def test_a_code_has_a_cause_and_a_retry_decision(
    postgres: PostgresServer, code: str, cause: str, retryable: bool, waited_for: bool
) -> None:
    assert raised(postgres, code)[:3] == (cause, retryable, waited_for)


@pytest.mark.slow
def test_missing_tables_are_reported(postgres: PostgresServer) -> None:
    with pytest.raises(psycopg.Error) as caught:
        postgres.execute("SELECT 1 FROM no_such_table")
    fault = classify(caught.value, ADDRESS)
    assert fault.cause.startswith("the schema rag_pipeline lacks tables of a store, or has others of their names: ")
    assert "DROP SCHEMA IF EXISTS rag_pipeline CASCADE" in fault.cause
    assert not fault.retryable


Connect = Callable[[PostgresServer], object]


@pytest.mark.parametrize(
    ("connect", "cause", "passes"),
    [
        (lambda s: _connect(s, user=USER, password="wrong"), "the server refuses this user or password", False),
        (lambda s: _connect(s, user="nobody", password="wrong"), "the server refuses this user or password", False),
        (lambda s: _connect(s, user=USER), "the server requires a password", False),
        (lambda s: _connect(s, user=USER, password=PASSWORD, dbname="none"), "there is no database 'none'", False),
        (lambda s: _connect(s, user=USER, password=PASSWORD, dbname='a\nb"'), "there is no database 'a\\nb\"'", False),
        (
            lambda s: _connect(s, user=USER, password=PASSWORD, sslmode="require"),
            "the server does not support TLS",
            False,
        ),
        (lambda s: _connect(s, user=USER, password=PASSWORD, sslmode="hush"), "invalid sslmode value", False),
        (lambda _: psycopg.connect(host="127.0.0.1", port=1, dbname="x", user="x"), "Connection refused", True),
        (lambda _: psycopg.connect(host="/nowhere", dbname="x", user="x"), "No such file or directory", True),
        (lambda _: psycopg.connect(host="no-such-host.invalid", dbname="x", user="x"), "failed to resolve host", True),
    ],
    ids=[
        "password",
        "user",
        "no password",
        "database",
        "odd database",
        "no TLS",
        "sslmode",
        "refused",
        "no socket",
        "no host",
    ],
)
def test_a_failed_connection_is_explained(postgres: PostgresServer, connect: Connect, cause: str, passes: bool) -> None:
    with pytest.raises(psycopg.Error) as caught:
        connect(postgres)
    fault = classify(caught.value, ADDRESS)
    assert fault.cause.startswith(cause)
    assert "hush" not in fault.cause
    assert "\n" not in fault.cause
    assert (fault.retryable, fault.wait) == (passes, passes)


def test_a_broken_connection_is_worth_waiting(postgres: PostgresServer) -> None:
    connection = postgres.connect()
    with pytest.raises(psycopg.Error) as caught:
        connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    connection.close()
    assert classify(caught.value, ADDRESS).wait
    assert classify(caught.value, ADDRESS).connection_lost
    with pytest.raises(psycopg.Error) as closed:
        connection.execute("SELECT 1")
    assert classify(closed.value, ADDRESS).wait


def test_a_programming_error_is_not_retried() -> None:
    assert classify(psycopg.ProgrammingError("odd\nmore"), ADDRESS) == ("odd", False, False, False)
    assert classify(psycopg.DataError(), ADDRESS) == ("DataError", False, False, False)
    assert len(classify(psycopg.DataError("x" * 5000), ADDRESS).cause) == 300


def _connect(server: PostgresServer, **parameters: str) -> object:
    known: dict[str, str | int] = {"host": "127.0.0.1", "port": server.port, "dbname": "postgres"}
    return psycopg.connect(**{**known, **parameters})  # type: ignore[arg-type]
