"""The pipeline: scan, compare, hand out the work, write down what became of it; again until it is stopped."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping

from rag_pipeline import logs
from rag_pipeline.config import RunMode
from rag_pipeline.errors import ConfigurationError, StateError
from rag_pipeline.ingest.types import Stopped
from rag_pipeline.pipelines.crew import Crew
from rag_pipeline.pipelines.ingestion import Ingestion, Parts
from rag_pipeline.pipelines.ledger import Ledger, Source, reconcile
from rag_pipeline.pipelines.local_files import names
from rag_pipeline.pipelines.local_files.jobs import Forget, Give, Job, Jobs, Note, Read
from rag_pipeline.pipelines.local_files.plan import Plan, all_gone, plan
from rag_pipeline.pipelines.local_files.scan import FolderUnavailableError, Scan, scan
from rag_pipeline.pipelines.local_files.settings import LocalFilesSettings
from rag_pipeline.pipelines.local_files.settle import Settling
from rag_pipeline.pipelines.local_files.show import Shown
from rag_pipeline.pipelines.local_files.watch import Watcher
from rag_pipeline.status import PipelineStatus

logger = logging.getLogger(__name__)

TICK_SECONDS = 0.2
STOP_SECONDS = 8.0
SCAN_PAUSE_SECONDS = 0.3
# A folder in which something changes all the time is scanned for a tenth of the time at most.
SCAN_SHARE = 10
SINGLE_SETTLE_SECONDS = 60.0


class LocalFilesPipeline:
    """Follows one folder: new, changed and deleted files go through the stages, or out of the store.

    The run loop belongs to the thread that calls :meth:`run`; files are worked on by ``settings.workers`` threads.
    ``parts``, ``ledger`` and ``status`` belong to the caller.
    """

    def __init__(
        self, status: PipelineStatus, settings: LocalFilesSettings, parts: Parts, ledger: Ledger, *, scope: str
    ) -> None:
        self._settings = settings
        self._parts = parts
        self._ledger = ledger
        self._scope = scope
        self._shown = Shown(status, settings)
        self._status = status
        self._single = settings.mode is RunMode.SINGLE
        self._exclude = str(settings.state_dir.resolve())
        self._settling = Settling(settings.settle_seconds)
        self._wake = threading.Event()
        self._hinted = threading.Event()
        self._next_scan = 0.0
        self._pause_until = 0.0
        self._available = False
        self._waiting = 0
        self._settle_deadline = float("inf")
        self._source: Source | None = None

    def run(self, stop: threading.Event) -> None:
        """Run until ``stop`` is set, or in single mode until every file is done.

        Stopping takes seconds: no further file is begun, the extraction under way is ended, the embedding ends after
        its batch, and files in flight are done again at the next start. Raises StateError or StoreError if the state
        can't be kept, and in single mode ConfigurationError if the folder is gone.
        """
        end = "stopped"
        try:
            self._begin(stop)
            watcher = None if self._single else self._watcher(stop)
            try:
                while not stop.is_set() and not self._turn(watcher, stop):
                    self._wake.wait(TICK_SECONDS)
                    self._wake.clear()
            finally:
                # A pass that is over has nobody at work; an error in the loop leaves workers that have to be told.
                stop.set()
                self._parts.extractor.close()
                if not self._crew.close(STOP_SECONDS):
                    about = logs.about(self._status.pipeline_id)
                    logger.warning(
                        "a file was still being worked on %g seconds after the stop", STOP_SECONDS, extra=about
                    )
            self._raise_failure()
        except Stopped:
            pass
        except Exception as error:
            end = "error"
            self._shown.error(str(error))
            raise
        finally:
            if end == "stopped":
                self._shown.stopped()

    # -- the parts of a turn ---------------------------------------------------------------------------------------

    def _begin(self, stop: threading.Event) -> None:
        stored = {key: file.content_hash for key, file in self._parts.store.files(self._scope).items()}
        self._shown.starting(stored=len(stored))
        rows = self._ledger.rows()
        known = reconcile(rows, stored, self._parts.recipe)
        # Shown as failed, though all but the word of the end may have been done: looked at again, they end well.
        known |= {
            file.id: known[file.id]._replace(version=None)
            for file in self._status.interrupted
            if file.id is not None and file.id in known
        }
        if known != rows:
            self._ledger.reset(known)
        self._source = self._ledger.source()
        place = names.file_id(self._settings.folder)
        if self._source is not None and self._source.place != place:
            raise StateError(
                f"{self._settings.state_dir} keeps {self._scope!r} for {self._source.place}, not for {place}: "
                "choose another RAG_PIPELINE_ID or STATUS_STATE_DIR"
            )
        ingestion = Ingestion(self._status, self._parts, self._scope, stop)
        self._jobs = Jobs(ingestion, self._parts, self._ledger, self._scope, known, stored, retry=not self._single)
        self._crew: Crew[Job] = Crew(
            self._jobs.do, threads=self._settings.workers, name="local-files", on_change=self._wake.set
        )
        self._jobs.lock = self._crew.lock

    def _watcher(self, stop: threading.Event) -> Watcher:
        folder, name = self._settings.folder, self._status.pipeline_id
        return Watcher(folder, self._exclude, self._hint, stop, pipeline_id=name)

    def _turn(self, watcher: Watcher | None, stop: threading.Event) -> bool:
        """Scan if it is time, show where things stand; returns whether a single pass is over."""
        self._raise_failure()
        if self._scan_is_due():
            self._scan(watcher, stop)
        queued = self._jobs.files_among(self._crew.pending) + self._waiting
        idle = self._crew.idle
        # A job that ends in "again" says so before it is over, so that looking at idle first misses nothing.
        over = self._single and idle and not self._waiting and not self._jobs.again
        if self._jobs.again and (idle or not self._single):
            self._hinted.set()
        if self._available:
            self._shown.progress(idle=idle and not self._waiting, queued=queued, stored=len(self._jobs.stored))
        return over

    def _scan_is_due(self) -> bool:
        now = time.monotonic()
        if self._hinted.is_set() and now >= self._pause_until:
            return True
        return now >= self._next_scan

    def _scan(self, watcher: Watcher | None, stop: threading.Event) -> None:
        self._hinted.clear()
        self._jobs.again = False
        began = time.monotonic()
        self._shown.scanning()

        def check() -> None:
            if stop.is_set():
                raise Stopped

        try:
            found = scan(self._settings.folder, exclude=self._exclude, check=check)
            problem = self._doubt(found, watcher)
        except FolderUnavailableError as error:
            problem = f"the folder can't be read: {error}"
        ended = time.monotonic()
        self._pause_until = ended + max(SCAN_PAUSE_SECONDS, SCAN_SHARE * (ended - began))
        wait = self._settings.check_interval_seconds
        if problem is None:
            self._available = True
            made = self._hand_out(found)
            gave_up = time.monotonic() >= self._settle_deadline
            self._waiting = 0 if gave_up else len(made.waiting)
            if made.wake_seconds is not None:
                wait = min(wait, max(SCAN_PAUSE_SECONDS, made.wake_seconds))
        else:
            self._unavailable(problem)
        self._next_scan = ended + wait
        self._shown.scanned(
            wait,
            watching=None if watcher is None else ("events" if watcher.active else "interval"),
            error=problem,
        )

    def _doubt(self, found: Scan, watcher: Watcher | None) -> str | None:
        """Return why the scan can't be trusted: the folder is another one than before, and there is nothing in it.

        That is what a mount point looks like when nothing is mounted on it. In the same folder as ever, nothing means
        that the files were deleted.
        """
        known = self._source
        if known is not None and known.identity == found.identity:
            return None
        with self._crew.lock:
            if known is not None and all_gone(self._jobs.known, found):
                return "the folder is not the one seen before and is empty (not mounted?): nothing is taken for deleted"
        self._source = Source(names.file_id(self._settings.folder), found.identity)
        self._ledger.set_source(self._source)
        if watcher is not None and known is not None:
            watcher.renew()
        return None

    def _unavailable(self, problem: str) -> None:
        if self._single:
            raise ConfigurationError(f"{names.display_name(self._settings.folder)}: {problem}")
        if self._available or self._source is None:
            about = logs.about(self._status.pipeline_id)
            logger.warning("%s: %s", names.display_name(self._settings.folder), problem, extra=about)
        self._available = False
        # Files that can't be there any more would only fail.
        self._crew.replace(lambda _: {})
        self._waiting = 0

    def _hand_out(self, found: Scan) -> Plan:
        made: list[Plan] = []

        def make(busy: frozenset[str]) -> Mapping[str, Job]:
            wall, mono = time.time(), time.monotonic()
            new = plan(self._jobs.known, found, self._settling, busy=busy, wall=wall, mono=mono)
            made.append(new)
            jobs: dict[str, Job] = {key: Forget(key, silent=False) for key in new.gone}
            jobs.update((key, Forget(key, silent=True)) for key in new.cleared)
            jobs.update((odd.file_id, Note(odd)) for odd in new.notes)
            jobs.update((file.file_id, Read(file)) for file in new.work)
            if new.waiting and self._single:
                jobs.update((file.file_id, Give(file)) for file in new.waiting if self._gave_up_waiting(mono))
            self._jobs.file_count = len(new.work)
            return jobs

        self._crew.replace(make)
        return made[0]

    def _gave_up_waiting(self, mono: float) -> bool:
        self._settle_deadline = min(self._settle_deadline, mono + SINGLE_SETTLE_SECONDS)
        return mono >= self._settle_deadline

    def _raise_failure(self) -> None:
        failure = self._crew.failure
        if failure is not None and not isinstance(failure, Stopped):
            raise failure

    def _hint(self) -> None:
        self._hinted.set()
        self._wake.set()
