"""The only files that a confined worker may open: those that Python and its libraries load on demand."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from rag_pipeline.ingest.extract.plugins import plugins_of_worker

_INSTALLED = frozenset({"site-packages", "dist-packages"})
# Packages that readers import. A folder on the path with one of these holds libraries, whatever its name.
_READER_PACKAGES = ("chardet", "cryptography", "pypdfium2")
_SHARED = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/nix/store", "/gnu/store")
_SYSTEM = (
    "/dev/null",
    "/dev/urandom",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/mime.types",
    "/etc/pki/tls/openssl.cnf",
    "/etc/ssl/openssl.cnf",
    "/proc/sys/crypto/fips_enabled",
    "/usr/share/zoneinfo",
)


def readable_paths() -> list[str]:
    """Return the files and folders: the standard library, installed packages, shared libraries, time zones.

    Not every folder on the path: a project's folder, with its settings and documents, is often on it.
    """
    return list(dict.fromkeys([*_python(), *_SHARED, *_SYSTEM]))


def _python() -> Iterator[str]:
    yield str(Path(__file__).resolve().parents[2])  # this package
    yield str(Path(os.__file__).resolve().parent)
    yield from (str(Path(sys.base_prefix) / name) for name in ("lib", "lib64") if sys.base_prefix != "/")
    yield from filter(None, os.environ.get("LD_LIBRARY_PATH", "").split(":"))
    yield from filter(_holds_libraries, sys.path)
    yield from (plugin.path for plugin in plugins_of_worker().values() if plugin.path)


def _holds_libraries(path: str) -> bool:
    entry = Path(path)
    if not entry.is_absolute() or not entry.exists():
        return False
    if entry.is_file() or entry.name in _INSTALLED:  # a file on the path is a zip of modules
        return True
    return entry != Path("/") and any((entry / name).is_dir() for name in _READER_PACKAGES)
