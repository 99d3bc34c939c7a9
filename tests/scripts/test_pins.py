"""``scripts/pins.py`` names the pin without a hash, the one out of its range, and the licence that is on no list."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from email.message import Message
from pathlib import Path
from types import ModuleType

import pytest

from tests.scripts.shell import ROOT


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("pins_script", ROOT / "scripts" / "pins.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def folder(tmp_path: Path, script: ModuleType) -> Path:
    for name in ("pyproject.toml", *script.FILES):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


def test_the_projects_own_files_have_no_fault(script: ModuleType) -> None:
    assert list(script.faults(ROOT)) == []


def test_a_pin_without_a_hash_is_named(script: ModuleType, folder: Path) -> None:
    with (folder / "requirements.txt").open("a") as file:
        file.write("zzz==1.0\n    # via nobody\n")
    assert list(script.faults(folder)) == ["requirements.txt: zzz==1.0 has no hash"]


def test_a_pin_out_of_its_range_is_named(script: ModuleType, folder: Path) -> None:
    change(folder / "pyproject.toml", '"urllib3>=2.7"', '"urllib3>=999"')
    found = set(script.faults(folder))
    assert {fault.partition("==")[0] for fault in found} == {
        "requirements.txt: urllib3",
        "requirements-dev.txt: urllib3",
        "benchmarks/requirements.txt: urllib3",
    }
    assert all(fault.endswith("is outside urllib3>=999") for fault in found)


def about(**fields: str) -> Message:
    message = Message()
    for name, value in fields.items():
        for one in value.split(";"):
            message[name.replace("_", "-")] = one
    return message


@pytest.mark.parametrize(
    ("fields", "faults"),
    [
        ({"License_Expression": "MIT AND (Apache-2.0 OR BSD-3-Clause)"}, []),
        ({"License_Expression": "GPL-2.0-only OR MIT"}, []),
        ({"Classifier": "License :: OSI Approved :: MIT License;Topic :: X"}, []),
        ({"License": "Apache License, Version 2.0"}, []),
        ({"License_Expression": "MIT AND GPL-3.0-only"}, ["x: GPL-3.0-only is not on the list of licences"]),
        ({"License_Expression": "LGPL-3.0-only"}, ["x: LGPL-3.0-only is not on the list of licences"]),
        ({}, ["x: states no licence"]),
    ],
)
def test_a_licence_that_is_on_no_list_is_named(script: ModuleType, fields: dict[str, str], faults: list[str]) -> None:
    assert list(script.faults_of_licences("x", script.licences(about(**fields)))) == faults


def test_a_library_is_allowed_by_its_name(script: ModuleType) -> None:
    assert list(script.faults_of_licences("psycopg", ["LGPL-3.0-only"])) == []
