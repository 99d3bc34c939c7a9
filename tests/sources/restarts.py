"""Starts the commands again and again over one state folder.

Each is asked as a user would: by HTTP while it runs, and by its exit code.
"""

from __future__ import annotations

import json
import os
import signal
import urllib.parse
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from tests.drive import DriveServer
from tests.support.http_get import get_json
from tests.support.programs import Program
from tests.support.waiting import wait_until

Json = dict[str, Any]
TOTALS = {"completed": "total_processed", "failed": "total_failed", "skipped": "total_skipped"}


class Followed(Protocol):
    """A folder that a pipeline follows, and what a test does to it."""

    pipeline_id: str

    def write(self, name: str, content: bytes) -> None: ...

    def remove(self, name: str) -> None: ...

    def names(self) -> set[str]: ...


class Folder:
    """A folder on this machine."""

    def __init__(self, path: Path, pipeline_id: str) -> None:
        self.path = path
        self.pipeline_id = pipeline_id
        path.mkdir(parents=True, exist_ok=True)

    def write(self, name: str, content: bytes) -> None:
        (self.path / name).write_bytes(content)

    def remove(self, name: str) -> None:
        (self.path / name).unlink()

    def names(self) -> set[str]:
        return {path.name for path in self.path.iterdir()}


class DriveFolder:
    """A folder in the tests' Drive."""

    def __init__(self, server: DriveServer, pipeline_id: str) -> None:
        self.server = server
        self.pipeline_id = pipeline_id
        self.folder_id = server.drive.add_folder("shared")
        self._ids: dict[str, str] = {}

    def write(self, name: str, content: bytes) -> None:
        kind = "application/pdf" if name.endswith(".pdf") else "text/plain"
        if name in self._ids:
            self.server.drive.set_content(self._ids[name], content)
        else:
            self._ids[name] = self.server.drive.add_file(name, content, self.folder_id, mime_type=kind)

    def remove(self, name: str) -> None:
        self.server.drive.delete(self._ids.pop(name))

    def names(self) -> set[str]:
        return set(self._ids)


class Service:
    """One run of a command, and its answers over HTTP."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.port = int(program.expect(r"Status +http://127\.0\.0\.1:(\d+)/status"))

    def states(self) -> dict[str, Json]:
        """Return each pipeline's state, by id."""
        body = get_json(self.port, "/status").body
        found: dict[str, Json] = body.get("pipelines") or {body["pipeline_id"]: body}
        return found

    def wait(self, condition: Callable[[Json], object], ids: Iterable[str], what: str) -> dict[str, Json]:
        """Return the states once the condition holds for each of the pipelines."""
        seen: list[dict[str, Json]] = []

        def holds() -> bool:
            seen[:] = [self.states()]
            return all(one in seen[0] and condition(seen[0][one]) for one in ids)

        wait_until(holds, what)
        return seen[0]

    def files(self, pipeline_id: str, status: str) -> list[Json]:
        """Return every file of this status."""
        found: list[Json] = []
        before: str | None = None
        while True:
            query = {
                "pipeline_id": pipeline_id,
                "status": status,
                "limit": "1000",
                **({"before": before} if before else {}),
            }
            body = get_json(self.port, f"/files?{urllib.parse.urlencode(query)}").body
            found += body["files"]
            before = body["next"]
            if before is None:
                return found

    def kill(self) -> None:
        """Kill it."""
        self.program.signal(signal.SIGKILL)
        self.program.exit_code()

    def end(self) -> None:
        """Stop it."""
        self.program.signal(signal.SIGTERM)
        assert self.program.exit_code() == 0, self.program.output


class Command:
    """One of the commands, with its state folder and the folders it follows."""

    def __init__(self, name: str, base: Path, env: Mapping[str, str], drive: DriveServer | None) -> None:
        self.state_dir = base / "state"
        self.places: list[Folder | DriveFolder] = []
        self.env = {
            **env,
            "RAG_SETTLE_SECONDS": "0",
            "RAG_CHECK_INTERVAL": "0.2",
            "RAG_WORKERS": "2",
            "STATUS_STATE_DIR": str(self.state_dir),
            "STATUS_PORT": "0",
        }
        if drive is not None:
            self.env["GOOGLE_DRIVE_CREDENTIALS_JSON"] = json.dumps(drive.service_account())
            self.env["GOOGLE_DRIVE_API_URL"] = drive.url
        folder = Folder(base / "docs", "papers")
        self._arguments: tuple[str, ...]
        if name == "run":
            assert drive is not None
            remote = DriveFolder(drive, "remote")
            self.places = [folder, remote]
            self._arguments = ("run", str(_run_file(base, folder, remote)))
        elif name == "google-drive":
            assert drive is not None
            remote = DriveFolder(drive, "papers")
            self.places = [remote]
            self._arguments = (name, "--folder-id", remote.folder_id, "--plain")
        else:
            self.places = [folder]
            self._arguments = (name, str(folder.path), "--plain")
        if name != "run":
            self.env["RAG_PIPELINE_ID"] = "papers"

    @property
    def ids(self) -> list[str]:
        return [place.pipeline_id for place in self.places]

    def program(self, *more: str, **env: str) -> Program:
        return Program("-m", "rag_pipeline", *self._arguments, *more, env={**self.env, **env})

    def single(self) -> int:
        """Make a single pass; return the exit code."""
        with self.program(RUN_MODE="single") as program:
            return program.exit_code()

    def write(self, name: str, content: str | bytes) -> None:
        """Write a file into each of the folders."""
        for place in self.places:
            place.write(name, content if isinstance(content, bytes) else content.encode())


def _run_file(base: Path, folder: Folder, remote: DriveFolder) -> Path:
    path = base / "run.toml"
    path.write_text(
        f'[service]\nport = 0\nstate_dir = "{base / "state"}"\n'
        f'[[pipeline]]\nkind = "local_files"\nid = "{folder.pipeline_id}"\nfolder = "{folder.path}"\n'
        f'[[pipeline]]\nkind = "google_drive"\nid = "{remote.pipeline_id}"\nfolder_id = "{remote.folder_id}"\n',
        encoding="utf-8",
    )
    os.utime(path)
    return path
