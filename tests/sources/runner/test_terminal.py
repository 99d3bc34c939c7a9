from __future__ import annotations

import io
import os
from dataclasses import dataclass

import pytest

from rag_pipeline.sources.runner.terminal import FileLine, Terminal, addresses, file_line, summary
from rag_pipeline.status import PipelineStatus, core_of
from tests.support.recorder import Recorder


@dataclass
class Service:
    """Where a service would be."""

    host: str
    http_port: int
    socket_port: int


class Screen(io.TextIOWrapper):
    """What a terminal of some encoding was given."""

    def __init__(self, encoding: str = "utf-8") -> None:
        super().__init__(io.BytesIO(), encoding=encoding)

    @property
    def text(self) -> str:
        self.flush()
        assert isinstance(self.buffer, io.BytesIO)
        return self.buffer.getvalue().decode(self.encoding)


@pytest.fixture
def status() -> PipelineStatus:
    return PipelineStatus("local_files", "terminal")


def play(status: PipelineStatus) -> None:
    status.add_processing_file("sub/a.txt", "a")
    status.file_progress("sub/a.txt", "embedding", 0.5, file_id="a")
    status.complete_file("sub/a.txt", file_id="a", result={"chunks": 1, "mime_type": "text/plain"})
    status.add_processing_file("b.txt", "b")
    status.file_progress("b.txt", "extracting", file_id="b")
    status.complete_file("b.txt", success=False, file_id="b", error=ValueError("b.txt is damaged\nbadly"))
    status.skip_file("c\x1b[2J.png", "c\x1b[2J.png is a picture", file_id="c")
    status.delete_file("d.txt", file_id="d")
    status.add_processing_file("e.txt", "e")
    status.complete_file("e.txt", file_id="e", result={"unchanged": True})
    status.add_processing_file("f.txt", "f")
    status.complete_file("f.txt", file_id="f", result={"renamed_from": "old\x1b.txt"})


def test_each_end_of_a_file_is_a_line_and_nothing_else_is(status: PipelineStatus) -> None:
    seen = Recorder()
    core_of(status).attach(seen)
    play(status)
    lines = [line for event in seen.events if (line := file_line(event))]
    assert lines[0].about.startswith("1 chunk, 0.")
    assert lines[1:] == [
        FileLine("failed", "b.txt", "extracting: is damaged badly"),
        FileLine("skipped", "c\\x1b[2J.png", "skipped: is a picture"),
        FileLine("removed", "d.txt", "removed"),
        FileLine("unchanged", "e.txt", "unchanged"),
        FileLine("unchanged", "f.txt", "renamed, was old\\x1b.txt"),
    ]


def test_where_to_look_is_said_first_for_any_way_to_bind() -> None:
    assert dict(addresses(Service("0.0.0.0", 8003, 8004)))["Status"] == "http://127.0.0.1:8003/status"
    rows = dict(addresses(Service("::", 8003, 8004)))
    assert rows["Socket.IO"] == "http://[::1]:8004   namespaces /google_drive /local_files /pipeline"


@pytest.mark.parametrize(("encoding", "mark"), [("utf-8", "✓"), ("ascii", "+")])
def test_without_a_terminal_there_are_plain_lines_in_its_encoding(
    status: PipelineStatus, encoding: str, mark: str
) -> None:
    screen = Screen(encoding)
    terminal = Terminal(status, screen)
    terminal.start(Service("127.0.0.1", 1, 2), "/Büro")
    play(status)
    terminal.tick()
    terminal.say("stopping …")
    terminal.close()
    assert screen.text.startswith("Folder     /B")
    assert f"\n{mark} sub/a.txt  1 chunk" in screen.text
    assert "\x1b" not in screen.text
    assert screen.text.splitlines()[-1].startswith("3 stored, 1 failed, 1 skipped, 1 removed in ")


def test_after_the_end_nothing_is_taken_any_more(status: PipelineStatus) -> None:
    screen = Screen()
    terminal = Terminal(status, screen)
    terminal.close(summarize=False)
    play(status)
    terminal.tick()
    assert screen.text == ""


def test_the_summary_counts_everything(status: PipelineStatus) -> None:
    play(status)
    done = core_of(status).snapshot().attempts
    assert summary(done, 1.25) == "3 stored, 1 failed, 1 skipped, 1 removed in 1.2 s"


@pytest.mark.parametrize("live", [False, True])
def test_where_the_output_is_full_it_is_said_once(
    status: PipelineStatus, live: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with open("/dev/full", "w", encoding="utf-8") as out:  # noqa: PTH123 - a device
        terminal = Terminal(status, out, live=live)
        terminal.start(Service("127.0.0.1", 1, 2), "/docs")
        play(status)
        terminal.tick()
        terminal.say("still there")
        terminal.close()
    said = "the output can't be written (No space left on device): the pipeline goes on without it"
    assert [record.getMessage() for record in caplog.records] == [said]


def test_without_any_output_it_does_its_work(status: PipelineStatus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", None)
    terminal = Terminal(status)
    play(status)
    terminal.tick()
    terminal.close()


def test_when_the_reader_of_the_lines_goes_the_pipeline_goes_on_without_them(status: PipelineStatus) -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w", encoding="utf-8") as out:
        terminal = Terminal(status, out)
        os.close(reading)
        play(status)
        terminal.tick()
        terminal.say("still there")
        terminal.close()
