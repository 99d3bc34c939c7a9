"""Readers of other packages, registered under the entry point ``rag_pipeline.readers``.

The name of an entry is a suffix (``.dwg``) or a MIME type (``image/vnd.dwg``), its value ``module:function``. The
extractor finds the entries and tells its worker processes, which import the module on first use.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path

from rag_pipeline.ingest.extract.plugins import VARIABLE, ReaderPlugin

GROUP = "rag_pipeline.readers"
_NAME = re.compile(r"\.[a-z0-9._+-]+|[a-z]+/[a-z0-9.+-]+")

logger = logging.getLogger(__name__)


@cache
def installed_plugins() -> Mapping[str, ReaderPlugin]:
    """Return the plug-ins of the installed packages, by name; log a line for each that can't be used."""
    plugins: dict[str, ReaderPlugin] = {}
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: (entry.name, entry.value)):
        distribution = f"{entry.dist.name} {entry.dist.version}" if entry.dist else "an unknown package"
        name = entry.name.lower()
        if not _NAME.fullmatch(name):
            expected = "a suffix such as .dwg or a MIME type"
            logger.warning("the reader %r of %s is ignored: its name must be %s", entry.name, distribution, expected)
        elif not entry.attr:
            logger.warning("the reader %s of %s is ignored: %s is not module:function", name, distribution, entry.value)
        elif name in plugins:
            used = plugins[name].distribution
            logger.warning("the reader %s of %s is ignored: %s has one too", name, distribution, used)
        else:
            plugins[name] = ReaderPlugin(name, f"{entry.module}:{entry.attr}", distribution, _path_of(entry))
    return plugins


def _path_of(entry: EntryPoint) -> str:
    """Return the folder or file of the plug-in's code, which a confined worker may read; empty if it is not found."""
    spec = find_spec(entry.module.partition(".")[0])
    if spec is None:
        return ""
    folders = list(spec.submodule_search_locations or ())
    return folders[0] if folders else str(Path(spec.origin).resolve()) if spec.origin else ""


def to_environment() -> dict[str, str]:
    """Return the variable that tells a worker process of the plug-ins; nothing if there are none."""
    plugins = installed_plugins()
    return {VARIABLE: json.dumps([asdict(plugin) for plugin in plugins.values()])} if plugins else {}
