"""Native threads, locks and writes, also in a monkey-patched host program.

A library such as eventlet or gevent replaces the functions of ``_thread`` by green ones. The service must keep real
threads, whatever the host does and whenever. So this module makes its own instance of the built-in module: patching
changes the shared instance only.
"""

from __future__ import annotations

import ctypes
import errno
import importlib.util
import os
import posix
import socket
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from importlib.machinery import BuiltinImporter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import _thread as native_thread
    import select
    import select as _select
else:
    native_thread = importlib.util.module_from_spec(BuiltinImporter.find_spec("_thread"))
    BuiltinImporter.exec_module(native_thread)
    _select_spec = importlib.util.find_spec("select")  # an extension module, or a built-in one
    _select = importlib.util.module_from_spec(_select_spec)
    _select_spec.loader.exec_module(_select)

Lock = native_thread.LockType
RLock = native_thread.RLock
allocate_lock = native_thread.allocate_lock
get_ident = native_thread.get_ident

# PyDLL calls keep the GIL. A write that gave it up would leave the caller waiting for 5 ms (the switch interval)
# whenever another thread computes, and these writes never block.
_libc = ctypes.PyDLL(None, use_errno=True)
_write = _libc.write
_write.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t)
_write.restype = ctypes.c_ssize_t
_read = _libc.read
_read.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t)
_read.restype = ctypes.c_ssize_t
_ONE = (1).to_bytes(8, sys.byteorder)


class NativeThread:
    """A started native thread; like a daemon thread it never keeps the process alive."""

    def __init__(self, target: Callable[[], None], name: str) -> None:
        self._target = target
        self._name = name
        self._ended = False
        self._running = allocate_lock()
        self._running.acquire()
        body = self._body()
        next(body)
        self.ident = native_thread.start_new_thread(next, (body, None))

    def _body(self) -> Iterator[None]:
        # Up to Python 3.11 a starting thread has the id of the thread that starts it. An exception raised into that one
        # may arrive here, at the first bytecode. A generator is inside the block by then, a function not yet.
        try:
            yield
        except GeneratorExit:
            return
        except BaseException:  # noqa: BLE001, S110 - not meant for this thread
            pass
        self._run()

    def _run(self) -> None:
        try:
            threading.current_thread().name = self._name
            trace = threading.gettrace()
            if trace is not None:  # coverage and debuggers see only threads that threading starts
                sys.settrace(trace)
            self._target()
        finally:
            _forget_this_thread()
            self._ended = True
            self._running.release()

    def join(self, timeout: float) -> bool:
        """Wait at most ``timeout`` seconds for the thread to end; return whether it has."""
        # The flag decides, because an exception raised into a waiting thread can leave the lock taken.
        if not self._ended and self._running.acquire(timeout=max(0.0, timeout)):
            self._running.release()
        return self._ended


def _forget_this_thread() -> None:
    """Remove an ended native thread from ``threading.enumerate()``, where Python 3.11 and 3.12 leave it for ever."""
    known: dict[int | None, threading.Thread] = getattr(threading, "_active", {})
    thread = threading.current_thread()
    if known.get(thread.ident) is thread:
        del known[thread.ident]


def start_thread(target: Callable[[], None], name: str) -> NativeThread:
    """Run ``target`` in a new native thread."""
    return NativeThread(target, name)


class Future:
    """A value that one thread sets once and others wait for."""

    def __init__(self) -> None:
        self._unset = allocate_lock()
        self._unset.acquire()
        self._setting = RLock()
        self._is_set = False
        self._value: object = None

    def set(self, value: object = None) -> None:
        """Store the value and wake the waiting threads; later calls do nothing."""
        # A flag, not the state of the lock: a waiting thread holds the lock for a moment too.
        with self._setting:
            if self._is_set:
                return
            self._value = value
            self._is_set = True
            self._unset.release()

    def wait(self, timeout: float) -> bool:
        """Wait at most ``timeout`` seconds; return whether the value is set."""
        # The flag decides, because an exception raised into a waiting thread can leave the lock taken.
        if not self._is_set and self._unset.acquire(timeout=max(0.0, timeout)):
            self._unset.release()
        return self._is_set

    @property
    def value(self) -> object:
        """The value, None until it is set."""
        return self._value


class WakeUpFd:
    """A file descriptor that :meth:`signal` makes readable, from any thread.

    A forked child has its own under the same number: a signal there wakes nobody in the parent.
    """

    def __init__(self) -> None:
        self.fd, self._write_fd = _wake_up_fds()
        # Against a signal during close(): the number may be another file by then.
        self._lock = RLock()
        self._open = True
        _wake_ups.add(self)
        self._drained = ctypes.create_string_buffer(4096)

    def signal(self) -> None:
        """Make the descriptor readable; never waits and keeps the GIL."""
        with self._lock:
            if self._open:
                _write(self._write_fd, _ONE, 8)

    def clear(self) -> None:
        """Take back all signals so far."""
        with self._lock:
            if self._open:
                _read(self.fd, self._drained, len(self._drained))

    def close(self) -> None:
        """Release the descriptors; later signals do nothing; idempotent."""
        with self._lock:
            if not self._open:
                return
            self._open = False
            for fd in {self.fd, self._write_fd}:
                os.close(fd)

    def renew(self) -> None:
        """Replace the descriptors in a forked child, which shares them with its parent."""
        self._lock = RLock()  # a thread of the parent may have held it
        if not self._open:
            return
        fresh = _wake_up_fds()
        for new, fd in {(fresh[0], self.fd), (fresh[1], self._write_fd)}:
            os.dup2(new, fd, inheritable=False)
            os.close(new)


_wake_ups: weakref.WeakSet[WakeUpFd] = weakref.WeakSet()


def _wake_up_fds() -> tuple[int, int]:
    if hasattr(os, "eventfd"):
        fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        return fd, fd
    ends = os.pipe()
    for fd in ends:
        os.set_blocking(fd, False)
    return ends


def _renew_all() -> None:
    for wake_up in list(_wake_ups):
        wake_up.renew()


os.register_at_fork(after_in_child=_renew_all)


class AutoResetEvent:
    """An event that any thread sets and one waits for; waiting resets it. For threads without an event loop."""

    def __init__(self) -> None:
        self._unset = allocate_lock()
        self._unset.acquire()

    def signal(self) -> None:
        """End the current wait, or the next one; never waits and keeps the GIL."""
        try:
            self._unset.release()
        except RuntimeError:
            pass  # already set

    def wait(self, timeout: float) -> bool:
        """Wait at most ``timeout`` seconds; return whether it was set, and reset it."""
        return self._unset.acquire(timeout=max(0.0, timeout))

    def clear(self) -> None:
        """Take back all signals so far."""
        self._unset.acquire(blocking=False)

    def close(self) -> None:
        """Do nothing: no resource is held."""


# send(fd, data, size, SEND_FLAGS) returns the bytes sent or -1, and keeps the GIL. It has no argtypes, which would cost
# 0.8 µs a call, a fifth of it. Without them an int goes as a C int, which libffi extends to the size of a register, and
# bytes as their address. So the size must stay below 2 GiB.
send = _libc.send
send.restype = ctypes.c_ssize_t
SEND_FLAGS = socket.MSG_DONTWAIT | getattr(socket, "MSG_NOSIGNAL", 0)
_recv = _libc.recv
_recv.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
_recv.restype = ctypes.c_ssize_t
_TRY_LATER = {errno.EAGAIN, errno.EWOULDBLOCK, errno.EINTR, errno.ENOBUFS}


_libc.shutdown.argtypes = (ctypes.c_int, ctypes.c_int)
_accept4 = getattr(_libc, "accept4", None)  # macOS has none


def accept_nowait(fd: int) -> int | None:
    """Accept a client of a non-blocking listener and return its descriptor, None if there is none; keeps the GIL.

    Raises OSError if a client can't be accepted, mostly because no descriptor is left.
    """
    if _accept4 is None:
        client = int(_libc.accept(fd, None, None))
        if client >= 0:
            os.set_inheritable(client, False)
    else:
        client = int(_accept4(fd, None, None, socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC))
    if client >= 0:
        return client
    code = ctypes.get_errno()
    if code in _TRY_LATER:
        return None
    raise OSError(code, os.strerror(code))


POLL_READ: int = _select.POLLIN
POLL_WRITE: int = _select.POLLOUT


def poll() -> select.poll:
    """Return a native poll object. Registering and unregistering a descriptor is no system call."""
    return _select.poll()


def end_connection(fd: int) -> None:
    """Shut a connection or listener down, and leave its descriptor open."""
    _libc.shutdown(fd, socket.SHUT_RDWR)


def hang_up(fd: int) -> None:
    """Shut the connection down and close its descriptor, even if a forked child still holds a copy of it."""
    end_connection(fd)
    posix.close(fd)


def send_failed() -> bool:
    """Return whether this thread's last :data:`send`, which returned -1, found the connection broken and not full."""
    return ctypes.get_errno() not in _TRY_LATER


def recv_nowait(fd: int, size: int) -> bytes | None:
    """Return the received bytes, at most ``size``; empty at the end, None if there are none yet. Keeps the GIL.

    Raises ConnectionError if the connection is broken.
    """
    buffer = ctypes.create_string_buffer(size)
    got: int = _recv(fd, buffer, size, socket.MSG_DONTWAIT)
    if got >= 0:
        return buffer.raw[:got]
    code = ctypes.get_errno()
    if code in _TRY_LATER:
        return None
    raise ConnectionError(code, os.strerror(code))
