from __future__ import annotations

import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag_pipeline.errors import JournalError
from rag_pipeline.journal.redis.address import RedisAddress
from rag_pipeline.journal.redis.connection import (
    RedisConnection,
    RedisRefusedError,
    RedisUnavailableError,
    is_refusal,
)
from rag_pipeline.journal.redis.scripts import Script
from tests.journal.cut_proxy import proxy_to
from tests.journal.redis_server import RedisServer, free_port, needs_redis, running
from tests.support.programs import ROOT

SECRET = "s3cret-pa/ss"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running(tmp_path_factory.mktemp("redis") / "data") as started:
        yield started


@needs_redis
def test_commands_sent_in_one_write_are_answered_in_order(server: RedisServer) -> None:
    connection = server.connection()
    assert connection.call_all([("SET", "a", 1), ("INCR", "a"), ("GET", "a"), ("GET", "none")]) == ["OK", 2, "2", None]
    connection.close()


@needs_redis
def test_a_refused_command_raises_and_leaves_the_connection_usable(server: RedisServer) -> None:
    connection = server.connection()
    connection.call("SET", "text", "x")
    with pytest.raises(RedisUnavailableError, match=r"^Redis at 127\.0\.0\.1:\d+/0 refused a command: "):
        connection.call_all([("INCR", "text"), ("LPUSH", "text", "y"), ("GET", "text")])
    assert connection.call("GET", "text") == "x"
    connection.close()


@needs_redis
def test_a_script_unknown_to_the_server_is_sent(server: RedisServer) -> None:
    connection = server.connection()
    script = Script("return {KEYS[1], ARGV[1]}")
    assert connection.run(script, ["k"], ["a"]) == ["k", "a"]
    connection.call("SCRIPT", "FLUSH")
    assert connection.run(script, ["k"], ["é"]) == ["k", "é"]
    connection.close()


@needs_redis
def test_a_command_whose_answer_was_lost_is_not_sent_again(server: RedisServer) -> None:
    connection = server.connection()
    connection.call("SET", "counted", 0)
    with proxy_to(server.port) as proxy:
        through = RedisConnection(RedisAddress(server.url_by(proxy.port)))
        through.connect()
        proxy.on_answer = lambda _: 1
        with pytest.raises(RedisUnavailableError, match="can't be reached"):
            through.call("INCR", "counted")
    assert connection.call("GET", "counted") == "1"
    connection.close()


@pytest.mark.slow
@needs_redis
def test_a_frozen_server_is_noticed_and_the_next_call_reconnects(tmp_path: Path) -> None:
    with running(tmp_path / "data") as server:
        connection = RedisConnection(RedisAddress(server.url), timeout_seconds=0.3)
        connection.call("SET", "a", "b")
        server.freeze()
        for _ in range(2):  # the second time the kernel still accepts the connection
            with pytest.raises(RedisUnavailableError, match=r"did not answer within 0\.3 s$"):
                connection.call("GET", "a")
        server.thaw()
        assert RedisConnection(RedisAddress(server.url)).call("GET", "a") == "b"


@needs_redis
def test_a_wait_can_be_interrupted_from_another_thread(server: RedisServer) -> None:
    connection = RedisConnection(RedisAddress(server.url), timeout_seconds=60)
    connection.connect()
    timer = threading.Timer(0.2, connection.interrupt)
    timer.start()
    with pytest.raises(RedisUnavailableError):
        connection.call("BLPOP", "nothing", 50)
    timer.join()


def test_a_refused_connection_is_reported_with_host_and_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(RedisUnavailableError) as caught:
        RedisConnection(RedisAddress(f"redis://:s3cret@127.0.0.1:{port}/4")).connect()
    assert str(caught.value) == f"Redis at 127.0.0.1:{port}/4 can't be reached: Connection refused"


def test_an_unknown_host_is_named() -> None:
    with pytest.raises(RedisUnavailableError, match=r"^Redis at redis\.invalid:6379/0 can't be reached: "):
        RedisConnection(RedisAddress("redis://redis.invalid")).connect()


@needs_redis
@pytest.mark.parametrize("login", ["", ":gue55ed@", "nobody:gue55ed@"])
def test_a_wrong_password_is_reported_without_it(tmp_path: Path, login: str) -> None:
    with running(tmp_path / "data", "--requirepass", SECRET) as server:
        with pytest.raises(JournalError) as caught:
            RedisConnection(RedisAddress(f"redis://{login}127.0.0.1:{server.port}")).connect()
        assert str(caught.value).startswith(f"Redis at 127.0.0.1:{server.port}/0 refused the login: ")
        assert not caught.value.retryable
        assert "gue55ed" not in "".join(traceback.format_exception(caught.value))
        right = RedisConnection(RedisAddress(f"redis://:{SECRET.replace('/', '%2F')}@127.0.0.1:{server.port}"))
        assert right.call("PING") == "PONG"
        right.close()


@needs_redis
def test_a_cluster_is_refused(tmp_path: Path) -> None:
    # By default the cluster port is 10,000 above the server's.
    with (
        running(tmp_path / "data", "--cluster-enabled", "yes", "--cluster-port", str(free_port())) as server,
        pytest.raises(JournalError, match=r"runs as a cluster; the journal needs a standalone server$") as caught,
    ):
        server.connection().connect()
    assert not caught.value.retryable


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"redis_version:6.2.14\r\nredis_mode:standalone", r"has version 6\.2\.14; the journal needs Redis 7 or newer"),
        (b"redis_mode:standalone", r"has version unknown; "),
        (b"redis_version:7.2.4\r\nserver_name:valkey\r\nredis_mode:sentinel", r"runs as a sentinel"),
        (b"redis_version:7.2.4\r\nserver_name:valkey\r\nserver_mode:cluster", r"runs as a cluster"),
    ],
)
def test_an_unsuitable_server_is_refused(answer: bytes, message: str) -> None:
    with answering(b"$%d\r\n%s\r\n" % (len(answer), answer)) as port:
        with pytest.raises(JournalError, match=message) as caught:
            RedisConnection(RedisAddress(f"redis://127.0.0.1:{port}")).connect()
        assert not caught.value.retryable


def test_a_server_that_is_not_redis_is_reported() -> None:
    with (
        answering(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port,
        pytest.raises(JournalError, match=rf"^the server at 127\.0\.0\.1:{port}/0 does not speak the Redis protocol$"),
    ):
        RedisConnection(RedisAddress(f"redis://127.0.0.1:{port}")).connect()


@pytest.mark.parametrize("answer", [b"-ERR unknown command 'AUTH' with args s3cret\r\n", b"-NOAUTH s3cret\r\n"])
def test_a_password_echoed_by_the_server_is_masked(answer: bytes) -> None:
    with answering(answer) as port:
        url = f"redis://:{answer[-8:-2].decode()}@127.0.0.1:{port}"
        with pytest.raises(JournalError) as caught:
            RedisConnection(RedisAddress(url)).connect()
        shown = "".join(traceback.format_exception(caught.value))
        assert "***" in shown
        assert "s3cret" not in shown


class answering:  # noqa: N801 - reads as the context it is
    """A server with a single answer."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> int:
        self._thread.start()
        port: int = self._listener.getsockname()[1]
        return port

    def __exit__(self, *_: object) -> None:
        self._thread.join(30)
        self._listener.close()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        with connection:
            while request := connection.recv(4096):
                # The client first sends its name and library, each with a separate answer.
                connection.sendall(b"+OK\r\n" if b"CLIENT" in request else self._answer)


HOST_PROGRAM = """
import warnings; warnings.simplefilter("ignore")
import sys, eventlet
if sys.argv[1] == "before": eventlet.monkey_patch()
from pathlib import Path
from rag_pipeline.common import native
from rag_pipeline.journal.redis.publisher import RedisPublisher
from rag_pipeline.journal.redis.reader import RedisReader
from rag_pipeline.journal.redis.journal import RedisJournal
from rag_pipeline.status.pipeline import core_of, PipelineStatus
if sys.argv[1] == "after": eventlet.monkey_patch()
url = sys.argv[2]
pipeline = PipelineStatus("local_files", "patched")
seen, done = [], native.Future()
hubs = set()
def deliver(entries):
    hubs.add(hasattr(eventlet.hubs._threadlocal, "hub"))
    seen.extend(entry.event.seq for entry in entries if entry.event.numbered)
    if len(seen) == 200: done.set()
reader = RedisReader(url, deliver, lambda: None).start()
publisher = RedisPublisher(url, lambda _: core_of(pipeline).status_event()).start()
core_of(pipeline).attach(publisher)
for n in range(100):
    pipeline.add_processing_file(f"file {n}")
    pipeline.complete_file(f"file {n}")
# The host never yields to its hub: native threads alone do the work.
assert done.wait(60), seen
assert seen == list(range(1, 201)), seen
assert publisher.stop() and reader.stop()
assert hubs == {False}, "a green socket was waited for on a native thread"
with_green_threads = [eventlet.spawn(RedisJournal(url).read, 0, 1000) for _ in range(3)]
print([len(thread.wait()) for thread in with_green_threads])
"""


@pytest.mark.slow
@needs_redis
@pytest.mark.parametrize("patched", ["before", "after", "not at all"])
def test_it_works_in_a_monkey_patched_program(tmp_path: Path, patched: str) -> None:
    with running(tmp_path / "data") as server:
        command = [sys.executable, "-c", HOST_PROGRAM, patched, server.url]
        found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert found.stdout == "[200, 200, 200]\n", found.stderr


@needs_redis
def test_temporary_errors_are_distinguished_from_refusals(tmp_path: Path) -> None:
    with running(tmp_path / "data") as server:
        connection = server.connection()
        connection.call("SADD", "a set", "x")
        for refused in (("GET", "a set"), ("NONSENSE",), ("EVAL", "return nil .. 1", 0), ("HSET", "k", "v")):
            with pytest.raises(RedisRefusedError) as caught:
                connection.call(*refused)
            assert is_refusal(caught.value)
            assert caught.value.retryable
        connection.call("CONFIG", "SET", "maxmemory", "1")
        with pytest.raises(RedisUnavailableError) as passing:
            connection.call("SET", "k", "v")
        assert not is_refusal(passing.value)
        connection.call("CONFIG", "SET", "maxmemory", "0")
        connection.call("REPLICAOF", "127.0.0.1", free_port())
        with pytest.raises(RedisUnavailableError, match="read only") as passing:
            connection.call("SET", "k", "v")
        assert not is_refusal(passing.value)
        connection.close()
