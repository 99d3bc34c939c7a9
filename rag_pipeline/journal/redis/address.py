"""The address of Redis, read from a URL; the password never appears in logs or errors."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from rag_pipeline.errors import JournalError

DEFAULT_PORT = 6379
_FORM = "redis://[user:password@]host[:port][/number], or rediss:// for TLS"
_TLS_OPTIONS = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs")


class RedisAddress:
    """Host, port and database number; ``str()`` is safe for logs."""

    def __init__(self, url: str) -> None:
        """Read the URL; raises JournalError, whose message never repeats it."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            # The original message repeats a part of the URL, which may be of a password with a "/" in it.
            raise JournalError(f"the Redis URL can't be read: it must be {_FORM}") from None
        if parts.scheme not in ("redis", "rediss"):
            raise JournalError(f"the Redis URL must begin with redis:// or rediss://: {_FORM}")
        if not parts.hostname or parts.fragment:
            raise JournalError(f"the Redis URL names no host: it must be {_FORM}, with # / ? @ in a password as %23 …")
        number = parts.path.strip("/") or "0"
        if not (number.isascii() and number.isdigit()):
            raise JournalError(f"the path of the Redis URL must be a database number: {_FORM}")
        self.tls = parts.scheme == "rediss"
        self.host = unquote(parts.hostname)
        self.port = DEFAULT_PORT if port is None else port
        self.number = int(number)
        self._username = unquote(parts.username or "") or None
        self._password = unquote(parts.password or "") or None
        self._options = self._read_options(parts.query)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}/{self.number}"

    def __repr__(self) -> str:
        return f"<Address {self}>"

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of a redis-py connection, password included."""
        return {
            "host": self.host,
            "port": self.port,
            "db": self.number,
            "username": self._username,
            "password": self._password,
            **self._options,
        }

    def without_secret(self, text: str) -> str:
        """Return the text with the password masked."""
        return text if self._password is None else text.replace(self._password, "***")

    def _read_options(self, query: str) -> dict[str, str]:
        options = dict(parse_qsl(query, keep_blank_values=True))
        allowed = _TLS_OPTIONS if self.tls else ()
        if any(name not in allowed for name in options):
            # Not named: it may be the rest of a password with a "?" in it.
            known = f"may be {', '.join(_TLS_OPTIONS)}" if self.tls else "are for rediss:// only"
            raise JournalError(f"the Redis URL has an unknown option; options {known}")
        return options
