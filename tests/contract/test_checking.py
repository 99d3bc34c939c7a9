"""The contract checks of the tests' clients find violations."""

from __future__ import annotations

import json

import pytest

from rag_pipeline.contract import events
from tests.contract.checking import ContractError, check_answer, check_event, check_item, check_packet
from tests.socket_server.support import JsonDict, new_pipeline, parse, serving
from tests.support.http_get import get_json

JSON_HEADERS = {"Content-Type": "application/json; charset=utf-8"}


def state() -> JsonDict:
    return {**new_pipeline().get(), "timestamp": "2026-01-31T12:00:00.000+00:00", "offset": "o-1"}


def test_a_status_with_own_fields_is_valid() -> None:
    check_event(events.STATUS, {**state(), "note": [1, {"a": None}], "recovered": True})


def test_an_unknown_event_is_an_error() -> None:
    with pytest.raises(ContractError, match="no event 'pipeline:other'"):
        check_event("pipeline:other", state())


def test_an_item_of_a_page_is_an_event() -> None:
    check_item({"event": events.STATUS, "data": state()})
    with pytest.raises(ContractError, match="epoch"):
        check_item({"event": events.STATUS, "data": {**state(), "epoch": 3}})


def test_a_client_that_reads_a_wrong_event_fails() -> None:
    payload = json.dumps({**state(), "seq": -1})
    with pytest.raises(ContractError, match=r"pipeline:status.*seq"):
        parse(f'42/pipeline,["pipeline:status",{payload}]')


def test_the_answer_to_connect_is_checked_and_nothing_else() -> None:
    for packet in ('40/pipeline,{"sid":"a"}', '44/x,"Unable to connect"', "41/pipeline,", "3", "42/pipeline,[]"):
        check_packet(packet)
    check_packet('44/pipeline,{"message":"no","data":{"code":"token_missing"}}')
    check_packet('44/pipeline,"Unable to connect"')
    for packet in ("40/pipeline,{}", "44/pipeline,{}", '44/pipeline,{"message":"no","data":{"code":"why"}}'):
        with pytest.raises(ContractError, match="of /pipeline"):
            check_packet(packet)


def test_a_checking_session_checks_every_answer() -> None:
    with serving(new_pipeline(), new_pipeline()) as server:
        for path in ("/status", "/status/", "/status/nobody", "/events", "/files", "/files?limit=0", "/health", "/x"):
            get_json(server.http_port, path)
        get_json(server.socket_port, "/health")


@pytest.mark.parametrize(
    ("target", "status", "body"),
    [
        ("/status", 200, {"pipelines": {"a": {}}}),
        ("/status", 200, {"pipeline_id": "a"}),
        ("/status/a", 404, {"error": "two\nlines"}),
        ("/status", 404, {"error": "no"}),
        ("/status", 500, {"error": "no"}),
        ("/health", 200, {"status": "fine"}),
        ("/health", 503, {"status": "down", "clients": {}, "clients_dropped": 0}),
        ("/files", 200, {"files": [{}], "next": None}),
        ("/x", 200, {}),
    ],
)
def test_an_undocumented_answer_is_an_error(target: str, status: int, body: object) -> None:
    with pytest.raises(ContractError):
        check_answer(target, status, JSON_HEADERS, json.dumps(body))


def test_an_answer_of_another_type_is_an_error() -> None:
    with pytest.raises(ContractError, match="text/html, expected application/json"):
        check_answer("/status", 200, {"content-type": "text/html"}, "")


@pytest.mark.parametrize("target", ["/socket.io/?EIO=4", "/dashboard/main.js"])
def test_answers_outside_the_contract_are_ignored(target: str) -> None:
    check_answer(target, 200, {"content-type": "text/plain"}, "no")
