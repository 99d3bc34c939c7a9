"""Confine the worker process before it reads a file."""

from __future__ import annotations

import fcntl
import math
import os
import resource
import select
import sys
from contextlib import suppress

from rag_pipeline.ingest.extract import landlock, seccomp, syscalls
from rag_pipeline.ingest.extract.limits import ExtractionLimits
from rag_pipeline.ingest.extract.readable_paths import readable_paths

_NICENESS = 10
_OPEN_FILES = 64


def confine(limits: ExtractionLimits, lifeline: int) -> str:
    """Limit memory, and forbid files, the network, programs, other processes, core dumps and outliving the parent.

    Return the mechanisms that the kernel lacks, such as ``Landlock and seccomp``; the empty string if it has all.
    """
    die_with_parent(lifeline)
    _set_limit(resource.RLIMIT_AS, limits.memory_bytes)
    _set_limit(resource.RLIMIT_CORE, 0)
    _set_limit(resource.RLIMIT_FSIZE, 0)
    _set_limit(resource.RLIMIT_NOFILE, _OPEN_FILES)
    os.nice(_NICENESS)
    # No real document nests deeper. This is also the default, but the environment can change that.
    sys.setrecursionlimit(1000)
    return " and ".join(_restrict_system_calls())


def _restrict_system_calls() -> list[str]:
    """Forbid files, the network and other processes; return the mechanisms that are missing."""
    if not syscalls.IS_LINUX:
        return ["Landlock", "seccomp"]
    with suppress(OSError):
        syscalls.drop_capabilities()
    with suppress(OSError):
        syscalls.forbid_new_privileges()
    missing = []
    if not landlock.allow_reading_only(readable_paths()):
        missing.append("Landlock")
    if not seccomp.allow_reading_only():  # last: it forbids the calls that Landlock needs
        missing.append("seccomp")
    return missing


def _set_limit(which: int, value: int) -> None:
    _, hard = resource.getrlimit(which)
    limit = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(which, (limit, limit))


def die_with_parent(lifeline: int) -> None:
    """Have the kernel end this process when the other end of the pipe ``lifeline`` closes.

    The parent holds that end and never writes to it, so it closes when the parent ends, however it ends. The kernel
    then sends SIGIO, whose default action terminates the process without help from the interpreter. PR_SET_PDEATHSIG
    would not do: it fires when the *thread* that started the process ends, and a worker outlives that thread.
    """
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC | os.O_NONBLOCK)
    poll = select.poll()
    poll.register(lifeline, 0)
    if poll.poll(0):  # the parent ended before the signal was set up
        os._exit(1)


def limit_cpu_time(seconds: float) -> None:
    """Let the process use this much more CPU time, rounded up to seconds. Then SIGXCPU ends it, even in a C library."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    soft = math.ceil(usage.ru_utime + usage.ru_stime + seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))
