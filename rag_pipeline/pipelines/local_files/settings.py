"""Settings of local_files: read once from the environment and the command line, checked, frozen."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rag_pipeline.config import RunMode, read_choice, read_float, read_int
from rag_pipeline.errors import ConfigurationError
from rag_pipeline.ingest.state_dir import read_state_dir
from rag_pipeline.pipelines.local_files.names import display_name


@dataclass(frozen=True, slots=True)
class LocalFilesSettings:
    """What the pipeline is built from.

    folder: the real path of the watched folder.
    check_interval_seconds: longest time between two scans.
    settle_seconds: how long nothing about a file may have changed before it is taken.
    """

    folder: str
    state_dir: Path
    mode: RunMode = RunMode.CONTINUOUS
    check_interval_seconds: float = 10.0
    settle_seconds: float = 2.0
    workers: int = 2

    @classmethod
    def from_env(
        cls,
        env: Mapping[str, str] | None = None,
        *,
        folder: str | None = None,
        single: bool = False,
        state_dir: Path | None = None,
    ) -> LocalFilesSettings:
        """Read the environment; arguments that are given win over it. Raises :class:`ConfigurationError`."""
        env = os.environ if env is None else env
        watched = check_folder(folder or env.get("RAG_WATCH_DIRECTORY", ""))
        state_dir = state_dir or read_state_dir(env)
        if os.path.realpath(state_dir) == watched:
            raise ConfigurationError(f"{display_name(watched)} can't be both the folder to watch and the state folder")
        return cls(
            folder=watched,
            state_dir=state_dir,
            mode=RunMode.SINGLE if single else read_choice(env, "RUN_MODE", RunMode.CONTINUOUS),
            check_interval_seconds=read_float(env, "RAG_CHECK_INTERVAL", 10.0, low=0.1, high=86_400),
            settle_seconds=read_float(env, "RAG_SETTLE_SECONDS", 2.0, low=0, high=3600),
            workers=read_int(env, "RAG_WORKERS", 2, low=1, high=64),
        )


def check_folder(folder: str) -> str:
    """Return the real path of a folder that can be listed; raises :class:`ConfigurationError` in one line."""
    if not folder:
        raise ConfigurationError("no folder to watch: give DIR, or set RAG_WATCH_DIRECTORY")
    path = os.path.realpath(os.path.expanduser(folder))  # noqa: PTH111 - the name may be no UTF-8
    try:
        os.listdir(path)  # noqa: PTH208
    except NotADirectoryError:
        raise ConfigurationError(f"{display_name(folder)} is not a folder") from None
    except OSError as error:
        raise ConfigurationError(f"{display_name(folder)} can't be watched: {error.strerror}") from None
    return path
