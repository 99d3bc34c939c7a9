"""Settings of local_files, read from the environment and the command line, and checked."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rag_pipeline.common.config import RunMode
from rag_pipeline.common.env import read_choice, read_flag, read_float, reject
from rag_pipeline.errors import ConfigurationError
from rag_pipeline.ingest.state_dir import read_state_dir
from rag_pipeline.sources.following.deletion_brake import DEFAULT_BRAKE, BrakeSettings
from rag_pipeline.sources.following.settings import read_brake, read_check_interval, read_workers
from rag_pipeline.sources.local_files.scan import FOLLOW_KEY

SETTLE_SECONDS = (0.0, 3600.0)


@dataclass(frozen=True, slots=True)
class LocalFilesSettings:
    """Settings of a local_files pipeline.

    folder: the real path of the watched folder.
    check_interval_seconds: longest time between two scans.
    settle_seconds: a file must not have changed for this long before it is ingested.
    state_dir_key: the setting that gave ``state_dir``, for messages.
    brake: settings of the brake on mass deletion.
    follow_outside_links: whether to ingest files outside the folder that symbolic links lead to.
    """

    folder: str
    state_dir: Path
    mode: RunMode = RunMode.CONTINUOUS
    check_interval_seconds: float = 10.0
    settle_seconds: float = 2.0
    workers: int = 2
    state_dir_key: str = "STATUS_STATE_DIR"
    brake: BrakeSettings = DEFAULT_BRAKE
    follow_outside_links: bool = False

    @classmethod
    def from_env(
        cls,
        env: Mapping[str, str] | None = None,
        *,
        folder: str | None = None,
        single: bool = False,
        state_dir: Path | None = None,
        confirm_deletions: bool = False,
    ) -> LocalFilesSettings:
        """Read the environment; arguments override it. Raises :class:`ConfigurationError`."""
        env = os.environ if env is None else env
        if folder:
            watched = check_folder("DIR", folder)
        else:
            watched = check_folder("RAG_WATCH_DIRECTORY", env.get("RAG_WATCH_DIRECTORY", ""))
        state_dir_key = "--state-dir" if state_dir else "STATUS_STATE_DIR"
        state_dir = state_dir or read_state_dir(env)
        if os.path.realpath(state_dir) == watched:
            reject(state_dir_key, str(state_dir), "another folder than the one to watch")
        mode = RunMode.SINGLE if single else read_choice(env, "RUN_MODE", RunMode.CONTINUOUS)
        return cls.of(
            watched,
            env,
            state_dir=state_dir,
            mode=mode,
            state_dir_key=state_dir_key,
            confirm_deletions=confirm_deletions,
        )

    @classmethod
    def of(
        cls,
        folder: str,
        env: Mapping[str, str],
        *,
        state_dir: Path,
        mode: RunMode,
        state_dir_key: str,
        confirm_deletions: bool,
    ) -> LocalFilesSettings:
        """Return the settings for this folder, which is not checked; the rest comes from the environment."""
        low, high = SETTLE_SECONDS
        return cls(
            folder=folder,
            state_dir=state_dir,
            mode=mode,
            check_interval_seconds=read_check_interval(env, 10.0),
            settle_seconds=read_float(env, "RAG_SETTLE_SECONDS", 2.0, low=low, high=high),
            workers=read_workers(env, 2),
            state_dir_key=state_dir_key,
            brake=read_brake(env, confirm_first=confirm_deletions),
            follow_outside_links=read_flag(env, FOLLOW_KEY),
        )


def check_folder(key: str, folder: str) -> str:
    """Return the real path of a folder that can be listed.

    Raises :class:`ConfigurationError` in one line that names ``key``, the setting that gave the folder.
    """
    if not folder:
        raise ConfigurationError("no folder to watch: give DIR, or set RAG_WATCH_DIRECTORY")
    path = os.path.realpath(os.path.expanduser(folder))  # noqa: PTH111 - the name may be no UTF-8
    try:
        os.listdir(path)  # noqa: PTH208
    except OSError as error:
        reject(key, folder, f"a folder that can be listed ({error.strerror})")
    return path
