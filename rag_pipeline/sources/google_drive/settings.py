"""Settings of google_drive, read from the environment and the command line."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from rag_pipeline.common.config import RunMode, names_this_machine
from rag_pipeline.common.env import read_choice, read_str, reject
from rag_pipeline.errors import ConfigurationError
from rag_pipeline.ingest.state_dir import read_state_dir
from rag_pipeline.sources.following.deletion_brake import DEFAULT_BRAKE, BrakeSettings
from rag_pipeline.sources.following.settings import read_brake, read_check_interval, read_workers
from rag_pipeline.sources.google_drive.transport.hosts import API_URL, parse_origin

ROOT = "root"
"""The id of My Drive's root folder."""

_ID = re.compile(r"[A-Za-z0-9_-]{1,200}")
EXPECTED_FOLDER = "the id of a folder in Google Drive, or its address as the browser shows it, or root"


@dataclass(frozen=True, slots=True)
class GoogleDriveSettings:
    """Settings of one pipeline.

    folder_id: Drive's id of the watched folder; ``root`` is My Drive, and a shared drive's id is its root folder.
    check_interval_seconds: time between two scans for changes.
    workers: how many files are processed, and so downloaded, at once.
    state_dir_key: the option or variable that set ``state_dir``, for error messages.
    api_url: URL of Drive's API; another one than Google's is a stand-in, such as a test server.
    brake: when mass deletions are held back.
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
        """The folder's name for people, as the ledger stores it."""
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
        """Read the environment; arguments take precedence over it. Raises :class:`ConfigurationError`."""
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
    """Return the folder id in ``text``, which is an id or a URL; raises :class:`ConfigurationError` naming ``key``."""
    text = text.strip()
    if not text:
        raise ConfigurationError("no folder to watch: give --folder-id, or set RAG_WATCH_FOLDER_ID")
    folder_id = _id_in_url(text) if "/" in text or ":" in text else text
    if folder_id is None or not _ID.fullmatch(folder_id):
        reject(key, text, EXPECTED_FOLDER)
    return folder_id


def read_api_url(env: Mapping[str, str]) -> str:
    """Return the URL of Drive's API. It receives the access token, so it must be https, or on this machine."""
    key = "GOOGLE_DRIVE_API_URL"
    url = read_str(env, key)
    if url is None:
        return API_URL
    url = url.rstrip("/")
    origin = parse_origin(url)
    is_safe = origin is not None and (origin[0] == "https" or names_this_machine(origin[1]))
    # A path, query or fragment would end up in the middle of the request URLs.
    if not is_safe or any(mark in url.partition("://")[2] for mark in "/?#"):
        reject(key, url, "an address that begins with https://, or http:// on this machine, and ends with the host")
    return url


def _id_in_url(url: str) -> str | None:
    """Return the id in a URL such as ``https://drive.google.com/drive/u/0/folders/ID?usp=sharing``."""
    try:
        parts = urlsplit(url if "://" in url else f"https://{url}")
    except ValueError:
        return None
    segments = [segment for segment in parts.path.split("/") if segment]
    if parts.hostname != "drive.google.com" or not segments:
        return None
    if segments[-1] == "my-drive":
        return ROOT
    if "folders" in segments[:-1]:
        return segments[segments.index("folders") + 1]
    return parse_qs(parts.query).get("id", [None])[0]
