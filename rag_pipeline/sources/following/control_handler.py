"""What people ask of the running pipeline: what is granted, and how it is done."""

from __future__ import annotations

from collections.abc import Mapping

from rag_pipeline.common.normal_forms import nfc, nfd
from rag_pipeline.sources.following.deletion_brake import NOTHING_HELD, DeletionBrake
from rag_pipeline.sources.following.hand import Job, Read
from rag_pipeline.sources.following.jobs import Jobs, has_failed
from rag_pipeline.sources.following.schedule import Timetable
from rag_pipeline.sources.following.source import FoundFile
from rag_pipeline.sources.ledger import Row
from rag_pipeline.sources.worker_pool import WorkerPool
from rag_pipeline.status.control import Action, Control, Request

SINGLE_PASS = "a single pass can't be paused: stop it, the next one goes on from there"


class Steering:
    """Does what people asked for.

    :meth:`refuse` is called by whoever asks and takes no lock, so that nobody waits for the pipeline: what it sees may
    be over a moment later.
    :meth:`serve`, :meth:`looked` and :meth:`away` belong to the run loop's thread.
    """

    def __init__(
        self,
        control: Control,
        crew: WorkerPool[Job],
        jobs: Jobs,
        timetable: Timetable,
        brake: DeletionBrake,
        *,
        single: bool,
    ) -> None:
        self._found: Mapping[str, FoundFile] = {}
        self._control = control
        self._crew = crew
        self._jobs = jobs
        self._timetable = timetable
        self._brake = brake
        self._single = single
        self._ending: set[str] = set()  # to be tried again, once the job that has just told of their failure is over

    def refuse(self, request: Request) -> str | None:
        """Return why a request can't be granted, None if it can."""
        action, file_id, count = request
        if action is Action.PAUSE and self._single:
            return SINGLE_PASS
        if action is Action.CONFIRM and not self._brake.held:
            return NOTHING_HELD
        if count is not None and self._brake.held > count:
            return f"{self._brake.held:,} files are gone by now, not {count:,}: confirm that number"
        if file_id is None:
            return None
        file_id = self._meant(file_id)
        row, has_job = self._jobs.known.get(file_id), self._crew.has(file_id)
        unreported = self._jobs.unreported.get(file_id)
        if row is None and not has_job and unreported is None:
            return f"no file with the id {file_id!r} is known"
        name = (row and row.name) or unreported or file_id
        if action is Action.RETRY and not self._may_retry(file_id, row):
            return f"{name} has not failed"
        if action is Action.CANCEL and not has_job:
            return f"{name} is neither in flight nor queued"
        return None

    def looked(self, files: Mapping[str, FoundFile]) -> None:
        """Take note of what the last look found."""
        self._found = files

    def away(self) -> None:
        """Take note that nothing can be had now: what is asked for is done when a look has found it again."""
        self._found = {}
        self._brake.away()

    def serve(self) -> None:
        """Do what was asked since the last call. Raises StateError if the ledger can't be written."""
        ending, self._ending = self._ending, set()
        for failed_id in ending:
            self._retry(failed_id)
        for action, file_id, count in self._control.take():
            if action is Action.CONFIRM:
                self._brake.confirm(count)
            if file_id is None:
                self._timetable.ask()
            elif action is Action.RETRY:
                self._retry(self._meant(file_id))
            else:
                self._cancel(self._meant(file_id))

    def _meant(self, file_id: str) -> str:
        """Return the id that is known; a name that is typed may have another Unicode form."""
        forms = (file_id,) if file_id.isascii() else (file_id, nfc(file_id), nfd(file_id))
        return next((form for form in forms if self._is_known(form)), file_id)

    def _is_known(self, file_id: str) -> bool:
        jobs = self._jobs
        return file_id in jobs.known or file_id in jobs.unreported or self._crew.has(file_id)

    def _may_retry(self, file_id: str, row: Row | None) -> bool:
        # What the last process left unreported is shown as failed, Interrupted, and is done again in any case.
        return (row is not None and has_failed(row)) or file_id in self._jobs.unreported

    def _retry(self, file_id: str) -> None:
        with self._crew.lock:
            row = self._jobs.known.get(file_id)
            if not self._may_retry(file_id, row):
                return
            if self._crew.is_busy(file_id):
                if not self._jobs.is_in_flight(file_id):
                    self._ending.add(file_id)
                return
            file = self._found.get(file_id)
            as_it_was = file is not None and row is not None and row.version == file.version
            if row is not None and has_failed(row):
                self._jobs.try_again(file_id)
            self._jobs.order.hurry(file_id)
            if file is not None and (as_it_was or self._crew.has(file_id)):
                self._crew.hurry(file_id, Read(file))
            else:
                self._timetable.ask()

    def _cancel(self, file_id: str) -> None:
        with self._crew.lock:
            if self._crew.call_off(file_id) and not self._crew.is_busy(file_id):
                self._jobs.order.postpone(file_id)
