"""Read single settings from the environment.

A bad value raises :class:`ConfigurationError` with one line that names the variable, the value and what was expected.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import NoReturn, TypeVar

from rag_pipeline.errors import ConfigurationError

SECRETS = frozenset(
    {
        "EMBEDDING_API_KEY",
        "GOOGLE_DRIVE_CREDENTIALS_JSON",
        "RAG_STORE_URL",
        "STATUS_AUTH_TOKEN",
        "STATUS_JWT_SECRET",
        "STATUS_REDIS_URL",
        "STATUS_TOKEN",
    }
)
"""Settings that can also be read from a file, whose path is in ``<name>_FILE``."""
MAX_SECRET_BYTES = 1 << 16
_FLAGS = dict.fromkeys(("1", "true", "yes", "on"), True) | dict.fromkeys(("0", "false", "no", "off"), False)
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")

_E = TypeVar("_E", bound=StrEnum)


def reject(key: str, value: object, expected: str) -> NoReturn:
    """Raise the one-line error for a bad setting."""
    raise ConfigurationError(f"{key}={value!r}: expected {expected}")


def reject_unset(key: str, expected: str) -> NoReturn:
    """Raise the one-line error for a setting that is required but not set."""
    raise ConfigurationError(f"{key} is not set: expected {expected}")


def read_str(env: Mapping[str, str], key: str) -> str | None:
    """Return the variable's value without surrounding space; None if it is unset or empty.

    A secret can be in a file that ``<key>_FILE`` names: other processes of the user can read an environment, and so can
    anyone who inspects the container.
    """
    value = env.get(key, "").strip() or None
    path = env.get(f"{key}_FILE", "").strip() if key in SECRETS else ""
    if not path:
        return value
    if value is not None:
        raise ConfigurationError(f"{key} and {key}_FILE are both set: expected one of them")
    return _read_secret_file(f"{key}_FILE", path)


def _read_secret_file(key: str, path: str) -> str:
    try:
        with Path(path).expanduser().open("rb") as file:
            content = file.read(MAX_SECRET_BYTES + 1)
        text = content.decode().strip()
    except OSError as error:
        reject(key, path, f"a readable file ({error.strerror or error})")
    except ValueError:
        reject(key, path, "a text file in UTF-8")
    if not text or len(content) > MAX_SECRET_BYTES:
        reject(key, path, f"a file that contains the secret, of 1 to {MAX_SECRET_BYTES:,} bytes")
    return text


def read_int(env: Mapping[str, str], key: str, default: int, *, low: int, high: int) -> int:
    """Return the variable as an integer between ``low`` and ``high``."""
    text = read_str(env, key)
    if text is None:
        return default
    if not _INTEGER.fullmatch(text) or not low <= int(text) <= high:
        reject(key, text, f"a whole number from {low} to {high}")
    return int(text)


def read_float(env: Mapping[str, str], key: str, default: float, *, low: float, high: float) -> float:
    """Return the variable as a number between ``low`` and ``high``."""
    text = read_str(env, key)
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        reject(key, text, f"a number from {low:g} to {high:g}")
    return value


def read_choice(env: Mapping[str, str], key: str, default: _E) -> _E:
    """Return the variable as a member of the default's enumeration."""
    text = read_str(env, key)
    if text is None:
        return default
    try:
        return type(default)(text.lower())
    except ValueError:
        reject(key, text, "one of " + ", ".join(type(default)))


def read_flag(env: Mapping[str, str], key: str) -> bool:
    """Return whether the variable is on: 1, true, yes or on, in any case; False if it is unset or empty."""
    text = read_str(env, key)
    if text is None:
        return False
    value = _FLAGS.get(text.lower())
    if value is None:
        reject(key, text, "1 or 0")
    return value


def read_list(env: Mapping[str, str], key: str) -> tuple[str, ...]:
    """Return the comma-separated parts of the variable, without empty ones."""
    return tuple(part for part in (p.strip() for p in (read_str(env, key) or "").split(",")) if part)
