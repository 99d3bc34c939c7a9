from __future__ import annotations

import io
import os

import pytest

from rag_pipeline.sources.runner.terminal import Terminal
from rag_pipeline.status.pipeline import PipelineStatus
from tests.sources.runner.test_file_lines import FakeService, play


class Screen(io.TextIOWrapper):
    """A terminal of some encoding that keeps its text."""

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


@pytest.mark.parametrize(("encoding", "mark"), [("utf-8", "✓"), ("ascii", "+")])
def test_without_a_terminal_plain_lines_are_printed_in_the_outputs_encoding(
    status: PipelineStatus, encoding: str, mark: str
) -> None:
    screen = Screen(encoding)
    terminal = Terminal(status, screen)
    terminal.start(FakeService("127.0.0.1", 1, 2), ["/Büro"])
    play(status)
    terminal.refresh()
    terminal.say("stopping …")
    terminal.close({"terminal"})
    assert screen.text.startswith("Folder     /B")
    assert f"\n{mark} sub/a.txt  1 chunk" in screen.text
    assert "\x1b" not in screen.text
    assert screen.text.splitlines()[-1].startswith("3 stored, 1 failed, 1 skipped, 1 removed in ")


def test_nothing_is_printed_after_closing(status: PipelineStatus) -> None:
    screen = Screen()
    terminal = Terminal(status, screen)
    terminal.close(())
    play(status)
    terminal.refresh()
    assert screen.text == ""


@pytest.mark.parametrize("live", [False, True])
def test_a_full_output_is_logged_once(status: PipelineStatus, live: bool, caplog: pytest.LogCaptureFixture) -> None:
    with open("/dev/full", "w", encoding="utf-8") as out:  # noqa: PTH123 - a device
        terminal = Terminal(status, out, live=live)
        terminal.start(FakeService("127.0.0.1", 1, 2), ["/docs"])
        play(status)
        terminal.refresh()
        terminal.say("still there")
        terminal.close({"terminal"})
    message = "the output can't be written (No space left on device): the pipeline goes on without it"
    assert [record.getMessage() for record in caplog.records] == [message]


def test_a_closed_stdout_is_no_error(status: PipelineStatus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", None)
    terminal = Terminal(status)
    play(status)
    terminal.refresh()
    terminal.close({"terminal"})


def test_the_pipeline_goes_on_when_the_reader_of_the_lines_is_gone(status: PipelineStatus) -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w", encoding="utf-8") as out:
        terminal = Terminal(status, out)
        os.close(reading)
        play(status)
        terminal.refresh()
        terminal.say("still there")
        terminal.close({"terminal"})
