"""One table of a run file: values are read by key, and what is wrong is told with file, table and key."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn, overload

from rag_pipeline.errors import ConfigurationError

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}", re.ASCII)
_KEY = re.compile(r"[A-Za-z0-9_-]{1,100}", re.ASCII)
# An address with a password, or a key's JSON, that was put into the wrong place.
_MAY_BE_SECRET = re.compile(r"[@{\r\n]")
_MAX_SHOWN = 200


class Table:
    """Reads the values of a table; every call raises ConfigurationError in one line for a value that can't be used.

    ``name`` is how people find it, such as ``[[pipeline]] 2 (papers)``. What was not read by the end is unknown, see
    :meth:`finish`.
    """

    def __init__(self, file: str, name: str, values: Mapping[str, Any]) -> None:
        self.name = name
        self._file = file
        self._values = values
        self._known: set[str] = set()

    def text(self, key: str, expected: str, default: str | None = None) -> str | None:
        """Return a string that says something; the default for a key that isn't there."""
        value = self._get(key)
        if value is None:
            return default
        if not isinstance(value, str) or not value.strip():
            self.reject(key, expected)
        return value.strip()

    def required(self, key: str, expected: str) -> str:
        """Return a string that has to be there."""
        value = self.text(key, expected)
        if value is None:
            self.missing(key, expected)
        return value

    def variable(self, key: str, holding: str) -> str | None:
        """Return the name of an environment variable; None for a key that isn't there.

        What can't be a name is not repeated: it may be the secret that belongs into the variable.
        """
        expected = f"the name of an environment variable that holds {holding}"
        value = self.text(key, expected)
        if value is not None and not _VARIABLE.fullmatch(value):
            self.fail(f"{key}: expected {expected}: letters, digits and _")
        return value

    def path(self, key: str, expected: str, base: Path) -> Path | None:
        """Return a path, relative to ``base`` unless it says otherwise; None for a key that isn't there."""
        value = self.text(key, expected)
        if value is None:
            return None
        try:
            found = base / Path(value).expanduser()
        except RuntimeError:  # of ~someone, who isn't known here
            self.reject(key, expected)
        if "\0" in value:
            self.reject(key, expected)
        return found

    @overload
    def whole(self, key: str, default: int, *, low: int, high: int) -> int: ...

    @overload
    def whole(self, key: str, default: None, *, low: int, high: int) -> int | None: ...

    def whole(self, key: str, default: int | None, *, low: int, high: int) -> int | None:
        """Return a whole number between ``low`` and ``high``."""
        value = self._get(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            self.reject(key, f"a whole number from {low} to {high}")
        return value

    def number(self, key: str, default: float, *, low: float, high: float) -> float:
        """Return a number between ``low`` and ``high``."""
        value = self._get(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            self.reject(key, f"a number from {low:g} to {high:g}")
        return float(value)

    def finish(self) -> None:
        """Raise ConfigurationError if the table has a key that nobody has asked for."""
        for key in self._values:
            if key not in self._known:
                # Not its value: it may be a secret that stands in the wrong place.
                self.fail(f"unknown key {shown_key(key)}: expected {', '.join(sorted(self._known))}")

    def missing(self, key: str, expected: str) -> NoReturn:
        """Raise the one-line error for a value that has to be there."""
        self.fail(f"{key} is missing: expected {expected}")

    def reject(self, key: str, expected: str) -> NoReturn:
        """Raise the one-line error for a value."""
        self.fail(f"{key}={_shown(self._values.get(key))}: expected {expected}")

    def fail(self, problem: str) -> NoReturn:
        """Raise ConfigurationError with where it is."""
        raise ConfigurationError(f"{self._file}: {self.name}: {problem}")

    def _get(self, key: str) -> Any:
        self._known.add(key)
        return self._values.get(key)


def shown_key(key: str) -> str:
    """Return a key for a message; one that no table has ever had may be a value that slipped."""
    return repr(key) if _KEY.fullmatch(key) else "***"


def _shown(value: object) -> str:
    match value:
        case dict():
            return "a table"
        case list():
            return "a list"
        case str():
            return "***" if _MAY_BE_SECRET.search(value) else repr(value)[:_MAX_SHOWN]
        case int() if value.bit_length() > 64:  # Python writes out no number of more than 4,300 digits
            return "a number that is too long"
    return str(value).lower()[:_MAX_SHOWN]
