"""Confinement, tested in processes that are really confined."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[3]


def run_confined(code: str, *, limits: str = "", before: str = "") -> subprocess.CompletedProcess[str]:
    """Run code in a confined process; ``before`` runs first, unconfined."""
    read_end, write_end = os.pipe()
    prologue = before + (
        "from rag_pipeline.ingest.extract.confinement import confine, limit_cpu_time\n"
        "from rag_pipeline.ingest.extract.limits import ExtractionLimits\n"
        f"confine(ExtractionLimits({limits}), {read_end})\n"
    )
    try:
        return subprocess.run(
            [sys.executable, "-B", "-c", prologue + code],
            cwd=_ROOT,
            pass_fds=(read_end,),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    finally:
        os.close(read_end)
        os.close(write_end)


def test_a_confined_process_can_not_write_files(tmp_path: Path) -> None:
    path = tmp_path / "out"
    done = run_confined(f"open({str(path)!r}, 'w', buffering=1).write('text\\n')")
    assert "PermissionError" in done.stderr
    assert not path.exists()


def test_memory_is_limited() -> None:
    done = run_confined("bytes(200 << 20)", limits="memory_bytes=150 << 20")
    assert "MemoryError" in done.stderr


@pytest.mark.slow
def test_cpu_time_is_limited_per_file() -> None:
    import signal

    done = run_confined("limit_cpu_time(0.1)\nwhile True: pass")
    assert done.returncode == -signal.SIGXCPU
    done = run_confined(
        "import resource\nlimit_cpu_time(5); a = resource.getrlimit(resource.RLIMIT_CPU)\n"
        "limit_cpu_time(50); b = resource.getrlimit(resource.RLIMIT_CPU)\nassert b[0] - a[0] == 45"
    )
    assert done.returncode == 0, done.stderr


def test_the_priority_is_lowered() -> None:
    assert (
        run_confined("import os; print(os.getpriority(os.PRIO_PROCESS, 0))").stdout == f"{min(19, os.nice(0) + 10)}\n"
    )


def test_a_worker_whose_parent_has_ended_exits() -> None:
    read_end, write_end = os.pipe()
    os.close(write_end)
    code = (
        "from rag_pipeline.ingest.extract.confinement import die_with_parent\n"
        f"die_with_parent({read_end})\nprint('alive')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=_ROOT, pass_fds=(read_end,), capture_output=True, check=False
    )
    os.close(read_end)
    assert (done.returncode, done.stdout) == (1, b"")


# Attacks of a document that has taken over the worker. Each must raise OSError, or return -1 as C functions do.
# ``victim`` is a user's file, ``parent`` the process that holds the tokens.
ATTACKS = {
    "read a file": "open(victim).read()",
    "read the system's secrets": "open('/etc/shadow').read()",
    "read the users": "open('/etc/passwd').read()",
    "list a folder": "os.listdir(os.path.dirname(victim))",
    "list the home": "os.listdir(os.path.expanduser('~'))",
    "read the parent's environment": "open(f'/proc/{parent}/environ').read()",
    "read the parent's memory": "open(f'/proc/{parent}/mem', 'rb')",
    "read the parent's command line": "open(f'/proc/{parent}/cmdline').read()",
    "reopen a descriptor for writing": "open('/proc/self/fd/1', 'wb')",
    "write to the terminal": "open('/dev/tty', 'w')",
    "write a file": "open(victim, 'a')",
    "create a file": "open(victim + '.new', 'x')",
    "empty a file": "os.truncate(victim, 0)",
    "delete a file": "os.unlink(victim)",
    "rename a file": "os.rename(victim, victim + '.moved')",
    "link a file": "os.link(victim, victim + '.hard')",
    "link symbolically": "os.symlink(victim, victim + '.link')",
    "make a folder": "os.mkdir(victim + '.d')",
    "open a file to others": "os.chmod(victim, 0o777)",
    "give a file away": "os.chown(victim, 12345, -1)",
    "touch a file": "os.utime(victim)",
    "mark a file": "os.setxattr(victim, 'user.x', b'x')",
    "make a pipe": "os.mkfifo(victim + '.pipe')",
    "watch files": "libc.inotify_init()",
    "connect by TCP": "_socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)",
    "connect by TCP over IPv6": "_socket.socket(_socket.AF_INET6, _socket.SOCK_STREAM)",
    "send by UDP": "_socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM)",
    "connect to a local service": "_socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)",
    "talk to the kernel": "_socket.socket(_socket.AF_NETLINK, _socket.SOCK_RAW)",
    "make a pair of sockets": "_socket.socketpair()",
    "start a program": "os.execv('/bin/true', ['true'])",
    "start a program beside": "os.posix_spawn('/bin/true', ['true'], {})",
    "fork": "os.fork()",
    "signal the parent": "os.kill(parent, 0)",
    "signal a group": "os.killpg(os.getpgid(parent), 0)",
    "trace the parent": "libc.ptrace(16, parent, 0, 0)",
    "read the parent's memory by a call": "libc.process_vm_readv(parent, vector, 1, vector, 1, 0)",
    "take a descriptor of the parent's": "libc.syscall(434, parent, 0)",
    "limit the parent": "resource.prlimit(parent, resource.RLIMIT_CPU, (1, 1))",
    "slow the parent down": "os.setpriority(os.PRIO_PROCESS, parent, 19)",
    "pin the parent": "os.sched_setaffinity(parent, {0})",
    "be told of another's signals": "fcntl.fcntl(0, fcntl.F_SETOWN, parent)",
    "type into the terminal": "fcntl.ioctl(0, 0x5412, b'x')",
    "share memory": "libc.shmget(0x1234, 4096, 0o1666)",
    "send messages": "libc.msgget(0x1234, 0o1666)",
    "open a queue": "libc.syscall(240, b'x', 0o102, 0o666, None)",
    "read keys": "libc.syscall(250, 0, -3, 0)",
    "do it through a ring": "libc.syscall(425, 1, ctypes.create_string_buffer(120))",
    "load a program into the kernel": "libc.syscall(321, 0, None, 0)",
    "leave a namespace": "libc.unshare(0x10000000)",
    "mount": "libc.mount(b'none', b'/mnt', b'tmpfs', 0, None)",
    "open by a handle": "libc.syscall(304, -100, None, 0)",
    "open in the newer way": "libc.syscall(437, -100, victim.encode(), ctypes.create_string_buffer(24), 24)",
    "raise its powers": "libc.capset(ctypes.create_string_buffer(8), ctypes.create_string_buffer(24))",
    "call in the 32-bit way": "libc.syscall(0x40000000 | 2, victim.encode(), 0, 0)",
}

ATTACK = """
def tries():
    for name, code in attacks.items():
        try:
            result = eval(code)
        except OSError:
            continue
        except BaseException as error:
            result = error
        if result != -1:
            yield name, result
print(dict(tries()))
"""


def attack(victim: Path, attacks: dict[str, str], *, before: str = "") -> str:
    """Return the attacks that succeed in a confined process, as the text of a dict."""
    before += (
        "import ctypes, fcntl, os, resource, _socket\n"
        f"victim, parent, attacks = {str(victim)!r}, os.getppid(), {attacks!r}\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "buffer = ctypes.create_string_buffer(8)\n"
        "vector = (ctypes.c_size_t * 2)(ctypes.addressof(buffer), 8)\n"
    )
    done = run_confined(ATTACK, before=before)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_all_attacks_of_a_document_fail(tmp_path: Path) -> None:
    victim = tmp_path / "victim.txt"
    victim.write_text("secret")
    assert attack(victim, ATTACKS) == "{}\n"
    assert (victim.read_text(), [path.name for path in tmp_path.iterdir()]) == ("secret", ["victim.txt"])


def test_modules_that_readers_import_late_still_load() -> None:
    done = run_confined(
        "import ctypes, decimal, email.policy, encodings, importlib, mimetypes, pkgutil, sqlite3, ssl, threading\n"
        "import zoneinfo, lzma, bz2, xml.dom.minidom, unicodedata, tempfile, time\n"
        "import pypdf, pypdfium2.raw, cryptography.hazmat.primitives.ciphers, chardet\n"
        "from rag_pipeline.ingest.extract import readers\n"
        "for name in readers._READERS: readers.load_reader(name)\n"
        "for found in pkgutil.iter_modules(encodings.__path__):\n"
        "    if found.name not in ('mbcs', 'oem'): importlib.import_module('encodings.' + found.name)\n"
        "mimetypes.init()\n"
        "zoneinfo.ZoneInfo('Europe/Oslo') if zoneinfo.TZPATH and zoneinfo.available_timezones() else None\n"
        "time.localtime()\n"
        "thread = threading.Thread(target=print, args=('a thread',)); thread.start(); thread.join()\n"
    )
    assert (done.returncode, done.stdout) == (0, "a thread\n"), done.stderr


# An older kernel is simulated by a seccomp filter, which children inherit: the missing calls fail with ENOSYS.
WITHOUT = {
    "Landlock": "s._when(444, [s._result(0x50000 | 38)])",
    "seccomp": "s._when({'x86_64': 157, 'aarch64': 167}[os.uname().machine],"
    " [s._argument(0), (s._EQUAL, 0, 1, 22), s._result(0x50000 | 22), s._result(s._ALLOW)])",
}


def old_kernel(*lacking: str) -> str:
    blocks = " + ".join(WITHOUT[name] for name in lacking)
    return (
        "import os\nfrom rag_pipeline.ingest.extract import syscalls, seccomp as s\n"
        "syscalls.forbid_new_privileges()\n"
        f"s.install([(s._LOAD, 0, 0, 0), *({blocks}), s._result(s._ALLOW)])\n"
    )


def test_without_landlock_only_reading_files_is_possible(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("secret")
    readable = {"read the system's secrets", "read the users", "list a folder", "list the home", "read a file"}
    readable |= {"read the parent's command line"}
    if os.geteuid() != 0:  # this process is readable by its user; only root's capabilities protect it
        readable |= {"read the parent's environment"}
    attacks = {name: code for name, code in ATTACKS.items() if name not in readable}
    assert attack(tmp_path / "victim", attacks, before=old_kernel("Landlock")) == "{}\n"


def test_without_seccomp_files_programs_and_tcp_stay_forbidden(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("secret")
    kept = ("read", "list", "write a", "create", "empty", "delete", "rename", "make a folder", "start a program")
    attacks = {name: code for name, code in ATTACKS.items() if name.startswith(kept) and name != "read keys"}
    attacks["connect by TCP"] = "_socket.socket(_socket.AF_INET, _socket.SOCK_STREAM).connect(('127.0.0.1', 9))"
    attacks.pop("start a program beside")  # it returns the id of a child that failed
    assert attack(tmp_path / "victim", attacks, before=old_kernel("seccomp")) == "{}\n"


@pytest.mark.slow
@pytest.mark.parametrize("lacking", [("Landlock",), ("seccomp",), ("Landlock", "seccomp")])
def test_on_an_older_kernel_files_are_read_and_the_missing_mechanisms_are_logged_once(
    tmp_path: Path, lacking: tuple[str, ...]
) -> None:
    (tmp_path / "a.txt").write_text("text")
    code = old_kernel(*lacking) + (
        "import logging\nfrom rag_pipeline.ingest.extract import ExtractionLimits, ProcessExtractor\n"
        "logging.basicConfig()\n"
        "with ProcessExtractor(ExtractionLimits(files_per_worker=1)) as extractor:\n"
        "    for _ in range(2):\n"
        f"        print(extractor.extract({str(tmp_path / 'a.txt')!r}).sections[0].text)\n"
        "print(syscalls._libc.prctl(3, 0, 0, 0, 0))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=_ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    dumpable = 0 if "Landlock" in lacking else 1
    assert (done.returncode, done.stdout) == (0, f"text\ntext\n{dumpable}\n"), done.stderr
    assert done.stderr.count(f"this system has no {' and '.join(lacking)}: ") == 1
