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
    Script,
    is_refusal,
)
from tests.journal.cut_proxy import proxy_to
from tests.journal.redis_server import RedisServer, free_port, needs_redis, running
from tests.support.programs import ROOT

SECRET = "s3cret-pa/ss"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running(tmp_path_factory.mktemp("redis") / "data") as started:
        yield started


@needs_redis
def test_commands_sent_in_one_go_are_answered_in_order(server: RedisServer) -> None:
    link = server.link()
    assert link.call_all([("SET", "a", 1), ("INCR", "a"), ("GET", "a"), ("GET", "none")]) == ["OK", 2, "2", None]
    link.close()


@needs_redis
def test_a_refused_command_is_told_and_leaves_the_connection_as_it_was(server: RedisServer) -> None:
    link = server.link()
    link.call("SET", "text", "x")
    with pytest.raises(RedisUnavailableError, match=r"^Redis at 127\.0\.0\.1:\d+/0 refused a command: "):
        link.call_all([("INCR", "text"), ("LPUSH", "text", "y"), ("GET", "text")])
    assert link.call("GET", "text") == "x"
    link.close()


@needs_redis
def test_a_script_that_the_server_does_not_know_is_sent_along(server: RedisServer) -> None:
    link = server.link()
    script = Script("return {KEYS[1], ARGV[1]}")
    assert link.run(script, ["k"], ["a"]) == ["k", "a"]
    link.call("SCRIPT", "FLUSH")
    assert link.run(script, ["k"], ["é"]) == ["k", "é"]
    link.close()


@needs_redis
def test_a_command_whose_answer_was_lost_is_not_sent_again(server: RedisServer) -> None:
    link = server.link()
    link.call("SET", "counted", 0)
    with proxy_to(server.port) as proxy:
        through = RedisConnection(RedisAddress(server.url_by(proxy.port)))
        through.connect()
        proxy.on_answer = lambda _: 1
        with pytest.raises(RedisUnavailableError, match="can't be reached"):
            through.call("INCR", "counted")
    assert link.call("GET", "counted") == "1"
    link.close()


@needs_redis
def test_a_server_that_stands_still_is_noticed_and_the_next_call_connects_anew(tmp_path: Path) -> None:
    with running(tmp_path / "data") as server:
        link = RedisConnection(RedisAddress(server.url), timeout_seconds=0.3)
        link.call("SET", "a", "b")
        server.freeze()
        for _ in range(2):  # the second finds that the kernel takes the connection for it
            with pytest.raises(RedisUnavailableError, match=r"did not answer within 0\.3 s$"):
                link.call("GET", "a")
        server.thaw()
        assert RedisConnection(RedisAddress(server.url)).call("GET", "a") == "b"


@needs_redis
def test_a_wait_is_ended_from_another_thread(server: RedisServer) -> None:
    link = RedisConnection(RedisAddress(server.url), timeout_seconds=60)
    link.connect()
    timer = threading.Timer(0.2, link.interrupt)
    timer.start()
    with pytest.raises(RedisUnavailableError):
        link.call("BLPOP", "nothing", 50)
    timer.join()


def test_nothing_that_listens_is_told_with_host_and_port_alone() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(RedisUnavailableError) as caught:
        RedisConnection(RedisAddress(f"redis://:s3cret@127.0.0.1:{port}/4")).connect()
    assert str(caught.value) == f"Redis at 127.0.0.1:{port}/4 can't be reached: Connection refused"


def test_a_host_that_has_no_address_is_named() -> None:
    with pytest.raises(RedisUnavailableError, match=r"^Redis at redis\.invalid:6379/0 can't be reached: "):
        RedisConnection(RedisAddress("redis://redis.invalid")).connect()


@needs_redis
@pytest.mark.parametrize("login", ["", ":gue55ed@", "nobody:gue55ed@"])
def test_a_wrong_password_is_told_without_it(tmp_path: Path, login: str) -> None:
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
    # Without a port of its own for the cluster, the server wants one 10,000 above its own.
    with (
        running(tmp_path / "data", "--cluster-enabled", "yes", "--cluster-port", str(free_port())) as server,
        pytest.raises(JournalError, match=r"runs as a cluster; the journal needs a standalone server$") as caught,
    ):
        server.link().connect()
    assert not caught.value.retryable


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"redis_version:6.2.14\r\nredis_mode:standalone", r"has version 6\.2\.14; the journal needs Redis 7 or newer"),
        (b"redis_mode:standalone", r"has version unknown; "),
        (b"redis_version:7.2.4\r\nserver_name:valkey\r\nredis_mode:sentinel", r"runs as a sentinel"),
        (b"redis_version:7.2.4\r\nserver_name:valkey\r\nserver_mode:cluster", r"runs as a cluster"),
    ],
)
def test_a_server_that_is_not_fit_is_refused(answer: bytes, told: str) -> None:
    with answering(b"$%d\r\n%s\r\n" % (len(answer), answer)) as port:
        with pytest.raises(JournalError, match=told) as caught:
            RedisConnection(RedisAddress(f"redis://127.0.0.1:{port}")).connect()
        assert not caught.value.retryable


def test_what_is_no_redis_at_all_is_told() -> None:
    with (
        answering(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port,
        pytest.raises(JournalError, match=rf"^what listens at 127\.0\.0\.1:{port}/0 does not answer as Redis does$"),
    ):
        RedisConnection(RedisAddress(f"redis://127.0.0.1:{port}")).connect()


@pytest.mark.parametrize("said", [b"-ERR unknown command 'AUTH' with args s3cret\r\n", b"-NOAUTH s3cret\r\n"])
def test_a_server_that_repeats_the_password_gives_nothing_away(said: bytes) -> None:
    with answering(said) as port:
        url = f"redis://:{said[-8:-2].decode()}@127.0.0.1:{port}"
        with pytest.raises(JournalError) as caught:
            RedisConnection(RedisAddress(url)).connect()
        shown = "".join(traceback.format_exception(caught.value))
        assert "***" in shown
        assert "s3cret" not in shown


class answering:  # noqa: N801 - reads as the context it is
    """A server that gives one answer to whatever it is asked."""

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
            while asked := connection.recv(4096):
                # The names of client and library come first, each with an answer of its own.
                connection.sendall(b"+OK\r\n" if b"CLIENT" in asked else self._answer)


HOST_PROGRAM = """
import warnings; warnings.simplefilter("ignore")
import sys, eventlet
if sys.argv[1] == "before": eventlet.monkey_patch()
from pathlib import Path
from rag_pipeline.common import native
from rag_pipeline.journal.redis.publisher import RedisPublisher
from rag_pipeline.journal.redis.reader import RedisReader
from rag_pipeline.journal.redis.journal import RedisJournal
from rag_pipeline.status import PipelineStatus, core_of
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


@needs_redis
@pytest.mark.parametrize("patched", ["before", "after", "not at all"])
def test_it_works_in_a_host_program_that_is_monkey_patched(tmp_path: Path, patched: str) -> None:
    with running(tmp_path / "data") as server:
        command = [sys.executable, "-c", HOST_PROGRAM, patched, server.url]
        found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert found.stdout == "[200, 200, 200]\n", found.stderr


@needs_redis
def test_what_passes_by_itself_is_told_from_what_somebody_has_to_mend(tmp_path: Path) -> None:
    with running(tmp_path / "data") as server:
        link = server.link()
        link.call("SADD", "a set", "x")
        for refused in (("GET", "a set"), ("NONSENSE",), ("EVAL", "return nil .. 1", 0), ("HSET", "k", "v")):
            with pytest.raises(RedisRefusedError) as caught:
                link.call(*refused)
            assert is_refusal(caught.value)
            assert caught.value.retryable
        link.call("CONFIG", "SET", "maxmemory", "1")
        with pytest.raises(RedisUnavailableError) as passing:
            link.call("SET", "k", "v")
        assert not is_refusal(passing.value)
        link.call("CONFIG", "SET", "maxmemory", "0")
        link.call("REPLICAOF", "127.0.0.1", free_port())
        with pytest.raises(RedisUnavailableError, match="read only") as passing:
            link.call("SET", "k", "v")
        assert not is_refusal(passing.value)
        link.close()
