"""Classifies PostgreSQL errors: the cause in plain words, and whether to retry."""

from __future__ import annotations

import re
from typing import NamedTuple

import psycopg

from rag_pipeline.ingest.postgres_address import PostgresAddress

_CAUSES = {
    "25006": "the server takes no writes now: it is a standby, or was made read-only",
    "40001": "another transaction was in the way",
    "40P01": "another transaction was in the way",
    "53100": "the server's disk is full",
    "53200": "the server is out of memory",
    "53300": "the server has no connection left",
    "55P03": "another session holds a lock on it",
    "57014": "it took longer than is allowed",
    "57P01": "the server is shutting down",
    "57P02": "the server crashed",
    "57P03": "the server takes no connections yet",
}
# A table of the store is missing, or a foreign table has its name. The rest of the store is not repaired.
_MISSING_TABLES = frozenset({"3F000", "42P01", "42703"})
_PERMANENT = {
    "XX001": "the server says that its files are damaged",
    "XX002": "the server says that its files are damaged",
}
# May pass within seconds: a restart, a failover, a burst of connections.
_WAIT = frozenset({"25006", "40001", "40P01", "53300", "57P01", "57P02", "57P03"})
_CONNECTION_LOST = frozenset({"57P01", "57P02"})
# A refused connection has no error code. Waiting does not help with these refusals.
_CONNECTION_REFUSALS = (
    ("password authentication failed", "the server refuses this user or password"),
    ("no password supplied", "the server requires a password: put it into RAG_STORE_URL, or set PGPASSWORD"),
    ("no pg_hba.conf entry", "the server does not allow this user to connect from here (pg_hba.conf)"),
    ("invalid sslmode", None),
    ("server does not support SSL", "the server does not support TLS, but sslmode requires it"),
    ("certificate verify failed", "the server's certificate is not trusted (sslrootcert)"),
    ("root certificate file", None),
)
_MISSING_DATABASE = re.compile(r'database "(.{0,200})" does not exist', re.DOTALL)
_PREAMBLE = re.compile(r"^connection (?:failed|is bad): |connection to server (?:at|on) .{0,500}? failed: ")
_MAX_CAUSE = 300


class PostgresFailure(NamedTuple):
    """A classified error.

    retryable: another attempt may succeed although nothing is changed.
    wait: the failure may pass within seconds.
    connection_lost: the connection broke, or could not be established.
    """

    cause: str
    retryable: bool
    wait: bool
    connection_lost: bool = False


def classify(error: psycopg.Error, address: PostgresAddress) -> PostgresFailure:
    """Return the classified error of the driver."""
    code = error.sqlstate
    if code is None:
        return _without_code(error, address)
    if code in _CAUSES:
        return PostgresFailure(
            _CAUSES[code], retryable=True, wait=code in _WAIT, connection_lost=code in _CONNECTION_LOST
        )
    if code in _MISSING_TABLES:
        return PostgresFailure(_missing_tables(address), retryable=False, wait=False)
    if code in _PERMANENT:
        return PostgresFailure(_PERMANENT[code], retryable=False, wait=False)
    message = _first_line(error.diag.message_primary or str(error), address)
    if code == "42501":
        return PostgresFailure(f"{message}: the user needs more rights", retryable=False, wait=False)
    lost = code.startswith("08")
    return PostgresFailure(
        message, retryable=lost or code.startswith(("53", "57", "58")), wait=lost, connection_lost=lost
    )


def _missing_tables(address: PostgresAddress) -> str:
    return (
        f"the schema {address.schema} lacks tables of a store, or has others of their names: stop what writes to it, "
        f"remove it (DROP SCHEMA IF EXISTS {address.schema} CASCADE) and start rag-pipeline again, which embeds "
        "everything again, or name another schema in RAG_STORE_URL (?schema=…)"
    )


def _without_code(error: psycopg.Error, address: PostgresAddress) -> PostgresFailure:
    """Classify an error of the driver itself: the connection failed or broke."""
    text = str(error)
    if missing := _MISSING_DATABASE.search(text):
        return PostgresFailure(f"there is no database {missing[1]!r}: create it (CREATE DATABASE)", False, False)
    for sign, cause in _CONNECTION_REFUSALS:
        if sign in text:
            return PostgresFailure(cause or _first_line(text, address), retryable=False, wait=False)
    lost = isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
    return PostgresFailure(
        _first_line(text, address) or type(error).__name__, retryable=lost, wait=lost, connection_lost=lost
    )


def _first_line(text: str, address: PostgresAddress) -> str:
    """Return a message's first line without the password, and without the address, which our message names already."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    line = _PREAMBLE.sub("", line)
    if address.password:
        line = line.replace(address.password, "***")
    return line[:_MAX_CAUSE]
