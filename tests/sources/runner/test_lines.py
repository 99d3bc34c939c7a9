"""What several pipelines print: each line says whose it is."""

from __future__ import annotations

from rag_pipeline.sources.runner.lines import Lines, Place
from rag_pipeline.status import PipelineStatus
from rag_pipeline.status.model import Totals
from tests.sources.runner.test_terminal import Screen, Service


def shown() -> tuple[PipelineStatus, PipelineStatus, Screen, Lines]:
    papers, notes = PipelineStatus("local_files", "papers"), PipelineStatus("google_drive", "notes")
    screen = Screen("ascii")
    return papers, notes, screen, Lines([papers, notes], screen)


def test_what_is_followed_and_where_to_look_comes_first() -> None:
    _, _, screen, lines = shown()
    places = [Place("papers", "local_files", "/docs"), Place("notes", "google_drive", "My Drive \x07")]
    lines.start(Service("0.0.0.0", 8003, 8004), places)
    text = screen.text.splitlines()
    assert text[:2] == ["papers  local_files   /docs", "notes   google_drive  My Drive \\x07"]
    assert any(line.startswith("Status ") and "http://127.0.0.1:8003/status" in line for line in text)


def test_each_file_that_is_done_is_a_line_in_the_order_it_happened() -> None:
    papers, notes, screen, lines = shown()
    papers.complete_file("a.txt", result={"unchanged": True})
    notes.complete_file("b.pdf", success=False, error="it is damaged")
    papers.skip_file("c.png", "it is a picture")
    papers.delete_file("d.txt")
    lines.tick()
    assert screen.text.splitlines() == [
        "papers  + a.txt  unchanged",
        "notes   ! b.pdf  failed: it is damaged",
        "papers  - c.png  skipped: it is a picture",
        "papers  x d.txt  removed",
    ]


def test_trouble_and_pauses_are_said_once_and_so_is_their_end() -> None:
    papers, _, screen, lines = shown()
    for fields in (
        {"status": "initializing"},
        {"status": "idle"},
        {"status": "error", "message": "the folder\nis gone"},
        {"status": "error", "message": "the folder\nis gone", "files_queued": 0},
        {"status": "scanning", "message": None},
        {"status": "idle"},
        {"status": "processing"},
        {"status": "paused"},
        {"status": "paused", "files_queued": 3},
        {"status": "processing"},
        {"status": "stopped"},
    ):
        papers.update(**fields)
        lines.tick()
    assert [line.removeprefix("papers").strip() for line in screen.text.splitlines()] == [
        "! error: the folder is gone",
        "+ goes on",
        "- paused",
        "+ goes on",
    ]


def test_the_end_sums_up_what_each_has_done_and_hears_no_more() -> None:
    papers, notes, screen, lines = shown()
    papers.complete_file("a.txt")
    lines.say("stopping ...")
    lines.close({"papers": Totals(), "notes": Totals(0, 0, 0, 0)})
    notes.complete_file("late.txt")
    lines.tick()
    text = screen.text.splitlines()
    assert text[0] == "stopping ..."
    assert text[-2].startswith("papers  1 stored, 0 failed, 0 skipped, 0 removed in ")
    assert text[-1].startswith("notes   0 stored, 0 failed")
    assert "late" not in screen.text


def test_one_that_failed_is_not_summed_up() -> None:
    _, _, screen, lines = shown()
    lines.close({"papers": Totals()})
    assert [line.split()[0] for line in screen.text.splitlines()] == ["papers"]
