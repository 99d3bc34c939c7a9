"""Reads the JSON files that Google issues: service account keys and OAuth clients. Messages never quote them."""

from __future__ import annotations

import errno
import json
import logging
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rag_pipeline.common.env import read_str
from rag_pipeline.sources.google_drive.errors import CredentialsSettingError
from rag_pipeline.sources.google_drive.transport.hosts import may_receive_secret

logger = logging.getLogger(__name__)

INLINE = "GOOGLE_DRIVE_CREDENTIALS_JSON"
CLIENT = "GOOGLE_DRIVE_OAUTH_CLIENT"
KEY_FILE = "GOOGLE_APPLICATION_CREDENTIALS"
MAX_FILE_BYTES = 1 << 20
MAX_PATH_CHARACTERS = 500
_CLIENT = "the JSON of an OAuth client of the type Desktop app"
_CLIENT_KEYS = ("client_id", "client_secret", "auth_uri", "token_uri")


@dataclass(frozen=True, slots=True)
class OAuthClient:
    """The app that a person grants access to; ``source`` names its variable and file."""

    client_id: str
    client_secret: str = field(repr=False)
    auth_uri: str
    token_uri: str
    source: str


def read_client(env: Mapping[str, str]) -> OAuthClient:
    """Return the OAuth client of ``GOOGLE_DRIVE_OAUTH_CLIENT``; raises CredentialsSettingError in one line."""
    path = read_str(env, CLIENT)
    if path is None:
        raise CredentialsSettingError(f"{CLIENT} is not set: expected the path of {_CLIENT}")
    source = source_of(CLIENT, path)
    data = read_json_file(path, source, _CLIENT)
    if data.get("type") == "service_account":
        raise CredentialsSettingError(f"{source} is the key of a service account: set {KEY_FILE} instead")
    if "web" in data:
        raise CredentialsSettingError(f"{source} is an OAuth client of the type Web application: expected {_CLIENT}")
    installed = data.get("installed")
    if not isinstance(installed, dict):
        raise CredentialsSettingError(f"{source}: expected {_CLIENT}")
    values = {
        key: value for key, value in installed.items() if key in _CLIENT_KEYS and isinstance(value, str) and value
    }
    if len(values) < len(_CLIENT_KEYS):
        raise CredentialsSettingError(f"{source}: expected {_CLIENT}, with {', '.join(_CLIENT_KEYS)}")
    client = OAuthClient(**values, source=source)
    if not (may_receive_secret(client.auth_uri) and may_receive_secret(client.token_uri)):
        raise CredentialsSettingError(f"{source}: expected an auth_uri and a token_uri of Google's")
    return client


def source_of(key: str, path: str) -> str:
    """Return ``variable=path`` for messages; raises CredentialsSettingError if the variable holds the JSON itself."""
    if path.lstrip()[:1] in ("{", '"') or len(path) > MAX_PATH_CHARACTERS or not path.isprintable():
        instead = f": that goes into {INLINE}" if key == KEY_FILE else ""
        raise CredentialsSettingError(f"{key}: expected the path of a file, not its content{instead}")
    return f"{key}={path}"


def read_json_file(path: str, source: str, expected: str, *, is_key: bool = False) -> Mapping[str, Any]:
    """Return the JSON object in the file.

    Raises CredentialsSettingError that names ``source`` and what was ``expected``.

    If all users of the machine can read or write a key, a warning is logged, and the key is used: it may lie where
    modes can't be chosen, such as in a container.
    """
    try:
        content, mode = read_regular(Path(path).expanduser())
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise CredentialsSettingError(f"{source}: expected {expected}, not other data") from None
    except (OSError, ValueError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or "no such path"
        raise CredentialsSettingError(f"{source}: expected the path of {expected} ({reason})") from None
    if is_key and mode & 0o006:
        logger.warning("%s can be read or written by everyone (mode %04o): run chmod 600 on it", source, mode)
    return parse_json(text, source, expected)


def read_regular(path: Path) -> tuple[bytes, int]:
    """Return a file's content, up to 1 MiB, and its mode; raises OSError, also if it is not a regular file."""
    # Non-blocking, because a pipe may never have a writer. The open file is checked, because the path may be replaced.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "Not a regular file")
        with open(descriptor, "rb", closefd=False) as file:
            return file.read(MAX_FILE_BYTES), stat.S_IMODE(mode)
    finally:
        os.close(descriptor)


def parse_json(text: str, source: str, expected: str) -> Mapping[str, Any]:
    """Return the JSON object; raises CredentialsSettingError as :func:`read_json_file` does."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        raise CredentialsSettingError(f"{source}: expected {expected}, but it is not a JSON object")
    return data
