"""Every outcome of reading a file, with real workers: text, an error or a stop. No worker is left behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import zlib
from pathlib import Path

import pytest

from rag_pipeline.errors import (
    ConfigurationError,
    CorruptFileError,
    EmptyFileError,
    EncryptedFileError,
    ExtractionError,
    ExtractionLimitError,
    UnsupportedFileTypeError,
)
from rag_pipeline.ingest.extract import ExtractionLimits, ProcessExtractor
from rag_pipeline.ingest.extract.limits import MIB
from rag_pipeline.ingest.types import Stopped
from tests.ingest.extract.makers import EXAMPLES, make_docx, make_ole_file, make_pdf, make_xlsx, make_zip
from tests.support.processes import child_processes, is_alive
from tests.support.waiting import DEADLINE_SECONDS, wait_until

pytestmark = pytest.mark.slow

_ROOT = Path(__file__).resolve().parents[3]


class Running:
    """An extraction in its own thread; ``outcome`` is its result or exception."""

    def __init__(self, extractor: ProcessExtractor, path: Path) -> None:
        self.outcome: object = None
        self.has_progress = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(extractor, path))
        self._thread.start()

    def _run(self, extractor: ProcessExtractor, path: Path) -> None:
        try:
            self.outcome = extractor.extract(str(path), on_progress=self._note_progress)
        except BaseException as error:  # noqa: BLE001 - tests examine it
            self.outcome = error

    def _note_progress(self, fraction: float) -> None:
        if fraction > 0:
            self.has_progress.set()

    def join(self) -> None:
        self._thread.join(DEADLINE_SECONDS)
        assert not self._thread.is_alive()


@pytest.fixture
def long_pdf(tmp_path: Path) -> Path:
    """A PDF that takes seconds to read."""
    path = tmp_path / "long.pdf"
    path.write_bytes(make_pdf(600, lines=60))
    return path


def slow_page() -> bytes:
    """Return a PDF of one page that takes PDFium minutes: each word lies over all the words before it."""
    return make_pdf(1, content=b"BT /F1 11 Tf 72 700 Td " + b"(words) Tj -30 0 Td " * 400_000 + b"ET")


def write(folder: Path, name: str, data: bytes) -> str:
    path = folder / name
    path.write_bytes(data)
    return str(path)


# Readable files


@pytest.mark.parametrize(
    ("name", "locator", "words"),
    [
        ("welcome.txt", "lines 1-21", "Ask for Priya Nair"),
        ("wind-tunnel.eml", "message", "borrowed from the university in Tromsø"),
        ("policies/leave.md", "Leave policy › Annual leave", "27 days of paid annual leave"),
        ("policies/travel-expenses.docx", "Travel and expenses › Hotels", "at most 140 EUR a night"),
        ("policies/travel-expenses.docx", "Travel and expenses › Daily allowance", "Norway | 48 EUR"),
        ("policies/security.html", "Information security rules › Passwords", "at least 14 characters and are kept in"),
        ("policies/working-from-home.rtf", "", "pays 30 € a month"),
        ("policies/Büro München.md", "Büro München › Küche", "Weißwürste"),
        ("products/aurora-manual.pdf", "page 5 › Faults", "E03 Wind sensor blocked"),
        ("products/price-list.csv", "rows 1-11", "Name: Mast, 2 m, stainless steel | Price EUR: 120.00"),
        ("products/sales-and-budget.xlsx", "sheet Budget 2026, rows 1-6", "Department: Training | Budget EUR: 48000"),
        ("products/launch-plan.pptx", "slide 3 › Dates", "Say that the pilot schools keep their stations."),
    ],
)
def test_an_example_is_read_with_its_locators(extractor: ProcessExtractor, name: str, locator: str, words: str) -> None:
    document = extractor.extract(str(EXAMPLES / name))
    text = {section.locator: " ".join(section.text.split()) for section in document.sections}
    assert words in text[locator]


def test_names_that_are_not_utf8_reach_the_worker_intact(extractor: ProcessExtractor, tmp_path: Path) -> None:
    path = os.fsdecode(os.fsencode(str(tmp_path)) + b"/caf\xe9 \xff.txt")
    Path(path).write_text("found")
    assert extractor.extract(path).sections[0].text == "found"
    os.truncate(path, 0)
    with pytest.raises(EmptyFileError, match=r"^caf\\xe9 \\xff.txt is empty"):
        extractor.extract(path)


def test_a_relative_path_is_relative_to_the_working_folder(
    extractor: ProcessExtractor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('a document is never imported')")
    monkeypatch.chdir(tmp_path)
    assert extractor.extract("json.py").mime_type == "text/plain"
    with ProcessExtractor() as fresh:
        assert fresh.extract("json.py").sections


def test_progress_rises_to_one(extractor: ProcessExtractor, long_pdf: Path) -> None:
    fractions: list[float] = []
    document = extractor.extract(str(long_pdf), on_progress=fractions.append)
    assert len(document.sections) == 600
    assert fractions == sorted(fractions)
    assert 0 <= fractions[0] < 0.5 < fractions[-1] <= 1


# Unreadable files


@pytest.mark.parametrize(
    ("name", "data", "error", "words"),
    [
        ("empty.txt", b"", EmptyFileError, "is empty (0 bytes)"),
        ("blank.md", b" \n\t\n", EmptyFileError, "has no text"),
        ("scan.pdf", make_pdf(2, content=b"0 0 m 9 9 l S"), EmptyFileError, "no text layer; OCR is off"),
        ("old.pub", make_ole_file({"Quill": b""}), UnsupportedFileTypeError, "a Publisher document"),
        ("locked.docx", make_ole_file({"EncryptedPackage": b""}), EncryptedFileError, "password"),
        ("picture.txt", (EXAMPLES / "products/logo.png").read_bytes(), UnsupportedFileTypeError, "PNG"),
        ("backup.zip", make_zip({"a.txt": "text"}), UnsupportedFileTypeError, "zip archive"),
        ("backup.tar.gz", b"\x1f\x8b\x08" + bytes(40), UnsupportedFileTypeError, "gzip"),
        ("data", bytes(range(256)) * 8, UnsupportedFileTypeError, "binary data"),
        ("letter.docx", b"just words", CorruptFileError, "named like a Word document"),
        ("cut.pdf", make_pdf(3)[:700], CorruptFileError, "damaged PDF"),
        ("deep.ipynb", b"[" * 200_000, CorruptFileError, "nested too deeply"),
    ],
)
def test_the_error_says_why_a_file_has_no_text(
    extractor: ProcessExtractor, tmp_path: Path, name: str, data: bytes, error: type[Exception], words: str
) -> None:
    with pytest.raises(error) as caught:
        extractor.extract(write(tmp_path, name, data))
    message = str(caught.value)
    assert message.startswith(name + " ")
    assert words in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("board-minutes (locked).pdf", EncryptedFileError),
        ("products/old-manual (damaged).docx", CorruptFileError),
        ("products/logo.png", UnsupportedFileTypeError),
    ],
)
def test_the_error_says_why_an_example_can_not_be_read(
    extractor: ProcessExtractor, name: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        extractor.extract(str(EXAMPLES / name))


def test_special_files_are_refused_without_blocking(extractor: ProcessExtractor, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.txt")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket.txt"))
        for path, what in (
            (tmp_path / "pipe.txt", "a named pipe"),
            (tmp_path / "socket.txt", "a socket"),
            (Path("/dev/zero"), "a device"),
            (tmp_path, "a folder"),
        ):
            with pytest.raises(UnsupportedFileTypeError, match=what):
                extractor.extract(str(path))


def test_an_error_of_the_system_is_an_os_error(extractor: ProcessExtractor, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"gone\.txt"):
        extractor.extract(str(tmp_path / "gone.txt"))
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OSError, match="symbolic links"):
        extractor.extract(str(tmp_path / "loop"))
    path = write(tmp_path, "secret.txt", b"text")
    Path(path).chmod(0)
    if os.geteuid() != 0:
        with pytest.raises(PermissionError, match=r"secret\.txt"):
            extractor.extract(path)


# Limits


def test_a_zip_bomb_is_refused(tmp_path: Path) -> None:
    bomb = make_docx("<w:p><w:r><w:t>" + "a" * 48 * MIB + "</w:t></w:r></w:p>")
    assert len(bomb) < 100_000
    path = write(tmp_path, "bomb.docx", bomb)
    with ProcessExtractor(ExtractionLimits(unpacked_bytes=32 * MIB)) as extractor:
        with pytest.raises(ExtractionLimitError, match="unpacks to"):
            extractor.extract(path)
        inner = make_docx("<w:p><w:r><w:t>outer</w:t></w:r></w:p>", extra={"word/embeddings/1.docx": bomb})
        assert extractor.extract(write(tmp_path, "nested.docx", inner)).sections[0].text == "outer"


@pytest.mark.parametrize("allowed", [False, True])
def test_entity_expansion_is_stopped(extractor: ProcessExtractor, tmp_path: Path, allowed: bool) -> None:
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    prologue = f'<!DOCTYPE w:document [<!ENTITY l0 "lol">{laughs}]>'
    if allowed:
        path = write(tmp_path, "laughs.xml", f"{prologue}<a>&l9;</a>".encode())
    else:
        path = write(tmp_path, "laughs.docx", make_docx("<w:p><w:r><w:t>&l9;</w:t></w:r></w:p>", prologue))
    with pytest.raises(ExtractionLimitError if allowed else CorruptFileError, match="entities"):
        extractor.extract(path)


def test_deep_nesting_is_stopped(extractor: ProcessExtractor, tmp_path: Path) -> None:
    deep = make_docx("<w:p>" * 100_000 + "</w:p>" * 100_000)
    with pytest.raises(CorruptFileError, match="nested deeper"):
        extractor.extract(write(tmp_path, "deep.docx", deep))
    html = b"<div>" * 200_000 + b"words"
    assert extractor.extract(write(tmp_path, "deep.html", html)).sections[0].text == "words"


def test_pages_read_before_the_time_is_up_are_kept_and_the_next_file_is_read(tmp_path: Path) -> None:
    path = write(tmp_path, "long.pdf", make_pdf(4_000, lines=60))
    with ProcessExtractor(ExtractionLimits(time_seconds=1)) as extractor:
        document = extractor.extract(path)
        assert 0 < len(document.sections) < 4_000
        (warning,) = document.warnings
        pages = len(document.sections)
        assert (warning.type, document.quality.pages) == ("time_limit", pages)
        assert f"only the first {pages:,} of 4,000 pages were read within 1 s" in warning.message
        assert extractor.extract(write(tmp_path, "next.txt", b"next")).sections


def test_no_part_of_a_bomb_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rag_pipeline.ingest.extract.extractor._MAX_TEXT_PER_BYTE", 0.001)
    path = write(tmp_path, "bomb.pdf", make_pdf(4_000, lines=60))
    limits = ExtractionLimits(time_seconds=1)
    with ProcessExtractor(limits) as extractor, pytest.raises(ExtractionLimitError, match="took longer"):
        extractor.extract(path)


def test_a_page_that_takes_too_long_fails_though_the_library_is_in_c(tmp_path: Path) -> None:
    path = write(tmp_path, "slow.pdf", slow_page())
    with ProcessExtractor(ExtractionLimits(time_seconds=1)) as extractor:
        with pytest.raises(ExtractionLimitError, match=r"^slow\.pdf took longer than 1 seconds") as caught:
            extractor.extract(path)
        assert caught.value.overran
        assert extractor.extract(write(tmp_path, "next.txt", b"next")).sections


@pytest.mark.parametrize("unpacked", [300 * MIB, 900 * MIB])
def test_a_pdf_whose_text_unpacks_to_too_much_is_refused(tmp_path: Path, unpacked: int) -> None:
    packed = zlib.compress(b"BT " + bytes(unpacked) + b" ET", 9)
    data = make_pdf(1, content=packed).replace(b"<</Length", b"<</Filter/FlateDecode/Length")
    with ProcessExtractor(ExtractionLimits(memory_bytes=256 * MIB)) as extractor, pytest.raises(ExtractionError):
        extractor.extract(write(tmp_path, "bomb.pdf", data))


def test_after_a_file_that_takes_too_much_memory_the_next_is_read(tmp_path: Path) -> None:
    cells = "".join(f"<si><t>string number {number}</t></si>" for number in range(1_000_000))
    path = write(tmp_path, "hog.xlsx", make_xlsx("", shared=cells))
    with ProcessExtractor(ExtractionLimits(memory_bytes=64 * MIB)) as extractor:
        with pytest.raises(ExtractionLimitError, match="bytes of memory"):
            extractor.extract(path)
        assert extractor.extract(write(tmp_path, "next.txt", b"next")).sections


def test_input_and_output_are_limited(tmp_path: Path) -> None:
    with ProcessExtractor(ExtractionLimits(text_bytes=100_000, input_bytes=1_000_000)) as extractor:
        with pytest.raises(ExtractionLimitError, match="more than 100,000 bytes of text"):
            extractor.extract(write(tmp_path, "long.log", b"0123456789 words\n" * 10_000))
        with pytest.raises(ExtractionLimitError, match="1,000,001 bytes, over the limit"):
            extractor.extract(write(tmp_path, "large.log", bytes(1_000_001)))


def test_a_long_pdf_stays_within_the_limits(long_pdf: Path) -> None:
    with ProcessExtractor(ExtractionLimits(memory_bytes=256 * MIB)) as extractor:
        assert extractor.extract(str(long_pdf)).sections[-1].locator == "page 600"


# Dying workers, and stopping


def test_a_killed_worker_fails_its_file_and_is_replaced(tmp_path: Path, long_pdf: Path) -> None:
    before = child_processes()
    with ProcessExtractor() as extractor:
        running = Running(extractor, long_pdf)
        assert running.has_progress.wait(DEADLINE_SECONDS)
        (worker,) = child_processes() - before
        os.kill(worker, signal.SIGKILL)
        running.join()
        assert isinstance(running.outcome, ExtractionLimitError)
        assert running.outcome.retryable
        assert extractor.extract(write(tmp_path, "next.txt", b"next")).sections


def test_a_crashed_worker_fails_its_file(long_pdf: Path) -> None:
    before = child_processes()
    with ProcessExtractor() as extractor:
        running = Running(extractor, long_pdf)
        assert running.has_progress.wait(DEADLINE_SECONDS)
        (worker,) = child_processes() - before
        os.kill(worker, signal.SIGSEGV)
        running.join()
        assert isinstance(running.outcome, CorruptFileError)
        assert "SIGSEGV" in str(running.outcome)


def test_an_idle_worker_that_died_is_replaced(tmp_path: Path) -> None:
    before = child_processes()
    path = write(tmp_path, "a.txt", b"text")
    with ProcessExtractor() as extractor:
        extractor.extract(path)
        (worker,) = child_processes() - before
        os.kill(worker, signal.SIGKILL)
        wait_until(lambda: not is_alive(worker))
        assert extractor.extract(path).sections


def test_a_progress_callback_stops_the_extraction(tmp_path: Path, long_pdf: Path) -> None:
    def stop(fraction: float) -> None:
        raise Stopped("enough")

    with ProcessExtractor() as extractor:
        with pytest.raises(Stopped, match="enough"):
            extractor.extract(str(long_pdf), on_progress=stop)
        assert extractor.extract(write(tmp_path, "next.txt", b"next")).sections


def test_a_stuck_extraction_can_be_stopped(tmp_path: Path) -> None:
    """A single page that takes minutes reports no progress."""
    calls = 0

    def stop(fraction: float) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise Stopped

    with ProcessExtractor() as extractor, pytest.raises(Stopped):
        extractor.extract(write(tmp_path, "stuck.pdf", slow_page()), on_progress=stop)


def test_close_ends_a_running_extraction_and_the_worker(long_pdf: Path) -> None:
    before = child_processes()
    extractor = ProcessExtractor()
    running = Running(extractor, long_pdf)
    assert running.has_progress.wait(DEADLINE_SECONDS)
    extractor.close()
    running.join()
    assert isinstance(running.outcome, Stopped)
    wait_until(lambda: child_processes() <= before)
    extractor.close()
    with pytest.raises(Stopped):
        extractor.extract(str(long_pdf))


def test_threads_share_the_workers(tmp_path: Path) -> None:
    before = child_processes()
    path = Path(write(tmp_path, "a.txt", b"text"))
    with ProcessExtractor(workers=2) as extractor:
        running = [Running(extractor, path) for _ in range(12)]
        for one in running:
            one.join()
        assert len(child_processes() - before) <= 2
    assert all(getattr(one.outcome, "sections", None) for one in running)


def test_a_worker_is_replaced_after_files_per_worker(tmp_path: Path) -> None:
    path = write(tmp_path, "a.txt", b"text")
    before = child_processes()
    with ProcessExtractor(ExtractionLimits(files_per_worker=2)) as extractor:
        seen = set()
        for _ in range(4):
            extractor.extract(path)
            seen |= child_processes() - before
        extractor.extract(path)
        seen |= child_processes() - before
    assert len(seen) >= 2


def test_a_worker_outlives_the_thread_that_started_it(tmp_path: Path) -> None:
    path = Path(write(tmp_path, "a.txt", b"text"))
    before = child_processes()
    with ProcessExtractor() as extractor:
        first = Running(extractor, path)
        first.join()
        started = child_processes() - before
        assert len(started) == 1
        extractor.extract(str(path))
        assert child_processes() - before == started


@pytest.mark.parametrize("busy", [False, True])
def test_a_killed_parent_leaves_no_worker(tmp_path: Path, long_pdf: Path, busy: bool) -> None:
    script = (
        "import sys, time; from rag_pipeline.ingest.extract import ProcessExtractor\n"
        "extractor = ProcessExtractor(); extractor.extract(sys.argv[1]); print('up', flush=True)\n"
        "extractor.extract(sys.argv[2], on_progress=lambda _: print('busy', flush=True)); time.sleep(60)\n"
    )
    # If busy, the worker is reading one long page: only the kernel can end it there.
    second = slow_page() if busy else b"text"
    arguments = [write(tmp_path, "a.txt", b"text"), write(tmp_path, "second.pdf" if busy else "b.txt", second)]
    parent = subprocess.Popen([sys.executable, "-c", script, *arguments], cwd=_ROOT, stdout=subprocess.PIPE, text=True)
    with parent:
        assert parent.stdout
        assert parent.stdout.readline() == "up\n"
        if busy:
            assert parent.stdout.readline() == "busy\n"
        (worker,) = child_processes(parent.pid)
        parent.kill()
    # Shorter than the page takes: the worker must not finish by itself.
    wait_until(lambda: not is_alive(worker))


_PATCHED_HOST = """
import eventlet
eventlet.monkey_patch()
import sys, threading
from rag_pipeline.ingest.extract import ProcessExtractor
native = eventlet.patcher.original("threading")
extractor = ProcessExtractor(workers=2)
ticks, found = [], []
def tick():
    while True:
        ticks.append(1)
        eventlet.sleep(0.01)
eventlet.spawn(tick)
read = lambda: found.append(len(extractor.extract(sys.argv[1]).sections))
greenlets = [threading.Thread(target=read) for _ in range(3)]
native_thread = native.Thread(target=read)
for one in greenlets: one.start()
native_thread.start()
for one in greenlets: one.join()
native_thread.join()
extractor.close()
print(found, len(ticks) > 20)
"""


def test_a_host_patched_for_greenlets_is_not_blocked(long_pdf: Path) -> None:
    pytest.importorskip("eventlet")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _PATCHED_HOST, str(long_pdf)],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "[600, 600, 600, 600] True\n", done.stderr


def test_the_error_says_that_a_worker_can_not_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, "a.txt", b"text")
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with ProcessExtractor() as extractor:
        with pytest.raises(ExtractionError, match="did not start") as caught:
            extractor.extract(path)
        assert caught.value.retryable
        monkeypatch.setattr(sys, "executable", "/no/python")
        with pytest.raises(ExtractionError, match="could not be started"):
            extractor.extract(path)
    with ProcessExtractor(ExtractionLimits(memory_bytes=1)) as extractor, pytest.raises(ExtractionError):
        extractor.extract(path)


@pytest.mark.parametrize("workers", [0, 65, True, 1.5])
def test_a_wrong_number_of_workers_is_refused(workers: int) -> None:
    with pytest.raises(ConfigurationError, match="workers="):
        ProcessExtractor(workers=workers)
