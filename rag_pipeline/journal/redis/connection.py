"""A connection to Redis on native sockets: it sends nothing twice, and its errors are one line.

redis-py's client would resend a command whose answer was lost. Its connections, used here, leave that decision to us.
"""

from __future__ import annotations

import _socket
from collections.abc import Sequence
from typing import Any

from redis.backoff import NoBackoff
from redis.connection import Connection, SSLConnection
from redis.exceptions import (
    AuthenticationError,
    ClusterDownError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from rag_pipeline.errors import JournalError
from rag_pipeline.journal.redis.address import RedisAddress
from rag_pipeline.journal.redis.scripts import Script

TIMEOUT_SECONDS = 3.0
OLDEST_VERSION = 7
_MAX_REASON = 300
_PASSING = (ClusterDownError, NoScriptError, OutOfMemoryError, ReadOnlyError, TryAgainError)
_PASSING_CODES = frozenset({"BUSY", "INPROG", "LOADING", "MASTERDOWN", "MISCONF", "NOREPLICAS", "OOM", "UNKILLABLE"})
"""Errors that go away by themselves: during failover, while the server loads, or while memory or disk are short."""


class RedisUnavailableError(JournalError):
    """Redis failed for a reason that may go away."""

    retryable = True


class ConnectionLostError(RedisUnavailableError):
    """Redis can't be reached, or the connection was lost."""


class RedisRefusedError(RedisUnavailableError):
    """Redis refuses until somebody changes something: a missing permission, a key of another type."""


def is_refusal(error: JournalError) -> bool:
    """Return whether an early retry is useless: the login or a command was refused, or the server is unsuitable."""
    return isinstance(error, RedisRefusedError) or not error.retryable


class _NativeConnection(Connection):
    """Uses ``_socket``, which a host program's monkey patching does not reach."""

    def _connect(self) -> Any:
        error: OSError | None = None
        found = _socket.getaddrinfo(self.host, self.port, 0, _socket.SOCK_STREAM)
        for family, kind, proto, _, address in found:
            sock = _socket.socket(family, kind, proto)
            try:
                sock.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
                sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_KEEPALIVE, 1)
                sock.settimeout(self.socket_connect_timeout)
                sock.connect(address)
                sock.settimeout(self.socket_timeout)
            except OSError as failed:
                error = failed
                sock.close()
            else:
                return sock
        raise error or OSError("the host name has no address")


class _NativeTlsConnection(SSLConnection, _NativeConnection):
    """The same under TLS."""


class RedisConnection:
    """Connects on first use and again after every failure.

    For one thread at a time; only :meth:`interrupt` may be called from another.
    """

    def __init__(self, address: RedisAddress, *, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self.address = address
        self._timeout = timeout_seconds
        self._connection: Any = None
        self._server_run = ""

    @property
    def connected(self) -> bool:
        """Whether there is a connection; it may be lost already."""
        return self._connection is not None

    def connect(self) -> None:
        """Connect, and check that the server is suitable; raises JournalError."""
        if self._connection is not None:
            return
        kind: Any = _NativeTlsConnection if self.address.tls else _NativeConnection
        connection = kind(
            **self.address.arguments(),
            socket_timeout=self._timeout,
            socket_connect_timeout=self._timeout,
            retry=Retry(NoBackoff(), 0),
            decode_responses=True,
            encoding_errors="backslashreplace",
            protocol=2,
            client_name="rag-pipeline",
        )
        try:
            connection.connect()
            connection.send_command("INFO", "server")
            self._check(connection.read_response())
        except JournalError:
            connection.disconnect()
            raise
        except (RedisError, OSError, ValueError) as error:
            connection.disconnect()
            raise self._failure(error) from None
        self._connection = connection

    @property
    def server_run(self) -> str:
        """The server's run id, which changes at each start; connects if necessary."""
        self.connect()
        return self._server_run

    def call(self, *command: str | int | float) -> Any:
        """Send one command and return its answer."""
        return self.call_all([command])[0]

    def call_all(self, commands: Sequence[Sequence[str | int | float]]) -> list[Any]:
        """Send the commands in one write; return their answers. After an error any of them may have run."""
        self.connect()
        connection = self._connection
        try:
            connection.send_packed_command([b"".join(map(_pack, commands))])
            answers = [self._answer(connection) for _ in commands]
        except (RedisError, OSError, ValueError) as error:
            self.close()
            raise self._failure(error) from None
        refused = next((answer for answer in answers if isinstance(answer, ResponseError)), None)
        if refused is not None and not isinstance(refused, NoScriptError):
            raise self._failure(refused)
        return answers

    def run(
        self,
        script: Script,
        keys: Sequence[str],
        arguments: Sequence[str | int | float],
        *,
        after: Sequence[Sequence[str | int | float]] = (),
    ) -> Any:
        """Run the script and return its result.

        The commands ``after`` are sent before it in the same write; their answers are ignored.
        """
        rest = (len(keys), *keys, *arguments)
        answer = self.call_all([*after, ("EVALSHA", script.digest, *rest)])[-1]
        if isinstance(answer, NoScriptError):
            answer = self.call("EVAL", script.source, *rest)
        return answer

    def interrupt(self) -> None:
        """Interrupt a wait of the thread that uses the connection; the connection is lost."""
        connection = self._connection
        sock = None if connection is None else connection._sock
        if sock is not None:
            try:
                sock.shutdown(_socket.SHUT_RDWR)
            except OSError:
                pass  # it ended by itself

    def close(self) -> None:
        """Disconnect; the next use reconnects."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.disconnect()

    def _answer(self, connection: Any) -> Any:
        try:
            return connection.read_response()
        except ResponseError as error:
            if connection._sock is None:
                raise  # no more answers will come
            return error  # the answers after it must still be read

    def _check(self, info: str) -> None:
        known = dict(line.split(":", 1) for line in info.splitlines() if ":" in line)
        mode = known.get("redis_mode") or known.get("server_mode", "standalone")  # Valkey says the latter
        if mode != "standalone":
            raise JournalError(f"Redis at {self.address} runs as a {mode}; the journal needs a standalone server")
        self._server_run = known.get("run_id", "")
        version = known.get("redis_version", "")
        if not version.split(".")[0].isdigit() or int(version.split(".")[0]) < OLDEST_VERSION:
            raise JournalError(
                f"Redis at {self.address} has version {version or 'unknown'}; "
                f"the journal needs Redis {OLDEST_VERSION} or newer, or Valkey"
            )

    def _failure(self, error: Exception) -> JournalError:
        if isinstance(error, RedisTimeoutError):
            return RedisUnavailableError(f"Redis at {self.address} did not answer within {self._timeout:g} s")
        if isinstance(error, AuthenticationError):
            return JournalError(f"Redis at {self.address} refused the login: {self._reason(error)}")
        if isinstance(error, RedisConnectionError | OSError):
            return ConnectionLostError(f"Redis at {self.address} can't be reached: {self._reason(error)}")
        if isinstance(error, ResponseError):
            passes = isinstance(error, _PASSING) or str(error).split(" ", 1)[0] in _PASSING_CODES
            kind = RedisUnavailableError if passes else RedisRefusedError
            return kind(f"Redis at {self.address} refused a command: {self._reason(error)}")
        return JournalError(f"the server at {self.address} does not speak the Redis protocol")

    def _reason(self, error: Exception) -> str:
        # redis-py's messages repeat host and port, and some servers echo what they were sent.
        cause = error if isinstance(error, OSError) else error.__context__
        text = cause.strerror if isinstance(cause, OSError) and cause.strerror else str(error)
        text = " ".join(self.address.without_secret(text).split()).rstrip(".")
        return text[:_MAX_REASON]


def _pack(command: Sequence[str | int | float]) -> bytes:
    """Return the command in wire format; redis-py takes four times as long for the thousands of texts of a batch."""
    parts = [b"*%d\r\n" % len(command)]
    for value in command:
        data = (value if isinstance(value, str) else repr(value)).encode("utf-8", "backslashreplace")
        parts.append(b"$%d\r\n%b\r\n" % (len(data), data))
    return b"".join(parts)
