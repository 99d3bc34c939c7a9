"""The response reader: bounded read-ahead, and a caller that can leave at any moment."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable

import pytest
import requests
from urllib3 import HTTPResponse
from urllib3.exceptions import ProtocolError

from rag_pipeline.ingest.types import Stopped
from rag_pipeline.sources.google_drive.transport.response_reader import PIECE_BYTES, Deadline, ResponseReader
from rag_pipeline.sources.google_drive.transport.retry import TryAgain
from tests.sources.google_drive.support import no_check
from tests.support.waiting import wait_until


class Body(io.BytesIO):
    """The body of an answer; ``taken`` counts the bytes read, and reads wait until ``ready`` is set."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.taken = 0
        self.ready = threading.Event()
        self.ready.set()

    def read1(self, size: int | None = -1, /) -> bytes:
        self.ready.wait(30)
        piece = super().read1(-1 if size is None else size)
        self.taken += len(piece)
        return piece

    read = read1


def answer_of(body: io.BytesIO, length: int | None = None) -> requests.Response:
    answer = requests.Response()
    answer.status_code = 200
    headers = {} if length is None else {"Content-Length": str(length)}
    answer.raw = HTTPResponse(body, headers=headers, preload_content=False, request_method="GET")
    return answer


def open_reader(
    ask: Callable[[], requests.Response],
    *,
    stop: threading.Event | None = None,
    check: Callable[[], None] = no_check,
    seconds: float = 30.0,
) -> ResponseReader:
    return ResponseReader(ask, Deadline(stop or threading.Event(), check, seconds))


def test_the_headers_arrive_before_the_body() -> None:
    data = bytes(range(256)) * 4000
    with open_reader(lambda: answer_of(Body(data), len(data))) as answer:
        assert answer.response.status_code == 200
        pieces = list(answer.pieces())
    assert b"".join(pieces) == data
    assert max(map(len, pieces)) <= PIECE_BYTES


def test_errors_of_sending_and_reading_are_raised_in_the_caller() -> None:
    def fail() -> requests.Response:
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        open_reader(fail)
    with open_reader(lambda: answer_of(Body(b"half"), 8)) as answer, pytest.raises(ProtocolError):
        answer.read(100)


def test_a_body_over_the_limit_is_none_and_not_read_to_its_end() -> None:
    body = Body(b"x" * (100 * PIECE_BYTES))
    with open_reader(lambda: answer_of(body)) as answer:
        assert answer.read(PIECE_BYTES) is None
    wait_until(lambda: body.closed)
    assert body.taken < 10 * PIECE_BYTES
    with open_reader(lambda: answer_of(Body(b"abc"))) as answer:
        assert answer.read(3) == b"abc"


def test_no_more_than_a_few_pieces_are_read_ahead() -> None:
    body = Body(b"x" * (100 * PIECE_BYTES))
    with open_reader(lambda: answer_of(body)) as answer:
        wait_until(lambda: body.taken > 2 * PIECE_BYTES)
        next(answer.pieces())
        assert body.taken < 10 * PIECE_BYTES


def test_a_stop_ends_the_wait_for_an_answer_which_is_closed_when_it_arrives() -> None:
    stop, begun, body = threading.Event(), threading.Event(), Body(b"late")

    def late() -> requests.Response:
        stop.set()
        begun.wait(30)
        return answer_of(body)

    with pytest.raises(Stopped):
        open_reader(late, stop=stop)
    assert not body.closed
    begun.set()
    wait_until(lambda: body.closed)


def test_a_check_ends_the_wait_for_a_stalled_body() -> None:
    body, told = Body(b"text"), threading.Event()

    def check() -> None:
        if told.is_set():
            raise Stopped

    with open_reader(lambda: answer_of(body), check=check) as answer:
        body.ready.clear()
        told.set()
        with pytest.raises(Stopped):
            list(answer.pieces()) + list(answer.pieces())
    body.ready.set()
    wait_until(lambda: body.closed)


class Trickling(Body):
    """A body that never ends, and arrives byte by byte."""

    def read1(self, size: int | None = -1, /) -> bytes:
        time.sleep(0.005)
        return b" "

    read = read1


def test_a_slow_answer_must_be_complete_in_time_but_not_a_slow_content() -> None:
    body = Trickling(b"")
    with (
        open_reader(lambda: answer_of(body), seconds=0.3) as answer,
        pytest.raises(TryAgain, match=r"^no whole answer within 0\.3 s$"),
    ):
        answer.read(1 << 20)
    wait_until(lambda: body.closed)
    deadline = Deadline(threading.Event(), no_check, 0.0)
    deadline.remove_limit()
    deadline.check()
