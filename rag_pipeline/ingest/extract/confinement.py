"""What the worker process denies itself before it touches a file."""

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
    """Bound memory, and forbid files, the network, programs, other processes, core dumps and outliving the parent.

    Return what the kernel has not for it, in words; the empty string if nothing is missing.
    """
    die_with_parent(lifeline)
    _lower(resource.RLIMIT_AS, limits.memory_bytes)
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_FSIZE, 0)
    _lower(resource.RLIMIT_NOFILE, _OPEN_FILES)
    os.nice(_NICENESS)
    # A file that nests deeper than this is no document; the default would do, but hosts can change it by environment.
    sys.setrecursionlimit(1000)
    return " and ".join(_shut_off())


def _shut_off() -> list[str]:
    """Give up files, the network and other processes; return the means that are missing."""
    if not syscalls.IS_LINUX:
        return ["Landlock", "seccomp"]
    with suppress(OSError):
        syscalls.drop_capabilities()
    with suppress(OSError):
        syscalls.forbid_new_privileges()
    lacks = []
    if not landlock.allow_reading_only(readable_paths()):
        lacks.append("Landlock")
    if not seccomp.allow_reading_only():  # last: it forbids the calls that Landlock takes
        lacks.append("seccomp")
    return lacks


def _lower(which: int, value: int) -> None:
    _, hard = resource.getrlimit(which)
    bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(which, (bound, bound))


def die_with_parent(lifeline: int) -> None:
    """Have the kernel end this process when the other end of the pipe ``lifeline`` closes.

    The parent holds that end and never writes to it, so it closes when the parent ends, however it ends. SIGIO's
    default action is to terminate, which needs no help of the interpreter. PR_SET_PDEATHSIG would not do: it fires when
    the *thread* that started the process ends, and a worker outlives the thread that needed it first.
    """
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC | os.O_NONBLOCK)
    poll = select.poll()
    poll.register(lifeline, 0)
    if poll.poll(0):  # the parent was gone before the signal was set up
        os._exit(1)


def allow_processor_time(seconds: float) -> None:
    """Let the process use this much more processor time; over it SIGXCPU ends it, even if the parent is stalled."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    soft = math.ceil(usage.ru_utime + usage.ru_stime + seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))
