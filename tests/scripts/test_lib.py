"""The set-up that the scripts share: it runs once, starts again after an interruption, and names what is missing."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from shutil import which

import pytest

from tests.scripts.shell import bash, make_clone, make_command

pytestmark = pytest.mark.slow

FAKE_PIP = 'pip_install() { echo "pip $*" >>"$root/log"; [ ! -e "$root/no-network" ]; }\n'
# An environment without pip takes a twentieth of the time; one test below makes a whole one.
QUICK_VENV = f"""
find_python() {{ echo quick_python; }}
quick_python() {{ "{sys.executable}" "${{@:1:2}}" --without-pip "${{@:3}}"; }}
in_range() {{ command -v "$1" >/dev/null; }}
"""
SET_UP_ONCE = 'set_up_once run "$root/requirements.txt"'
SET_UP = FAKE_PIP + QUICK_VENV + SET_UP_ONCE


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    return make_clone(tmp_path)


def installs(clone: Path) -> int:
    """Return how often pip was called since the last asking."""
    log = clone / "log"
    lines = log.read_text().splitlines() if log.exists() else []
    log.unlink(missing_ok=True)
    return len(lines)


def test_a_python_that_does_not_run_or_is_too_old_is_passed_over(clone: Path, tmp_path: Path) -> None:
    make_command(tmp_path / "bin", "python3.13", "echo 'pyenv: python3.13: command not found' >&2; exit 127")
    make_command(tmp_path / "bin", "python3.12", "exit 1")
    (tmp_path / "bin" / "python3").symlink_to(sys.executable)
    found = bash(clone, "find_python", path=f"{tmp_path / 'bin'}:/nowhere")
    # dirname is not on that path: the library is loaded from where it stands all the same.
    assert found.stdout.splitlines()[-1:] == ["python3"], found.stderr


def test_without_a_python_one_line_says_what_is_needed(clone: Path) -> None:
    run = bash(clone, "PATH=/nowhere; base=$(find_python); echo not reached")
    assert run.returncode == 1
    assert run.stdout == ""
    assert run.stderr.startswith("some: no Python from 3.11 to 3.14 found")
    assert run.stderr.count("\n") == 1


def test_without_the_venv_module_and_without_root_one_line_says_what_to_install(clone: Path) -> None:
    run = bash(clone, "in_range() { [ $# = 1 ] || [ $2 = sys ]; }; can_apt() { false; }\n" + FAKE_PIP + SET_UP_ONCE)
    # A stand-in that finds a Python, but never one with ensurepip, pip or an old .venv to fall back on.
    assert run.returncode == 1
    assert "can't make a virtual environment" in run.stderr.splitlines()[-1]
    assert "python3-venv" in run.stderr.splitlines()[-1]


def test_the_second_set_up_does_nothing(clone: Path) -> None:
    assert bash(clone, FAKE_PIP + SET_UP_ONCE).returncode == 0
    assert installs(clone) == 3
    second = bash(clone, FAKE_PIP + SET_UP_ONCE)
    assert (second.returncode, second.stderr) == (0, "")
    assert installs(clone) == 0


def test_a_changed_requirement_is_installed(clone: Path) -> None:
    bash(clone, SET_UP)
    installs(clone)
    (clone / "requirements.txt").write_text("idna==3.20\n")
    assert bash(clone, SET_UP).returncode == 0
    assert installs(clone) == 3


def test_a_set_up_that_was_cut_short_is_done_over_from_nothing(clone: Path) -> None:
    (clone / "no-network").touch()
    assert bash(clone, SET_UP).returncode != 0
    assert installs(clone) == 1
    half = clone / ".venv" / "half-installed"
    half.touch()
    (clone / "no-network").unlink()
    assert bash(clone, SET_UP).returncode == 0
    assert installs(clone) == 3
    assert not half.exists()


def test_a_moved_clone_is_set_up_anew(clone: Path) -> None:
    bash(clone, SET_UP)
    installs(clone)
    moved = clone.rename(clone.with_name("moved"))
    assert bash(moved, SET_UP).returncode == 0
    assert installs(moved) == 3
    assert str(moved) in (moved / ".venv" / "bin" / "activate").read_text()


@pytest.fixture
def commands_of_macos(tmp_path: Path) -> str:
    """A PATH with the commands that the set-up may use: without flock, sha256sum and the rest of GNU and util-linux."""
    folder = tmp_path / "macos"
    folder.mkdir()
    for name in ("cat", "cksum", "dirname", "grep", "rm", "sh", "sleep", "touch"):
        command = which(name)
        assert command is not None
        (folder / name).symlink_to(command)
    (folder / "python3").symlink_to(sys.executable)
    return str(folder)


def test_two_at_once_take_turns_with_the_commands_of_macos(clone: Path, commands_of_macos: str) -> None:
    slow_pip = FAKE_PIP.replace("pip_install() {", "pip_install() { sleep 0.2;")
    set_up = slow_pip + QUICK_VENV + SET_UP_ONCE
    run = bash(clone, set_up + " & first=$!\n" + set_up + "\nwait $first", path=commands_of_macos)
    assert run.returncode == 0, run.stderr
    assert run.stderr.count("setting up .venv") == 1
    assert installs(clone) == 3


def test_a_python_that_was_not_tested_comes_after_the_others(clone: Path, tmp_path: Path) -> None:
    for name in ("python3.14", "python3.11"):
        make_command(tmp_path / "bin", name, "exit 0")
    assert bash(clone, "find_python", path=f"{tmp_path / 'bin'}:/nowhere").stdout == "python3.11\n"
    (tmp_path / "bin" / "python3.11").unlink()
    assert bash(clone, "find_python", path=f"{tmp_path / 'bin'}:/nowhere").stdout == "python3.14\n"


def test_missing_commands_are_named_in_one_line_without_root(clone: Path) -> None:
    run = bash(
        clone, "can_apt() { false; }\nwant sh dash\nwant no-such-cmd pkg-a pkg-b\nwant nor-this pkg-c\ninstall_wanted"
    )
    assert run.returncode == 0
    assert run.stderr == "some: some tests are skipped: they need these Debian packages: pkg-a pkg-b pkg-c\n"


def test_missing_commands_are_installed_with_root(clone: Path) -> None:
    run = bash(
        clone, 'can_apt() { true; }\napt_install() { echo "apt $*"; }\nwant no-such-cmd pkg-a pkg-b\ninstall_wanted'
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "apt pkg-a pkg-b\n", "")


def test_node_modules_are_installed_once(clone: Path) -> None:
    js = clone / "js"
    js.mkdir()
    (js / "package-lock.json").write_text("{}")
    line = f'npm() {{ echo "npm $1"; mkdir -p "$3/node_modules"; }}\nnode_modules "{js}"'
    assert bash(clone, line).stderr.splitlines()[1:] == ["npm ci"]
    assert bash(clone, line).stderr == ""


def test_the_environment_is_that_of_the_repository(clone: Path) -> None:
    assert bash(clone, 'echo "$root"').stdout == f"{os.path.realpath(clone)}\n"
