"""The address of a PostgreSQL store, parsed from RAG_STORE_URL. Loads no library, and shows no password."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NoReturn
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from rag_pipeline.errors import ConfigurationError

DEFAULT_SCHEMA = "rag_pipeline"
DEFAULT_PORT = 5432
SCHEMES = ("postgresql+psycopg", "postgresql")
EXAMPLE = "postgresql+psycopg://user:password@host:5432/database"

# Passed on to libpq: https://www.postgresql.org/docs/current/libpq-connect.html
_PARAMETERS = frozenset(
    {"application_name", "channel_binding", "connect_timeout", "passfile", "sslcert", "sslkey", "sslmode"}
    | {"sslnegotiation", "sslrootcert", "target_session_attrs"}
)
_SCHEMA = re.compile(r"(?!pg_)[a-z_][a-z0-9_]{0,62}")


@dataclass(frozen=True, slots=True)
class PostgresAddress:
    """A database, and the store's schema in it.

    ``host`` is a name, an IP address, or the folder of a Unix socket. Without ``user`` or ``password``, libpq finds
    them as for psql: PGUSER, PGPASSWORD, ~/.pgpass.
    """

    host: str
    port: int
    database: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    schema: str = DEFAULT_SCHEMA
    parameters: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        """Return the address for messages, without user and password."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        schema = "" if self.schema == DEFAULT_SCHEMA else f"?schema={self.schema}"
        return f"postgresql://{host}:{self.port}/{self.database}{schema}"

    def connection_parameters(self) -> dict[str, str | int]:
        """Return the keyword arguments of psycopg.connect."""
        parameters: dict[str, str | int] = {"host": self.host, "port": self.port, "dbname": self.database}
        if self.user is not None:
            parameters["user"] = self.user
        if self.password is not None:
            parameters["password"] = self.password
        return parameters | dict(self.parameters)


def parse_address(key: str, text: str) -> PostgresAddress:
    """Parse an address; raises ConfigurationError that names ``key`` and the error, without any secret part."""
    scheme = text.partition("://")[0]
    if scheme not in SCHEMES:
        _reject(key, "***", f"an address such as {EXAMPLE}")
    shown = f"{scheme}://***"
    try:
        parts = urlsplit(text)
        port = parts.port or DEFAULT_PORT
        query = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        _reject(key, shown, f"{EXAMPLE}, with /, ?, # and @ in a password written as %2F, %3F, %23 and %40")
    options = dict(query)
    host = options.pop("host", None) or parts.hostname
    schema = options.pop("schema", DEFAULT_SCHEMA)
    database = unquote(parts.path.removeprefix("/"))
    if not host or not database or "/" in database or parts.fragment:
        _reject(key, shown, f"{EXAMPLE}, with a host and the name of a database")
    if not _SCHEMA.fullmatch(schema):
        _reject(key, shown, "a schema of lower case letters, digits and _, such as ?schema=rag")
    if not set(options) <= _PARAMETERS:
        _reject(key, shown, f"no other parameters than host, schema, {', '.join(sorted(_PARAMETERS))}")
    user, password = _credentials(parts)
    return PostgresAddress(host, port, database, user, password, schema, tuple(sorted(options.items())))


def _credentials(parts: SplitResult) -> tuple[str | None, str | None]:
    user = unquote(parts.username) if parts.username else None
    return user, unquote(parts.password) if parts.password else None


def _reject(key: str, shown: str, expected: str) -> NoReturn:
    raise ConfigurationError(f"{key}={shown!r}: expected {expected}")
