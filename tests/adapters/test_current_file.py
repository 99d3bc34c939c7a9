"""The file that the running code works on."""

from __future__ import annotations

import asyncio
import threading

from rag_pipeline.adapters.current_file import current, enter, leave, stage, warn, working_on


class Recorded:
    def __init__(self) -> None:
        self.stages: list[tuple[str, float | None]] = []
        self.warnings: list[tuple[str, str, int]] = []

    def stage(self, stage: str, progress: float | None = None) -> None:
        self.stages.append((stage, progress))

    def warn(self, type: str, message: str, count: int = 1) -> None:  # noqa: A002 - the protocol's name
        self.warnings.append((type, message, count))


def test_a_stage_goes_to_the_current_file() -> None:
    outer, inner = Recorded(), Recorded()
    with working_on(outer):
        stage("one")
        with working_on(inner):
            stage("two", 0.5)
        stage("three")
    assert (outer.stages, inner.stages) == ([("one", None), ("three", None)], [("two", 0.5)])


def test_without_a_current_file_a_stage_does_nothing() -> None:
    assert current() is None
    stage("nowhere")


def test_threads_do_not_share_the_current_file() -> None:
    seen: list[object] = []
    with working_on(Recorded()):
        thread = threading.Thread(target=lambda: seen.append(current()))
        thread.start()
        thread.join()
    assert seen == [None]


def test_asyncio_tasks_have_their_own_current_file() -> None:
    async def work(file: Recorded) -> None:
        with working_on(file):
            await asyncio.sleep(0)
            stage("mine")

    async def both() -> tuple[Recorded, Recorded]:
        one, other = Recorded(), Recorded()
        await asyncio.gather(work(one), work(other))
        return one, other

    one, other = asyncio.run(both())
    assert one.stages == other.stages == [("mine", None)]


def test_leaving_restores_the_former_current_file() -> None:
    file = Recorded()
    token = enter(file)
    assert current() is file
    leave(token)
    assert current() is None


def test_a_warning_goes_to_the_current_file_and_elsewhere_does_nothing() -> None:
    file = Recorded()
    with working_on(file):
        warn("odd", "some text is odd")
        warn("odd", "some text is odd", 3)
    warn("odd", "nowhere")
    assert file.warnings == [("odd", "some text is odd", 1), ("odd", "some text is odd", 3)]
