"""Check what the requirement files name, offline: hashes, ranges, licences. Says what is wrong, one line each.

Each pin has a hash, and lies within the range of pyproject.toml; each licence that the installed package states is one
that lets the project be used, changed and passed on as it is. What is not installed is not looked at for its licence.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import PackageMetadata, PackageNotFoundError, metadata
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
FILES = ("requirements.txt", "requirements-dev.txt", "requirements-model.txt", "benchmarks/requirements.txt")
_PIN = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)")
_HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}\b")
_BETWEEN = re.compile(r"\s+(?:AND|OR)\s+|[()]")

PERMISSIVE = frozenset(
    "0BSD Apache-2.0 BSD-2-Clause BSD-3-Clause CC0-1.0 CNRI-Python ISC MIT MIT-0 MIT-CMU PSF-2.0 Zlib".split()  # noqa: SIM905
)
# What packages say that state no expression.
_CLASSIFIERS = {
    "Academic Free License (AFL)": "AFL-2.1",
    "Apache Software License": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0",
    "3-Clause BSD License": "BSD-3-Clause",
    "BSD 3-Clause": "BSD-3-Clause",
    "BSD License": "BSD-3-Clause",
    "BSD-3-Clause, Apache-2.0, dependency licenses": "BSD-3-Clause",
    "DFSG approved": "",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "OSI Approved": "",
    "Python Software Foundation License": "PSF-2.0",
}
# Used as they are, as libraries, and never copied into the project: changes to their own files would have to be shown.
LIBRARIES = {
    "MPL-1.1": {"tld"},
    "MPL-2.0": {"bidict", "certifi", "hypothesis", "orjson", "pathspec", "tqdm"},
    "LGPL-3.0-only": {"psycopg", "psycopg-binary"},
    "AFL-2.1": {"dirtyjson"},
}


def pins(text: str) -> Iterator[tuple[str, str, bool]]:
    """Yield name, version and whether there is a hash, for each pin of a requirement file."""
    for block in re.split(r"\n(?=[A-Za-z0-9])", text):
        if (pin := _PIN.match(block)) is not None:
            yield canonicalize_name(pin[1]), pin[2], _HASH.search(block) is not None


def ranges(pyproject: Mapping[str, Any]) -> Iterator[Requirement]:
    """Yield what pyproject.toml asks for: the service, its extras, its development."""
    project = pyproject["project"]
    lines = [*project["dependencies"]]
    for table in (project["optional-dependencies"], pyproject["dependency-groups"]):
        for asked in table.values():
            lines += asked
    return map(Requirement, lines)


def licences(about: PackageMetadata) -> list[str]:
    """Return the licences that a package states, by their SPDX names where they are known."""
    expression, free_text = ("".join((about.get_all(field) or [])[:1]) for field in ("License-Expression", "License"))
    classifiers = [
        line.rpartition(" :: ")[2] for line in about.get_all("Classifier") or [] if line.startswith("License")
    ]
    text = expression or free_text.strip().partition("\n")[0]
    stated = _BETWEEN.split(text) if expression or not classifiers else classifiers
    parts = filter(None, (part.strip() for part in stated))
    names = [name for part in parts if (name := _CLASSIFIERS.get(part, part))]
    return _chosen(names) if " OR " in expression and " AND " not in expression else names


def _chosen(alternatives: list[str]) -> list[str]:
    """Return the first of several licences that is on a list, or all of them."""
    return next(([name] for name in alternatives if name in PERMISSIVE or name in LIBRARIES), alternatives)


def faults_of_licences(name: str, stated: Iterable[str]) -> Iterator[str]:
    """Yield what is wrong with the licences of a package."""
    found = list(stated)
    if not found:
        yield f"{name}: states no licence"
    for licence in found:
        if licence not in PERMISSIVE and name not in LIBRARIES.get(licence, ()):
            yield f"{name}: {licence} is not on the list of licences"


def faults(root: Path) -> Iterator[str]:
    """Yield what is wrong with the requirement files of a folder."""
    asked: dict[str, list[Requirement]] = {}
    for requirement in ranges(tomllib.loads((root / "pyproject.toml").read_text())):
        asked.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    for file in FILES:
        for name, version, has_hash in pins((root / file).read_text()):
            if not has_hash:
                yield f"{file}: {name}=={version} has no hash"
            for requirement in asked.get(name, ()):
                if not requirement.specifier.contains(version, prereleases=True):
                    yield f"{file}: {name}=={version} is outside {requirement}"
            try:
                about = metadata(name)
            except PackageNotFoundError:
                continue
            yield from faults_of_licences(name, licences(about))


def main() -> int:
    """Print the faults; return 1 if there are any."""
    found = sorted(set(faults(ROOT)))
    for fault in found:
        print(fault)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
