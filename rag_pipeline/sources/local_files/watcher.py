"""Watches the folder by events of the kernel; an event only starts a scan sooner."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from rag_pipeline.common import logs
from rag_pipeline.sources.local_files.names import is_ignored

logger = logging.getLogger(__name__)

_RETRY_SECONDS = 30.0
_TICK_MILLISECONDS = 500


class FolderWatcher:
    """Calls ``on_change`` on its own thread when something below the folder changes.

    If watchfiles is missing or watching fails (network mounts have no events, the number of watches is limited), it
    logs that once; the interval of the scans then decides how soon a change is seen.
    """

    def __init__(
        self,
        folder: str,
        exclude: str | None,
        on_change: Callable[[], None],
        stop: threading.Event,
        *,
        pipeline_id: str | None = None,
    ) -> None:
        self.active = False
        self.watches = 0  # how often watching has begun; changes between two watches go unseen
        self._folder = folder
        self._exclude = exclude
        self._on_change = on_change
        self._stop = stop
        self._about = logs.about(pipeline_id)
        self._renew = threading.Event()
        self._is_logged = False
        threading.Thread(target=self._run, name="local-files-watch", daemon=True).start()

    def renew(self) -> None:
        """Start over: another folder is at the location now."""
        self._renew.set()

    def is_set(self) -> bool:
        """Return whether to end the current watch; watchfiles takes this object for its stop event."""
        return self._stop.is_set() or self._renew.is_set()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._renew.clear()
            try:
                self._watch()
            except Exception as error:  # noqa: BLE001 - watching may fail in any way; the scans go on
                if not self._is_logged:
                    logger.info(
                        "no events from the file system (%s): changes are found by scanning", error, extra=self._about
                    )
                    self._is_logged = True
                self.active = False
                self._stop.wait(_RETRY_SECONDS)

    def _watch(self) -> None:
        import watchfiles

        changes = watchfiles.watch(
            self._folder,
            watch_filter=lambda _, path: self._is_relevant(path),
            debounce=400,
            step=100,
            rust_timeout=_TICK_MILLISECONDS,
            stop_event=self,
            debug=False,
            raise_interrupt=False,
            ignore_permission_denied=True,
            yield_on_timeout=True,
        )
        for batch in changes:
            if not self.active:
                self.watches += 1
                self.active = True
            if batch:
                self._on_change()
        self.active = False

    def _is_relevant(self, path: str) -> bool:
        if self._exclude is not None and (path == self._exclude or path.startswith(self._exclude + "/")):
            return False
        return not any(is_ignored(part) for part in path[len(self._folder) :].split("/") if part)
