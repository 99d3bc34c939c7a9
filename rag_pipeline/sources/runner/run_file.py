"""The run file: any number of pipelines of either kind, on one service, as TOML."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag_pipeline.common.config import RunMode, check_pipeline_id, read_choice
from rag_pipeline.errors import ConfigurationError
from rag_pipeline.ingest.state_dir import read_state_dir
from rag_pipeline.sources.runner import google_drive, local_files, store
from rag_pipeline.sources.runner.pipeline_config import Entry, Frame
from rag_pipeline.sources.runner.table import Table, shown_key

MAX_PIPELINES = 100
_STEPS = (".", "..")
_TABLES = ("service", "store", "pipeline")
_AN_ID = "a name of its own, 1 to 200 printable characters, by which the pipeline is known over restarts"


KINDS: Mapping[str, Callable[[Table, str, Frame], Entry]] = {
    "local_files": local_files.read,
    "google_drive": google_drive.read,
}


@dataclass(frozen=True, slots=True)
class RunFile:
    """What a run file says.

    ``host``, ``port`` and ``socket_port`` are None for what the environment says, and so is ``store_url``.
    ``state_dir_key`` is what decided on ``state_dir``, for messages.
    """

    pipelines: tuple[Entry, ...]
    state_dir: Path
    state_dir_key: str = "STATUS_STATE_DIR"
    mode: RunMode = RunMode.CONTINUOUS
    host: str | None = None
    port: int | None = None
    socket_port: int | None = None
    store_url: str | None = None


def read_file(
    path: Path, *, single: bool = False, confirm_deletions: bool = False, env: Mapping[str, str] | None = None
) -> RunFile:
    """Return what the file says; paths in it are relative to it, and what it leaves out comes from the environment.

    Raises ConfigurationError in one line that names file, table and key.
    """
    env = os.environ if env is None else env
    given = _load(path)
    service, stored = (_table(path, given, name) for name in ("service", "store"))
    state = service.path("state_dir", "the folder that keeps the state", path.parent)
    frame = Frame(
        base=path.parent,
        state_dir=state or read_state_dir(env),
        state_dir_key="STATUS_STATE_DIR" if state is None else f"{path}: {service.name}: state_dir",
        mode=RunMode.SINGLE if single else read_choice(env, "RUN_MODE", RunMode.CONTINUOUS),
        env=env,
        confirm_deletions=confirm_deletions,
    )
    found = RunFile(
        _pipelines(path, given, frame),
        frame.state_dir,
        frame.state_dir_key,
        frame.mode,
        host=service.text("host", "an address of this machine"),
        port=service.whole("port", None, low=0, high=65_535),
        socket_port=service.whole("socket_port", None, low=0, high=65_535),
        store_url=store.read(stored, env),
    )
    for table in (service, stored):
        table.finish()
    return found


def _load(path: Path) -> dict[str, Any]:
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path} can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path} is not text in UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path} is not TOML: {error}") from None
    except RecursionError:
        raise ConfigurationError(f"{path} can't be read: lists or tables in it are nested too deeply") from None
    except ValueError:  # Python reads no number of more than 4,300 digits
        raise ConfigurationError(f"{path} can't be read: a number in it is too long") from None
    for name in given:
        if name not in _TABLES:
            raise ConfigurationError(f"{path}: unknown table or key {shown_key(name)}: expected {', '.join(_TABLES)}")
    return given


def _table(path: Path, given: Mapping[str, Any], name: str) -> Table:
    values = given.get(name, {})
    if not isinstance(values, dict):
        raise ConfigurationError(f"{path}: {name}: expected a table, [{name}]")
    return Table(str(path), f"[{name}]", values)


def _pipelines(path: Path, given: Mapping[str, Any], frame: Frame) -> tuple[Entry, ...]:
    tables = given.get("pipeline", [])
    if not isinstance(tables, list) or not all(isinstance(values, dict) for values in tables):
        raise ConfigurationError(f"{path}: pipeline: expected tables, [[pipeline]]")
    if not 1 <= len(tables) <= MAX_PIPELINES:
        raise ConfigurationError(f"{path}: {len(tables)} [[pipeline]] tables: expected 1 to {MAX_PIPELINES}")
    found: list[Entry] = []
    for number, values in enumerate(tables, 1):
        table = Table(str(path), f"[[pipeline]] {number}", values)
        entry = _entry(table, frame)
        _check_is_new(table, entry, found)
        found.append(entry)
    return tuple(found)


def _entry(table: Table, frame: Frame) -> Entry:
    kinds = " or ".join(KINDS)
    kind = table.required("kind", kinds)
    if kind not in KINDS:
        table.reject("kind", kinds)
    pipeline_id = table.required("id", _AN_ID)
    try:
        check_pipeline_id("id", pipeline_id)
    except ConfigurationError:
        table.reject("id", _AN_ID)
    if pipeline_id in _STEPS:
        table.reject("id", f"{_AN_ID}: no . or .., which are steps in the path of a URL")
    table.name = f"{table.name} ({pipeline_id})"
    entry = KINDS[kind](table, pipeline_id, frame)
    table.finish()
    return entry


def _check_is_new(table: Table, entry: Entry, others: list[Entry]) -> None:
    for number, other in enumerate(others, 1):
        if entry.pipeline_id == other.pipeline_id:
            table.reject("id", f"another id than that of [[pipeline]] {number}")
        if (entry.kind, entry.place) == (other.kind, other.place):
            table.reject(entry.place_key, f"another one than [[pipeline]] {number} ({other.pipeline_id}) follows")
