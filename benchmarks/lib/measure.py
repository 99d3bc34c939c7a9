"""What is read from the operating system about another process: CPU time and resident memory."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of all threads of the process, dead ones too, user and system.

    The same sum as utime + stime in /proc/<pid>/stat, from the process's CPU clock: nanoseconds, not 10 ms ticks.
    """
    # clock_getcpuclockid(3): the process id, inverted, above three bits that say "scheduler time, whole process".
    return time.clock_gettime((~pid << 3) | 2)


def rss_bytes(pid: int) -> int:
    """Return the process's resident memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES


def settled_rss_bytes(pid: int, *, timeout_seconds: float = 10.0) -> int:
    """Return the resident memory once it has stopped changing by more than 0.5 % in half a second."""
    deadline = time.monotonic() + timeout_seconds
    before = rss_bytes(pid)
    while time.monotonic() < deadline:
        time.sleep(0.5)
        now = rss_bytes(pid)
        if abs(now - before) <= before * 0.005:
            return now
        before = now
    return before


class RssPeak:
    """Samples a process's resident memory every 50 ms from entering to leaving; ``bytes`` is the largest seen."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self.bytes = rss_bytes(pid)

    def _sample(self) -> None:
        while not self._stop.wait(0.05):
            try:
                self.bytes = max(self.bytes, rss_bytes(self._pid))
            except (OSError, IndexError):
                return

    def __enter__(self) -> RssPeak:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
