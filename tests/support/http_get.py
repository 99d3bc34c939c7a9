"""GET requests to a running server, with each answer checked against the contract."""

from __future__ import annotations

import http.client
import json
from typing import Any, NamedTuple

from tests.contract.checking import check_answer
from tests.support.waiting import DEADLINE_SECONDS


class Reply(NamedTuple):
    status: int
    body: Any


def get_json(port: int, path: str, host: str = "127.0.0.1") -> Reply:
    connection = http.client.HTTPConnection(host, port, timeout=DEADLINE_SECONDS)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read()
        check_answer(path, response.status, dict(response.getheaders()), body)
        return Reply(response.status, json.loads(body))
    finally:
        connection.close()
