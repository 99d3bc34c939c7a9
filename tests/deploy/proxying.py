"""A real nginx of the test's own, with one of the files in deploy/."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.waiting import wait_until

needs_nginx = pytest.mark.skipif(
    shutil.which("nginx") is None, reason="nginx is not installed (Debian: apt-get install nginx-light)"
)

SECONDS = 60.0


def command(config: Path, *options: str) -> list[str]:
    """Return the command that runs nginx with this file; what it writes besides goes to the file's folder."""
    return ["nginx", "-e", "stderr", "-p", str(config.parent), "-c", str(config), *options]


def check(config: Path) -> None:
    """Assert that nginx accepts the file and has nothing to say against it."""
    run = subprocess.run(command(config, "-t"), capture_output=True, text=True, timeout=SECONDS, check=False)
    assert run.returncode == 0, run.stderr
    assert "warn" not in run.stderr


@contextmanager
def nginx(config: Path, port: int, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run nginx; return once it answers on the port."""
    with subprocess.Popen(command(config, *options), stderr=subprocess.DEVNULL) as process:
        try:
            wait_until(lambda: process.poll() is None and answers(port))
            yield process
        finally:
            process.terminate()


def free_ports(count: int) -> list[int]:
    """Return ports that were free a moment ago."""
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports


def answers(port: int) -> bool:
    """Return whether something listens on the port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
