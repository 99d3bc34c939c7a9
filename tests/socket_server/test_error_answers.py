"""Checks of requests, and error answers."""

from __future__ import annotations

import json

import pytest

from rag_pipeline.socket_server.error_answers import LOST_POLL, check_request, is_client_library, query_parameter


def refused(query: str, method: str = "GET") -> int | None:
    """Return the code of the error."""
    environ = {"REQUEST_METHOD": method, "QUERY_STRING": query}
    refusal = check_request(environ, ("polling",), lambda sid: sid == "there")
    return None if refusal is None else int(str(refusal.body["code"]))


@pytest.mark.parametrize(
    ("query", "method", "code"),
    [
        ("EIO=4&transport=polling", "GET", None),
        ("EIO=4&transport=polling&sid=there", "GET", None),
        ("EIO=4&transport=polling&sid=there", "POST", None),
        ("transport=polling&sid=there", "GET", None),
        ("", "OPTIONS", None),
        ("EIO=4&transport=websocket", "GET", 0),
        ("EIO=4&transport=", "GET", 0),
        ("EIO=4&transport=polling&sid=gone", "GET", 1),
        ("EIO=4&transport=polling", "POST", 2),
        ("EIO=4&transport=polling&sid=there", "HEAD", 2),
        ("", "DELETE", 2),
        ("transport=polling", "GET", 5),
        ("EIO=4x&transport=polling", "GET", 5),
    ],
)
def test_the_first_error_of_a_request_decides(query: str, method: str, code: int | None) -> None:
    assert refused(query, method) == code


def test_an_error_is_one_line_of_json_with_its_length() -> None:
    assert json.loads(LOST_POLL.encode()) == LOST_POLL.body
    assert dict(LOST_POLL.headers)["Content-Length"] == str(len(LOST_POLL.encode()))
    assert b"\n" not in LOST_POLL.encode()


def test_the_first_value_of_a_parameter_counts() -> None:
    assert query_parameter({"QUERY_STRING": "a=1&t=x&t=y"}, "t") == "x"
    assert query_parameter({}, "t") is None


@pytest.mark.parametrize(
    ("path", "is_one"),
    [("/socket.io/socket.io.js", True), ("/socket.io/x.js.map", True), ("/socket.io/", False), ("/a.js", False)],
)
def test_the_client_library_is_below_the_path(path: str, is_one: bool) -> None:
    assert is_client_library(path, "/socket.io/") is is_one
