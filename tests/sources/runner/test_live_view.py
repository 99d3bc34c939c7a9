from __future__ import annotations

from rag_pipeline.sources.runner.terminal import Terminal
from rag_pipeline.status.pipeline import PipelineStatus
from tests.sources.runner.test_file_lines import FakeService, play
from tests.sources.runner.test_terminal import Screen


def test_finished_files_are_printed_above_the_files_in_flight() -> None:
    status = PipelineStatus("local_files", "live")
    screen = Screen()
    terminal = Terminal(status, screen, live=True)
    terminal.start(FakeService("127.0.0.1", 1, 2), ["/docs"])
    play(status)
    status.add_processing_file("x[bold]\x1b[2J.txt", "x")
    status.file_progress("x[bold]\x1b[2J.txt", "embedding", 0.25, file_id="x")
    status.update(status="error", files_queued=7, own={"message": "the folder can't be read"})
    terminal.refresh()
    terminal.say("stopping …")
    assert terminal._live is not None
    with terminal._live._console.capture() as drawn:
        terminal._live._console.print(terminal._live._files(), terminal._live._totals())
    for expected in ("x[bold]\\x1b[2J.txt", "embedding", "25%", "7 waiting", "1 failed", "the folder can't be read"):
        assert expected in drawn.get()
    terminal.close({"live"})
    assert "sub/a.txt" in screen.text
    assert "stopping …" in screen.text
    assert screen.text.splitlines()[-1].startswith("3 stored, 1 failed")
