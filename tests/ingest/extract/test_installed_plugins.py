"""Readers of other packages, as installed distributions, read by a confined worker process."""

from __future__ import annotations

import logging
import re
import sys
import textwrap
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rag_pipeline.errors import ExtractionError, UnsupportedFileTypeError
from rag_pipeline.ingest.extract import ProcessExtractor
from rag_pipeline.ingest.extract.installed_plugins import installed_plugins, to_environment

Install = Callable[..., None]
_READER = """
from rag_pipeline.errors import CorruptFileError

def read_drawing(file, writer):
    lines = file.stream.read().decode("latin-1").splitlines()
    if lines[0] != "drawing":
        raise CorruptFileError("its first line is wrong")
    for number, line in enumerate(lines[1:], 1):
        writer.section(f"layer {number}")
        writer.write(line)

def fail(file, writer):
    {}["missing"]

def look_around(file, writer):
    open("/etc/passwd").read()
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Return a function that installs a distribution with these entry points and the module ``acme_reader``."""
    folder = tmp_path / "installed"

    def install_distribution(*entries: str, name: str = "acme-reader") -> None:
        info = folder / f"{name.replace('-', '_')}-1.2.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text("[rag_pipeline.readers]\n" + "\n".join(entries) + "\n")
        (folder / "acme_reader").mkdir(exist_ok=True)
        (folder / "acme_reader" / "__init__.py").write_text(textwrap.dedent(_READER))
        if str(folder) not in sys.path:
            monkeypatch.syspath_prepend(folder)
        installed_plugins.cache_clear()

    yield install_distribution
    monkeypatch.undo()
    installed_plugins.cache_clear()


def read(path: Path) -> list[tuple[str, str]]:
    with ProcessExtractor() as extractor:
        return [(section.locator, section.text) for section in extractor.extract(str(path)).sections]


def _write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_a_suffix_has_its_reader(install: Install, tmp_path: Path) -> None:
    install(".drw = acme_reader:read_drawing")
    path = _write(tmp_path / "Plan.DRW", b"drawing\n\xe4 wall\na door")
    assert read(path) == [("layer 1", "ä wall"), ("layer 2", "a door")]
    with pytest.raises(ExtractionError, match=r"^a\.drw is a damaged \.drw file: its first line is wrong$"):
        read(_write(tmp_path / "a.drw", b"other"))


def test_a_mime_type_has_its_reader(install: Install, tmp_path: Path) -> None:
    install("image/png = acme_reader:read_drawing", "text/csv = acme_reader:read_drawing")
    assert read(_write(tmp_path / "a.png", b"drawing\npixels")) == [("layer 1", "pixels")]
    assert read(_write(tmp_path / "b.png", b"drawing\nwalls and doors\1")) == [("layer 1", "walls and doors")]
    assert read(_write(tmp_path / "a.csv", b"drawing\na;b")) == [("layer 1", "a;b")]
    assert read(_write(tmp_path / "a.txt", b"other files are not its own")) == [
        ("line 1", "other files are not its own")
    ]


def test_a_failure_costs_only_the_file_and_names_the_plugin(install: Install, tmp_path: Path) -> None:
    install(
        ".a = acme_reader:fail", ".b = acme_missing:read", ".c = acme_reader:missing", ".d = acme_reader:look_around"
    )
    reasons = {
        "x.a": r"x\.a was not read: the reader acme_reader:fail of acme-reader 1\.2 failed \(KeyError: 'missing'\)$",
        "x.b": r"acme_missing:read of acme-reader 1\.2 can't be imported \(ModuleNotFoundError: No module named",
        "x.c": r"acme_reader:missing of acme-reader 1\.2 can't be imported \(AttributeError: ",
        "x.d": r"x\.d is damaged \(PermissionError",  # confined like every reader
    }
    with ProcessExtractor() as extractor:
        for name, reason in reasons.items():
            with pytest.raises(ExtractionError, match=reason) as caught:
                extractor.extract(str(_write(tmp_path / name, b"content")))
            assert not caught.value.of_content
        assert extractor.extract(str(_write(tmp_path / "y.txt", b"the next file"))).sections[0].text == "the next file"


def test_entries_that_cannot_be_used_are_named(install: Install, caplog: pytest.LogCaptureFixture) -> None:
    install("drawing = acme_reader:read_drawing", ".x = acme_reader", ".y = acme_reader:read_drawing")
    install(".y = acme_reader:fail", name="zenith-reader")
    with caplog.at_level(logging.WARNING):
        assert set(installed_plugins()) == {".y"}
    assert sorted(caplog.messages) == [
        "the reader 'drawing' of acme-reader 1.2 is ignored: its name must be a suffix such as .dwg or a MIME type",
        "the reader .x of acme-reader 1.2 is ignored: acme_reader is not module:function",
        "the reader .y of acme-reader 1.2 is ignored: zenith-reader 1.2 has one too",
    ]


def test_without_plugins_the_worker_is_told_nothing(tmp_path: Path) -> None:
    installed_plugins.cache_clear()
    assert to_environment() == {}
    with pytest.raises(UnsupportedFileTypeError, match="PNG image"):
        read(_write(tmp_path / "a.png", b"\x89PNG\r\n\x1a\n"))


def test_the_documented_example_reads_subtitles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "readers.md").read_text("utf-8")
    project = tomllib.loads(re.findall(r"```toml\n(.*?)```", page, re.S)[0])["project"]
    (folder := tmp_path / "installed").mkdir()
    (folder / "subtitle_reader.py").write_text(re.findall(r"```python\n(.*?)```", page, re.S)[0])
    info = folder / "subtitle_reader-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    ((name, value),) = project["entry-points"]["rag_pipeline.readers"].items()
    (info / "entry_points.txt").write_text(f"[rag_pipeline.readers]\n{name} = {value}\n")
    monkeypatch.syspath_prepend(folder)
    installed_plugins.cache_clear()
    first, second = b"1\n00:00:05,000 --> 00:00:07,000\nHello.\n\n", b"2\n00:01:08,000 --> 00:01:09,000\nGood bye.\n"
    assert read(_write(tmp_path / "film.srt", first + second)) == [("00:00", "Hello."), ("00:01", "Good bye.")]
    installed_plugins.cache_clear()
