"""What went wrong with PostgreSQL, in words for people, and whether it passes by itself."""

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
# A table of the store is not there, or is another's of that name. What is left is not mended.
_GONE = frozenset({"3F000", "42P01", "42703"})
_LASTING = {
    "XX001": "the server says that its files are damaged",
    "XX002": "the server says that its files are damaged",
}
# Worth a few seconds of waiting: a restart, a failover, a burst of connections.
_WAITED_FOR = frozenset({"25006", "40001", "40P01", "53300", "57P01", "57P02", "57P03"})
_LOST = frozenset({"57P01", "57P02"})
# A connection that was refused comes without a code; these are not for waiting.
_REFUSALS = (
    ("password authentication failed", "the server refuses this user or password"),
    ("no password supplied", "the server asks for a password: put it into RAG_STORE_URL, or set PGPASSWORD"),
    ("no pg_hba.conf entry", "the server lets this user not in from here (pg_hba.conf)"),
    ("invalid sslmode", None),
    ("server does not support SSL", "the server does not speak TLS, and sslmode asks for it"),
    ("certificate verify failed", "the server's certificate is not trusted (sslrootcert)"),
    ("root certificate file", None),
)
_MISSING_DATABASE = re.compile(r'database "(.{0,200})" does not exist', re.DOTALL)
_PREAMBLE = re.compile(r"^connection (?:failed|is bad): |connection to server (?:at|on) .{0,500}? failed: ")
_MAX_CAUSE = 300


class PostgresFailure(NamedTuple):
    """A failure: why, whether another try may succeed with nothing changed, and whether to wait for that.

    ``lost`` says that the connection is no more, or could not be made.
    """

    cause: str
    retryable: bool
    waited_for: bool
    lost: bool = False


def classify(error: psycopg.Error, address: PostgresAddress) -> PostgresFailure:
    """Return what an error of the driver means."""
    code = error.sqlstate
    if code is None:
        return _without_code(error, address)
    if code in _CAUSES:
        return PostgresFailure(_CAUSES[code], retryable=True, waited_for=code in _WAITED_FOR, lost=code in _LOST)
    if code in _GONE:
        return PostgresFailure(_gone(address), retryable=False, waited_for=False)
    if code in _LASTING:
        return PostgresFailure(_LASTING[code], retryable=False, waited_for=False)
    told = _first_line(error.diag.message_primary or str(error), address)
    if code == "42501":
        return PostgresFailure(f"{told}: the user needs more rights", retryable=False, waited_for=False)
    lost = code.startswith("08")
    return PostgresFailure(told, retryable=lost or code.startswith(("53", "57", "58")), waited_for=lost, lost=lost)


def _gone(address: PostgresAddress) -> str:
    return (
        f"the schema {address.schema} lacks tables of a store, or has others of their names: stop what writes to it, "
        f"remove it (DROP SCHEMA IF EXISTS {address.schema} CASCADE) and start rag-pipeline again, which embeds "
        "everything again, or name another schema in RAG_STORE_URL (?schema=…)"
    )


def _without_code(error: psycopg.Error, address: PostgresAddress) -> PostgresFailure:
    """Explain what the driver says itself: no connection could be made, or it broke."""
    text = str(error)
    if missing := _MISSING_DATABASE.search(text):
        return PostgresFailure(f"there is no database {missing[1]!r}: create it (CREATE DATABASE)", False, False)
    for sign, cause in _REFUSALS:
        if sign in text:
            return PostgresFailure(cause or _first_line(text, address), retryable=False, waited_for=False)
    lost = isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
    return PostgresFailure(
        _first_line(text, address) or type(error).__name__, retryable=lost, waited_for=lost, lost=lost
    )


def _first_line(text: str, address: PostgresAddress) -> str:
    """Return the beginning of a message, without the address, which the reader has, and without the password."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    line = _PREAMBLE.sub("", line)
    if address.password:
        line = line.replace(address.password, "***")
    return line[:_MAX_CAUSE]
