"""The file with a person's refresh token; it is created with mode 600."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from pathlib import Path

from rag_pipeline.common.private_files import open_private
from rag_pipeline.errors import StateError
from rag_pipeline.sources.google_drive.auth.credential_files import read_regular
from rag_pipeline.sources.google_drive.errors import CredentialsError

TOKEN_NAME = "google-drive-token.json"
SIGN_IN = "rag-pipeline google-drive --sign-in"


@dataclass(frozen=True, slots=True)
class Grant:
    """A person's refresh token, and the OAuth client it was issued to."""

    client_id: str
    refresh_token: str = field(repr=False)

    @property
    def token_hash(self) -> str:
        """A hash that tells the grants of different people apart without revealing the token."""
        return blake2b(self.refresh_token.encode(), digest_size=8).hexdigest()


def load_grant(path: Path) -> Grant:
    """Return the saved grant; raises CredentialsError in one line that says what to do."""
    try:
        content, mode = read_regular(path)
    except FileNotFoundError:
        raise CredentialsError(f"nobody has signed in yet ({path} does not exist): run {SIGN_IN}") from None
    except OSError as error:
        raise CredentialsError(f"{path} can't be read: {error.strerror}") from None
    if mode & 0o077:
        raise CredentialsError(f"{path} can be read or written by others (mode {mode:04o}): run chmod 600 on it")
    try:
        data = json.loads(content)
        grant = Grant(data["client_id"], data["refresh_token"])
        if not all(_is_printable(value) for value in (grant.client_id, grant.refresh_token)):
            raise ValueError
    except (ValueError, KeyError, TypeError, RecursionError):
        raise CredentialsError(f"{path} does not hold a sign-in: run {SIGN_IN}") from None
    return grant


def save_grant(path: Path, grant: Grant) -> None:
    """Replace the file atomically; raises StateError, and keeps the old file, if that fails."""
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        with suppress(FileNotFoundError):
            new.unlink()  # left by a killed process that had the same process id
        # O_EXCL: never write to another user's file or link.
        descriptor = open_private(new, os.O_WRONLY | os.O_EXCL)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            json.dump(asdict(grant), file)
            file.flush()
            os.fsync(descriptor)
        new.replace(path)
    except OSError as error:
        with suppress(OSError):
            new.unlink()
        raise StateError(f"the sign-in can't be saved to {path}: {error.strerror}") from None


def _is_printable(value: object) -> bool:
    """Return whether the value is a text that OAuth allows for ids and tokens (RFC 6749, appendix A)."""
    return isinstance(value, str) and value != "" and value.isascii() and value.isprintable()
