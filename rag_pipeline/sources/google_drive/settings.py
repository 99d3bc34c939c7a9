"""Settings of google_drive: read once from the environment and the command line, checked, frozen."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from rag_pipeline.common.config import RunMode, names_this_machine, read_choice, read_str, reject
from rag_pipeline.errors import ConfigurationError
from rag_pipeline.ingest.state_dir import read_state_dir
from rag_pipeline.sources.following.deletion_brake import DEFAULT_BRAKE, BrakeSettings
from rag_pipeline.sources.following.settings import read_brake, read_check_interval, read_workers
from rag_pipeline.sources.google_drive.transport.hosts import API_URL, parse_origin

ROOT = "root"
"""The id that stands for My Drive as a whole."""

_ID = re.compile(r"[A-Za-z0-9_-]{1,200}")
A_FOLDER = "the id of a folder in Google Drive, or its address as the browser shows it, or root"


@dataclass(frozen=True, slots=True)
class GoogleDriveSettings:
    """What the pipeline is built from.

    folder_id: Drive's id of the watched folder; ``root`` is My Drive, and the id of a shared drive is its root folder.
    check_interval_seconds: time between two looks at Drive's changes.
    workers: files in work at once, and so the most that are transferred at once.
    state_dir_key: what decided on ``state_dir``, for messages.
    api_url: where Drive's API is; another place than Google's is a stand-in, such as a test's.
    brake: when mass deletions are held.
    """

    folder_id: str
    state_dir: Path
    mode: RunMode = RunMode.CONTINUOUS
    check_interval_seconds: float = 60.0
    workers: int = 4
    state_dir_key: str = "STATUS_STATE_DIR"
    api_url: str = API_URL
    brake: BrakeSettings = DEFAULT_BRAKE

    @property
    def location(self) -> str:
        """The folder in words people know it by, as the ledger keeps it."""
        return "My Drive" if self.folder_id == ROOT else f"Google Drive folder {self.folder_id}"

    @classmethod
    def from_env(
        cls,
        env: Mapping[str, str] | None = None,
        *,
        folder_id: str | None = None,
        single: bool = False,
        state_dir: Path | None = None,
        confirm_deletions: bool = False,
    ) -> GoogleDriveSettings:
        """Read the environment; arguments that are given win over it. Raises :class:`ConfigurationError`."""
        env = os.environ if env is None else env
        if folder_id:
            watched = read_folder_id("--folder-id", folder_id)
        else:
            watched = read_folder_id("RAG_WATCH_FOLDER_ID", env.get("RAG_WATCH_FOLDER_ID", ""))
        return cls(
            folder_id=watched,
            state_dir=state_dir or read_state_dir(env),
            mode=RunMode.SINGLE if single else read_choice(env, "RUN_MODE", RunMode.CONTINUOUS),
            check_interval_seconds=read_check_interval(env, 60.0),
            workers=read_workers(env, 4),
            state_dir_key="--state-dir" if state_dir else "STATUS_STATE_DIR",
            api_url=read_api_url(env),
            brake=read_brake(env, confirm_first=confirm_deletions),
        )


def read_folder_id(key: str, text: str) -> str:
    """Return the id of a folder that was given by its id or its address.

    Raises :class:`ConfigurationError` in one line that names ``key``, where the text came from.
    """
    text = text.strip()
    if not text:
        raise ConfigurationError("no folder to watch: give --folder-id, or set RAG_WATCH_FOLDER_ID")
    found = _from_address(text) if "/" in text or ":" in text else text
    if found is None or not _ID.fullmatch(found):
        reject(key, text, A_FOLDER)
    return found


def read_api_url(env: Mapping[str, str]) -> str:
    """Return where Drive's API is; the access token goes there, so it has to be over TLS or on this machine."""
    key = "GOOGLE_DRIVE_API_URL"
    url = read_str(env, key)
    if url is None:
        return API_URL
    url = url.rstrip("/")
    origin = parse_origin(url)
    is_safe = origin is not None and (origin[0] == "https" or names_this_machine(origin[1]))
    # A path, a query or a fragment would end up amid the addresses that are made of it.
    if not is_safe or any(mark in url.partition("://")[2] for mark in "/?#"):
        reject(key, url, "an address that begins with https://, or http:// on this machine, and ends with the host")
    return url


def _from_address(address: str) -> str | None:
    """Return the id in an address such as ``https://drive.google.com/drive/u/0/folders/ID?usp=sharing``."""
    try:
        parts = urlsplit(address if "://" in address else f"https://{address}")
    except ValueError:
        return None
    steps = [step for step in parts.path.split("/") if step]
    if parts.hostname != "drive.google.com" or not steps:
        return None
    if steps[-1] == "my-drive":
        return ROOT
    if "folders" in steps[:-1]:
        return steps[steps.index("folders") + 1]
    return parse_qs(parts.query).get("id", [None])[0]
