"""Reads a run file: a TOML file with any number of pipelines for one service."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rag_pipeline.common.config import RunMode
from rag_pipeline.common.env import read_choice
from rag_pipeline.common.pipeline_id import check_pipeline_id
from rag_pipeline.errors import ConfigurationError
from rag_pipeline.ingest.state_dir import read_state_dir
from rag_pipeline.sources.runner import google_drive, local_files, store_table
from rag_pipeline.sources.runner.pipeline_config import PipelineConfig, RunDefaults
from rag_pipeline.sources.runner.pipeline_spec import RunSettings
from rag_pipeline.sources.runner.toml_table import TomlTable, display_key

MAX_PIPELINES = 100
_TABLES = ("service", "store", "pipeline")
_AN_ID = "a name of its own, 1 to 200 printable characters, by which the pipeline is known over restarts"

READERS: Mapping[str, Callable[[TomlTable, str, RunDefaults], PipelineConfig]] = {
    "local_files": local_files.read,
    "google_drive": google_drive.read,
}
"""The readers of ``[[pipeline]]`` tables, by kind."""


@dataclass(frozen=True, slots=True)
class RunFile:
    """The content of a run file; ``store_url`` is None for the default of the environment."""

    pipelines: tuple[PipelineConfig, ...]
    settings: RunSettings
    store_url: str | None = None


def read_file(
    path: Path, *, single: bool = False, confirm_deletions: bool = False, env: Mapping[str, str] | None = None
) -> RunFile:
    """Return the content of the file; paths in it are relative to it, and missing keys come from the environment.

    Raises ConfigurationError in one line that names file, table and key.
    """
    env = os.environ if env is None else env
    tables = _load(path)
    service, store = (_table(path, tables, name) for name in ("service", "store"))
    state_dir = service.path("state_dir", "the folder that keeps the state", path.parent)
    settings = RunSettings(
        state_dir=state_dir or read_state_dir(env),
        state_dir_key="STATUS_STATE_DIR" if state_dir is None else f"{path}: {service.name}: state_dir",
        mode=RunMode.SINGLE if single else read_choice(env, "RUN_MODE", RunMode.CONTINUOUS),
    )
    pipelines = _pipelines(path, tables, RunDefaults(path.parent, settings, env, confirm_deletions))
    settings = replace(
        settings,
        host=service.text("host", "an address of this machine"),
        port=service.integer("port", None, low=0, high=65_535),
        socket_port=service.integer("socket_port", None, low=0, high=65_535),
    )
    run_file = RunFile(pipelines, settings, store_table.read(store, env))
    for table in (service, store):
        table.finish()
    return run_file


def _load(path: Path) -> dict[str, Any]:
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path} can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path} is not text in UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path} is not TOML: {error}") from None
    except RecursionError:
        raise ConfigurationError(f"{path} can't be read: lists or tables in it are nested too deeply") from None
    except ValueError:  # Python parses no integer of more than 4,300 digits
        raise ConfigurationError(f"{path} can't be read: a number in it is too long") from None
    for name in tables:
        if name not in _TABLES:
            raise ConfigurationError(f"{path}: unknown table or key {display_key(name)}: expected {', '.join(_TABLES)}")
    return tables


def _table(path: Path, tables: Mapping[str, Any], name: str) -> TomlTable:
    values = tables.get(name, {})
    if not isinstance(values, dict):
        raise ConfigurationError(f"{path}: {name}: expected a table, [{name}]")
    return TomlTable(str(path), f"[{name}]", values)


def _pipelines(path: Path, tables: Mapping[str, Any], defaults: RunDefaults) -> tuple[PipelineConfig, ...]:
    values_list = tables.get("pipeline", [])
    if not isinstance(values_list, list) or not all(isinstance(values, dict) for values in values_list):
        raise ConfigurationError(f"{path}: pipeline: expected tables, [[pipeline]]")
    if not 1 <= len(values_list) <= MAX_PIPELINES:
        raise ConfigurationError(f"{path}: {len(values_list)} [[pipeline]] tables: expected 1 to {MAX_PIPELINES}")
    pipelines: list[PipelineConfig] = []
    for number, values in enumerate(values_list, 1):
        table = TomlTable(str(path), f"[[pipeline]] {number}", values)
        pipeline = _pipeline(table, defaults)
        _check_is_new(table, pipeline, pipelines)
        pipelines.append(pipeline)
    return tuple(pipelines)


def _pipeline(table: TomlTable, defaults: RunDefaults) -> PipelineConfig:
    kinds = " or ".join(READERS)
    kind = table.required("kind", kinds)
    if kind not in READERS:
        table.reject("kind", kinds)
    pipeline_id = table.required("id", _AN_ID)
    try:
        check_pipeline_id("id", pipeline_id)
    except ConfigurationError:
        table.reject("id", _AN_ID)
    if pipeline_id in (".", ".."):
        table.reject("id", f"{_AN_ID}: no . or .., which are steps in the path of a URL")
    table.name = f"{table.name} ({pipeline_id})"
    pipeline = READERS[kind](table, pipeline_id, defaults)
    table.finish()
    return pipeline


def _check_is_new(table: TomlTable, pipeline: PipelineConfig, others: list[PipelineConfig]) -> None:
    for number, other in enumerate(others, 1):
        if pipeline.pipeline_id == other.pipeline_id:
            table.reject("id", f"another id than that of [[pipeline]] {number}")
        if (pipeline.kind, pipeline.location) == (other.kind, other.location):
            table.reject(pipeline.location_key, f"another one than [[pipeline]] {number} ({other.pipeline_id}) follows")
