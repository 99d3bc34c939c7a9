"""Run the programs that make the files, and write files with their truths."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

FILES = Path(__file__).parents[1] / "files"
_SECONDS = 180


def write_truth(name: str, lines: Iterable[str], program: str) -> None:
    """Write the truth of a file; its first line names the program that made the file."""
    (FILES / f"{name}.truth.txt").write_text("\n".join([f"# {program}", *lines]) + "\n", encoding="utf-8")


def run(*command: str | Path, text: str | None = None) -> str:
    """Run a program; return its output, or raise CalledProcessError."""
    done = subprocess.run(
        [str(part) for part in command], input=text, capture_output=True, text=True, check=True, timeout=_SECONDS
    )
    return done.stdout


def version(*command: str) -> str:
    """Return the first line that a program prints about its version."""
    return run(*command).strip().splitlines()[0]


def libreoffice_version() -> str:
    """Return LibreOffice's name and version, without the build's number."""
    return " ".join(run("soffice", "--version").split()[:2])


def convert(source: Path, suffix: str, name: str, export: str = "") -> Path:
    """Save a file in another format with LibreOffice; ``export`` names a filter and its options."""
    with tempfile.TemporaryDirectory() as folder:
        form = f"{suffix}:{export}" if export else suffix
        profile = f"-env:UserInstallation=file://{tempfile.gettempdir()}/corpus-libreoffice"
        run("soffice", profile, "--headless", "--convert-to", form, "--outdir", folder, source)
        target = FILES / name
        shutil.move(Path(folder) / f"{source.stem}.{suffix}", target)
    return target


def print_page(page: Path, target: Path) -> None:
    """Print a page to PDF with Chromium."""
    options = ("--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer")
    run("chromium", *options, f"--print-to-pdf={target}", page.absolute().as_uri())
