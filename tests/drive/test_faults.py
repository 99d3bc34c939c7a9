"""Planned faults, as a client sees them."""

from __future__ import annotations

import threading

import pytest
import requests

from tests.drive import (
    corrupt,
    cut_body,
    cut_headers,
    error,
    page_token_gone,
    server_error,
    slow,
    stall,
    too_many,
    truncate,
    unauthorized,
)
from tests.drive.client import DriveClient
from tests.drive.content import PIECE_BYTES
from tests.drive.faults import Fault, Faults
from tests.drive.server import DriveServer
from tests.support.waiting import wait_until

CONTENT = bytes(range(256)) * (PIECE_BYTES // 100)
REASONS_OF_403 = (
    "rateLimitExceeded",
    "userRateLimitExceeded",
    "dailyLimitExceeded",
    "insufficientFilePermissions",
    "cannotDownloadFile",
    "domainPolicy",
    "exportSizeLimitExceeded",
    "appNotAuthorizedToFile",
)


@pytest.mark.parametrize("reason", REASONS_OF_403)
def test_a_403_has_the_reason_that_was_planned(server: DriveServer, asker: DriveClient, reason: str) -> None:
    server.faults.add(error(403, reason), "files.list")
    assert asker.refused("files") == (403, reason)
    assert asker.json("files")["files"] == []


@pytest.mark.parametrize(
    ("fault", "status", "waits"),
    [
        (too_many(), 429, None),
        (too_many("7"), 429, "7"),
        (server_error(500), 500, None),
        (server_error(503, "2"), 503, "2"),
        (unauthorized(), 401, None),
    ],
)
def test_an_error_has_its_status_and_the_planned_retry_after(
    server: DriveServer, asker: DriveClient, fault: Fault, status: int, waits: str | None
) -> None:
    server.faults.add(fault)
    answer = asker.get("files")
    assert (answer.status_code, answer.headers.get("Retry-After")) == (status, waits)
    assert server.requests[-1].fault == fault.name


def test_a_fault_applies_to_a_number_of_requests_after_a_number_of_others(
    server: DriveServer, asker: DriveClient
) -> None:
    one, two = server.drive.add_file("one", "1"), server.drive.add_file("two", "2")
    planned = server.faults.add(server_error(), "media", file=two, times=2, after=1)
    met = [
        asker.get(f"files/{file}", alt="media" if media else "json").status_code
        for file, media in [(one, True), (two, True), (two, False), (two, True), (one, True), (two, True), (two, True)]
    ]
    assert met == [200, 200, 200, 503, 200, 503, 200]
    assert planned.hits == 2


def test_the_children_of_a_folder_can_fail_alone(server: DriveServer, asker: DriveClient) -> None:
    folder = server.drive.add_folder("f")
    server.faults.add(server_error(), "files.list", file=folder)
    assert asker.get("files", q="'root' in parents").status_code == 200
    assert asker.get("files", q=f"'{folder}' in parents").status_code == 503


def test_the_page_token_of_one_request_expires(server: DriveServer, asker: DriveClient) -> None:
    token = asker.token()
    server.faults.add(page_token_gone(), "changes.list")
    assert asker.refused("changes", pageToken=token) == (410, "gone")
    assert asker.changes(token) == {}


@pytest.mark.parametrize("fault", [cut_headers(), cut_body(0), cut_body(PIECE_BYTES + 1), cut_body(1 << 40)])
def test_a_connection_that_ends_early_is_an_error_for_the_client(
    server: DriveServer, asker: DriveClient, fault: Fault
) -> None:
    file = server.drive.add_file("a.bin", CONTENT)
    server.faults.add(fault, "media")
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        asker.get(f"files/{file}", alt="media")
    assert asker.get(f"files/{file}", alt="media").content == CONTENT


def test_headers_cut_late_look_like_a_complete_response_without_a_length(
    server: DriveServer, asker: DriveClient
) -> None:
    file = server.drive.add_file("a.bin", CONTENT)
    server.faults.add(cut_headers(late=True), "media")
    answer = asker.get(f"files/{file}", alt="media")
    assert (answer.status_code, answer.content, "Content-Length" in answer.headers) == (200, b"", False)


def test_the_part_before_a_cut_is_valid_and_the_rest_can_be_requested(server: DriveServer, asker: DriveClient) -> None:
    file = server.drive.add_file("a.bin", CONTENT)
    server.faults.add(cut_body(PIECE_BYTES + 5), "media")
    answer = asker.session.get(f"{server.url}/drive/v3/files/{file}?alt=media", stream=True, timeout=30)
    got = answer.raw.read(PIECE_BYTES + 5)
    answer.close()
    rest = asker.get(f"files/{file}", {"Range": f"bytes={len(got)}-"}, alt="media")
    assert got + rest.content == CONTENT
    wait_until(lambda: server.requests.bytes_out("media") == len(CONTENT), "all that was sent, counted")


def test_a_cut_export_is_an_error_although_it_has_no_length(server: DriveServer, asker: DriveClient) -> None:
    doc = server.drive.add_doc("d", "x" * 1000)
    server.faults.add(cut_body(500), "files.export")
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        asker.get(f"files/{doc}/export", mimeType="text/markdown")


def test_corrupt_content_has_the_right_length_and_other_bytes(server: DriveServer, asker: DriveClient) -> None:
    file = server.drive.add_file("a.bin", CONTENT)
    server.faults.add(corrupt(), "media")
    spoilt = asker.get(f"files/{file}", alt="media").content
    assert len(spoilt) == len(CONTENT)
    assert sum(one != other for one, other in zip(spoilt, CONTENT, strict=True)) == 1


def test_truncated_content_is_a_complete_response(server: DriveServer, asker: DriveClient) -> None:
    file = server.drive.add_file("a.bin", CONTENT)
    server.faults.add(truncate(3), "media")
    answer = asker.get(f"files/{file}", alt="media")
    assert answer.content == CONTENT[:-3]
    assert answer.headers["Content-Length"] == str(len(CONTENT) - 3)


def test_a_stalled_response_continues_when_released(server: DriveServer, asker: DriveClient) -> None:
    file = server.drive.add_file("a.bin", b"hello")
    server.faults.add(stall(2), "media")
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(asker.get(f"files/{file}", alt="media").content))
    reader.start()
    wait_until(lambda: server.requests.bytes_out("media") == 2, "two bytes")
    assert not got
    server.faults.release()
    reader.join(30)
    assert got == [b"hello"]


def test_closing_the_server_ends_stalled_responses() -> None:
    with DriveServer() as server:
        asker = DriveClient(server)
        file = server.drive.add_file("a.bin", b"hello")
        server.faults.add(stall(2), "media")
        answer = asker.session.get(f"{server.url}/drive/v3/files/{file}?alt=media", stream=True, timeout=30)
    answer.close()
    asker.session.close()


def test_a_slow_response_is_correct(server: DriveServer, asker: DriveClient) -> None:
    server.faults.add(slow(0.05), "files.list")
    assert asker.json("files")["files"] == []


def test_random_faults_are_deterministic_for_a_seed() -> None:
    def met(seed: int) -> list[str]:
        faults = Faults()
        faults.random(0.3, seed)
        found = [faults.met_by("media", frozenset()) for _ in range(200)]
        assert faults.random_hits == sum(fault is not None for fault in found)
        return [fault.name if fault else "" for fault in found]

    assert met(1) == met(1) != met(2)
    assert 30 < sum(map(bool, met(1))) < 90


def test_random_faults_do_not_affect_sign_in_by_default() -> None:
    faults = Faults()
    planned = faults.add(server_error(), "token")
    faults.add(unauthorized(), times=None)
    assert faults.met_by("token", frozenset()) == planned.fault
    assert faults.met_by("token", frozenset()) is None
    faults.clear()
    faults.random(1.0, 1)
    assert faults.met_by("token", frozenset()) is None
    assert faults.met_by("files.list", frozenset()) is not None
    faults.stop_random()
    assert faults.met_by("files.list", frozenset()) is None


def test_all_random_faults_are_cured_by_a_retry(server: DriveServer, asker: DriveClient) -> None:
    file = server.drive.add_file("a.bin", CONTENT)
    server.faults.random(0.5, 3)
    good = 0
    while good < 20:
        try:
            good += asker.get(f"files/{file}", alt="media").content == CONTENT
        except requests.RequestException:
            pass
    assert server.faults.random_hits > 5


def test_random_refusals_affect_several_requests_in_a_row(server: DriveServer, asker: DriveClient) -> None:
    server.faults.random(0.0, seed=1, refusal_rate=0.05)
    for _ in range(300):
        asker.get("about", fields="user")
    faults = [request.fault for request in server.requests if request.operation == "about.get"]
    assert 0 < server.faults.refusals < sum(fault is not None for fault in faults) < len(faults)
    assert len(set(faults)) > 3
    server.faults.stop_random()
    assert asker.json("about", fields="user")
