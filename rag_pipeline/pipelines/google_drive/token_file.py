"""The file that keeps a person's sign-in: for the owner's eyes alone from its first moment on."""

from __future__ import annotations

import json
import os
import stat
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rag_pipeline.errors import StateError
from rag_pipeline.pipelines.google_drive.errors import CredentialsError

TOKEN_NAME = "google-drive-token.json"
SIGN_IN = "rag-pipeline google-drive --sign-in"


@dataclass(frozen=True, slots=True)
class Grant:
    """What a person has granted, and to which OAuth client."""

    client_id: str
    refresh_token: str = field(repr=False)


def load_grant(path: Path) -> Grant:
    """Return what was granted; raises CredentialsError in one line that says what to do."""
    try:
        # One look at the open file: what was looked at by name may be another one by then.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise CredentialsError(f"nobody has signed in yet ({path} is not there): run {SIGN_IN}") from None
    except OSError as error:
        raise CredentialsError(f"{path} can't be read: {error.strerror}") from None
    with os.fdopen(descriptor, "rb") as file:
        mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
        if mode & 0o077:
            raise CredentialsError(f"{path} can be read or written by others (mode {mode:04o}): run chmod 600 on it")
        try:
            data = json.load(file)
            grant = Grant(data["client_id"], data["refresh_token"])
            if not all(isinstance(value, str) and value for value in (grant.client_id, grant.refresh_token)):
                raise ValueError
        except (ValueError, KeyError, TypeError, OSError):
            raise CredentialsError(f"{path} does not hold a sign-in: run {SIGN_IN}") from None
    return grant


def save_grant(path: Path, grant: Grant) -> None:
    """Replace the file as a whole; raises StateError if that can't be done, with the old one left as it was."""
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        with suppress(FileNotFoundError):
            new.unlink()  # of a process that was killed and had our number
        # O_EXCL: no file or link of someone else's is written to.
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            json.dump(asdict(grant), file)
            file.flush()
            os.fsync(descriptor)
        new.replace(path)
    except OSError as error:
        with suppress(OSError):
            new.unlink()
        raise StateError(f"the sign-in can't be kept in {path}: {error.strerror}") from None
