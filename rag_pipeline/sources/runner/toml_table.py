"""One table of a run file: reads values by key; errors name file, table and key."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn, overload

from rag_pipeline.errors import ConfigurationError

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}", re.ASCII)
_KEY = re.compile(r"[A-Za-z0-9_-]{1,100}", re.ASCII)
# Perhaps an address with a password, or the JSON of a key, under the wrong key.
_MAY_BE_SECRET = re.compile(r"[@{\r\n]")
_MAX_SHOWN = 200


class TomlTable:
    """Reads the values of a table; each call raises ConfigurationError in one line for an invalid value.

    ``name`` shows people which table it is, such as ``[[pipeline]] 2 (papers)``. Call :meth:`finish` after reading.
    """

    def __init__(self, file: str, name: str, values: Mapping[str, Any]) -> None:
        self.name = name
        self._file = file
        self._values = values
        self._keys_read: set[str] = set()

    def text(self, key: str, expected: str, default: str | None = None) -> str | None:
        """Return a string that is not blank; the default if the key is missing."""
        value = self._get(key)
        if value is None:
            return default
        if not isinstance(value, str) or not value.strip():
            self.reject(key, expected)
        return value.strip()

    def required(self, key: str, expected: str) -> str:
        """Return a required string."""
        value = self.text(key, expected)
        if value is None:
            self.missing(key, expected)
        return value

    def variable(self, key: str, holding: str) -> str | None:
        """Return the name of an environment variable; None if the key is missing.

        The error does not repeat an invalid name, which may be the secret that belongs into the variable.
        """
        expected = f"the name of an environment variable that holds {holding}"
        value = self.text(key, expected)
        if value is not None and not _VARIABLE.fullmatch(value):
            self.fail(f"{key}: expected {expected}: letters, digits and _")
        return value

    def path(self, key: str, expected: str, base: Path) -> Path | None:
        """Return a path; relative ones start from ``base``. None if the key is missing."""
        value = self.text(key, expected)
        if value is None:
            return None
        try:
            path = base / Path(value).expanduser()
        except RuntimeError:  # ~user with an unknown user
            self.reject(key, expected)
        if "\0" in value:
            self.reject(key, expected)
        return path

    @overload
    def integer(self, key: str, default: int, *, low: int, high: int) -> int: ...

    @overload
    def integer(self, key: str, default: None, *, low: int, high: int) -> int | None: ...

    def integer(self, key: str, default: int | None, *, low: int, high: int) -> int | None:
        """Return an integer from ``low`` to ``high``."""
        value = self._get(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            self.reject(key, f"a whole number from {low} to {high}")
        return value

    def number(self, key: str, default: float, *, low: float, high: float) -> float:
        """Return a number from ``low`` to ``high``."""
        value = self._get(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            self.reject(key, f"a number from {low:g} to {high:g}")
        return float(value)

    def finish(self) -> None:
        """Raise ConfigurationError if the table has a key that was not read."""
        for key in self._values:
            if key not in self._keys_read:
                # The error does not show the value, which may be a secret under a wrong key.
                self.fail(f"unknown key {display_key(key)}: expected {', '.join(sorted(self._keys_read))}")

    def missing(self, key: str, expected: str) -> NoReturn:
        """Raise the one-line error for a missing value."""
        self.fail(f"{key} is missing: expected {expected}")

    def reject(self, key: str, expected: str) -> NoReturn:
        """Raise the one-line error for an invalid value."""
        self.fail(f"{key}={_display(self._values.get(key))}: expected {expected}")

    def fail(self, problem: str) -> NoReturn:
        """Raise ConfigurationError with the file and the table."""
        raise ConfigurationError(f"{self._file}: {self.name}: {problem}")

    def _get(self, key: str) -> Any:
        self._keys_read.add(key)
        return self._values.get(key)


def display_key(key: str) -> str:
    """Return a key for a message; a strange one is hidden, because it may be a misplaced secret."""
    return repr(key) if _KEY.fullmatch(key) else "***"


def _display(value: object) -> str:
    match value:
        case dict():
            return "a table"
        case list():
            return "a list"
        case str():
            return "***" if _MAY_BE_SECRET.search(value) else repr(value)[:_MAX_SHOWN]
        case int() if value.bit_length() > 64:  # Python formats no integer of more than 4,300 digits
            return "a number that is too long"
    return str(value).lower()[:_MAX_SHOWN]
