"""Downloads: interrupted, damaged, changed, too large; a failed one leaves nothing behind."""

from __future__ import annotations

import errno
import hashlib
import os
import resource
import shutil
import socket
import threading
import time
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests

from rag_pipeline.ingest.types import Stopped
from rag_pipeline.sources.google_drive import download
from rag_pipeline.sources.google_drive.download import MAX_DAMAGED, ExpectedContent, download_to
from rag_pipeline.sources.google_drive.errors import DownloadError, DriveUnavailableError, FileUnavailableError
from rag_pipeline.sources.google_drive.transport.client import ApiRequest, DriveHttpClient
from rag_pipeline.sources.google_drive.transport.retry import RetryPolicy
from tests.drive import (
    DriveServer,
    Generated,
    corrupt,
    cut_body,
    cut_headers,
    error,
    server_error,
    slow,
    stall,
    truncate,
    unauthorized,
)
from tests.drive.faults import foreign
from tests.sources.google_drive.support import QUICK, ignore_progress, is_empty_folder, no_check, session_for

MIB = 1 << 20


class Fetching:
    """Downloads one file of a server into its own folder."""

    def __init__(self, server: DriveServer, file_id: str, folder: Path, policy: RetryPolicy = QUICK) -> None:
        self.target = folder / "target"
        self.fractions: list[float] = []
        self._item = server.drive.item(file_id)
        self._url = f"{server.url}/drive/v3/files/{file_id}"
        self._client = DriveHttpClient(session_for(server), base_url=server.url, policy=policy, stop=threading.Event())

    def run(self, expected: ExpectedContent | None = None, **options: Any) -> None:
        params = {"alt": "media", "supportsAllDrives": "true"}
        download_to(
            self.target,
            self._client,
            ApiRequest(self._url, "a.txt", params, is_file=True),
            expected or ExpectedContent(size=self._item.size, md5=self._item.md5),
            **{"on_progress": self.fractions.append, "check": no_check, **options},
        )

    def is_whole(self) -> bool:
        with self.target.open("rb") as file:
            return hashlib.file_digest(file, "md5").hexdigest() == self._item.md5


def media_bytes(server: DriveServer) -> int:
    return server.requests.bytes_out("media")


@pytest.mark.slow
def test_a_file_is_downloaded_with_progress(tmp_path: Path) -> None:
    with DriveServer() as server:
        fetching = Fetching(server, server.drive.add_file("a.txt", Generated(20 * MIB)), tmp_path)
        server.faults.add(slow(0.3), "media")
        fetching.run()
        assert fetching.is_whole()
        assert fetching.fractions[0] == 0.0
        assert fetching.fractions == sorted(fetching.fractions)
        assert all(0 <= fraction <= 1 for fraction in fetching.fractions)
        assert server.requests.count("media") == 1


def test_an_interrupted_download_is_resumed(tmp_path: Path) -> None:
    with DriveServer() as server:
        size = 3 * MIB
        fetching = Fetching(server, server.drive.add_file("a.txt", Generated(size)), tmp_path)
        server.faults.add(cut_body(MIB + 17), "media")
        server.faults.add(server_error(503), "media")
        server.faults.add(cut_body(MIB), "media")
        fetching.run()
        assert fetching.is_whole()
        ranges = [request.headers.get("range") for request in server.requests if request.operation == "media"]
        assert ranges[0] is None
        assert ranges[1] == ranges[2] == f"bytes={MIB + 17}-"
        assert media_bytes(server) < size + 10_000  # only the error's body was transferred in addition


def test_a_download_may_be_interrupted_any_number_of_times_if_it_makes_progress(tmp_path: Path) -> None:
    with DriveServer() as server:
        size = 4 * MIB
        fetching = Fetching(server, server.drive.add_file("a.txt", Generated(size)), tmp_path)
        server.faults.add(cut_body(100_000), "media", times=41)
        fetching.run()
        assert fetching.is_whole()
        assert server.requests.count("media") == 42
        assert media_bytes(server) == size


def test_a_download_without_progress_is_given_up(tmp_path: Path) -> None:
    with DriveServer() as server:
        server.behaviour.ignore_ranges = True
        fetching = Fetching(server, server.drive.add_file("a.txt", Generated(MIB)), tmp_path)
        server.faults.add(cut_body(100_000), "media", times=None)
        with pytest.raises(DriveUnavailableError, match=r"^a.txt: broke off after 100,000 bytes: .*, 8 times$"):
            fetching.run()
        assert server.requests.count("media") == QUICK.attempts
        assert is_empty_folder(tmp_path)


def test_with_a_server_that_ignores_ranges_the_download_restarts(tmp_path: Path) -> None:
    with DriveServer() as server:
        server.behaviour.ignore_ranges = True
        fetching = Fetching(server, server.drive.add_file("a.txt", Generated(MIB)), tmp_path)
        server.faults.add(cut_body(100_000), "media")
        fetching.run()
        assert fetching.is_whole()


@pytest.mark.slow
def test_a_stalled_download_is_resumed_with_another_connection(tmp_path: Path) -> None:
    with DriveServer() as server:
        policy = RetryPolicy(base_seconds=0.001, read_timeout_seconds=0.5)
        fetching = Fetching(server, server.drive.add_file("a.txt", Generated(MIB)), tmp_path, policy)
        server.faults.add(stall(300_000), "media")
        fetching.run()
        assert fetching.is_whole()
        assert [r.headers.get("range") for r in server.requests if r.operation == "media"][1] == "bytes=300000-"


@pytest.mark.parametrize("fault", [corrupt(), truncate(5), cut_headers(), cut_body(0), unauthorized()])
def test_damage_is_detected_and_the_download_repeated(tmp_path: Path, fault: Any) -> None:
    with DriveServer() as server:
        fetching = Fetching(server, server.drive.add_file("a.txt", Generated(MIB)), tmp_path)
        server.faults.add(fault, "media")
        fetching.run()
        assert fetching.is_whole()
        assert server.requests.count("media") == 2


@pytest.mark.slow
@pytest.mark.parametrize("status", [300, 302, 400, 403, 404, 405, 407, 409, 410, 412, 451])
def test_the_answer_of_a_proxy_is_not_an_error_of_the_file(tmp_path: Path, status: int) -> None:
    with DriveServer() as server:
        fetching = Fetching(server, server.drive.add_file("a.txt", "text"), tmp_path)
        server.faults.add(foreign(status), "media", times=2)
        fetching.run()
        assert fetching.is_whole()
        server.faults.add(foreign(status), "media", times=None)
        fetching.target.unlink()
        with pytest.raises(DriveUnavailableError, match=rf"^a.txt: answered {status} \(not by Drive\)") as raised:
            fetching.run()
        assert not raised.value.server_failed  # an error of the pipeline, not of the file


def test_a_missing_file_is_gone(tmp_path: Path) -> None:
    with DriveServer() as server:
        fetching = Fetching(server, server.drive.add_file("a.txt", "text"), tmp_path)
        server.faults.add(error(404, "notFound"), "media")
        with pytest.raises(FileUnavailableError) as raised:
            fetching.run()
        assert raised.value.gone


def test_a_content_longer_than_expected_is_not_read_to_its_end(tmp_path: Path) -> None:
    with DriveServer() as server:
        fetching = Fetching(server, server.drive.add_file("a.txt", Generated(60 * MIB)), tmp_path)
        most: list[int] = []

        def look() -> None:
            most.append(fetching.target.stat().st_size)

        with pytest.raises(DownloadError, match=r"^a.txt: got more than the expected 3 bytes, 3 times$"):
            fetching.run(ExpectedContent(size=3, md5="0" * 32), check=look)
        assert server.requests.count("media") == MAX_DAMAGED
        assert max(most) < MIB
        assert media_bytes(server) < 30 * MIB
        assert is_empty_folder(tmp_path)


@pytest.mark.slow
def test_a_check_ends_a_stalled_download(tmp_path: Path) -> None:
    with DriveServer() as server:
        patient = replace(QUICK, read_timeout_seconds=600.0)
        fetching = Fetching(server, server.drive.add_file("a.txt", Generated(MIB)), tmp_path, patient)
        server.faults.add(stall(300_000), "media")
        began = time.monotonic()

        def check() -> None:
            if time.monotonic() > began + 0.5:
                raise Stopped

        with pytest.raises(Stopped):
            fetching.run(check=check)
        assert time.monotonic() - began < 60, "the stall is not waited out"
        assert is_empty_folder(tmp_path)


@pytest.mark.slow
def test_a_download_may_take_longer_than_a_json_answer(tmp_path: Path) -> None:
    with DriveServer() as server:
        policy = replace(QUICK, answer_seconds=0.5)
        fetching = Fetching(server, server.drive.add_file("a.txt", Generated(MIB)), tmp_path, policy)
        server.faults.add(stall(300_000), "media")
        timer = threading.Timer(1.0, server.faults.release)
        timer.start()
        fetching.run()
        timer.join()
        assert fetching.is_whole()
        assert server.requests.count("media") == 1


def test_repeated_damage_is_a_retryable_error(tmp_path: Path) -> None:
    with DriveServer() as server:
        fetching = Fetching(server, server.drive.add_file("a.txt", Generated(MIB)), tmp_path)
        server.faults.add(corrupt(), "media", times=None)
        with pytest.raises(
            DownloadError, match=rf"^a.txt: .*the MD5 differs from Drive's, {MAX_DAMAGED} times"
        ) as raised:
            fetching.run()
        assert raised.value.retryable
        assert server.requests.count("media") == MAX_DAMAGED
        assert is_empty_folder(tmp_path)


def test_a_changed_file_is_not_downloaded_again_in_vain(tmp_path: Path) -> None:
    with DriveServer() as server:
        file = server.drive.add_file("a.txt", Generated(MIB))
        fetching = Fetching(server, file, tmp_path)
        before = ExpectedContent(size=MIB, md5="0" * 32)
        with pytest.raises(DownloadError, match="changed during the download"):
            fetching.run(before, has_changed=lambda: True)
        assert server.requests.count("media") == 1
        assert is_empty_folder(tmp_path)


def test_a_replacement_by_a_shorter_file_is_noticed(tmp_path: Path) -> None:
    with DriveServer() as server:
        file = server.drive.add_file("a.txt", Generated(MIB))
        fetching = Fetching(server, file, tmp_path)
        expected = ExpectedContent(size=MIB, md5=server.drive.item(file).md5)
        server.faults.add(cut_body(500_000), "media")
        replaced: list[int] = []

        def replace() -> None:
            if not replaced:
                replaced.append(1)
                server.drive.set_content(file, "short")

        with pytest.raises((DownloadError, DriveUnavailableError)):
            fetching.run(expected, check=replace, has_changed=lambda: True)
        assert is_empty_folder(tmp_path)


def test_no_compression_is_requested(tmp_path: Path) -> None:
    with DriveServer() as server:
        server.behaviour.gzip_media = True
        fetching = Fetching(server, server.drive.add_file("a.txt", Generated(MIB)), tmp_path)
        server.faults.add(cut_body(500_000), "media")
        fetching.run()
        assert fetching.is_whole()
        encodings = [request.headers["accept-encoding"] for request in server.requests if request.operation == "media"]
        assert encodings == ["identity", "identity"]


def test_a_stop_ends_a_download_at_the_next_piece_and_leaves_nothing(tmp_path: Path) -> None:
    with DriveServer() as server:
        fetching = Fetching(server, server.drive.add_file("a.txt", Generated(20 * MIB)), tmp_path)
        pieces: list[int] = []

        def check() -> None:
            pieces.append(1)
            if len(pieces) == 3:
                raise Stopped

        with pytest.raises(Stopped):
            fetching.run(check=check)
        assert len(pieces) == 3
        assert is_empty_folder(tmp_path)


def test_a_content_over_the_limit_is_rejected_as_soon_as_it_arrives(tmp_path: Path) -> None:
    with DriveServer() as server:
        fetching = Fetching(server, server.drive.add_file("a.txt", Generated(20 * MIB)), tmp_path)
        with pytest.raises(FileUnavailableError, match=r"^is over the limit of 1,048,576 bytes$"):
            fetching.run(ExpectedContent(limit_bytes=MIB))
        assert is_empty_folder(tmp_path)


def test_a_download_larger_than_the_free_space_is_not_started(tmp_path: Path) -> None:
    with DriveServer() as server:
        fetching = Fetching(server, server.drive.add_file("a.txt", "x"), tmp_path)
        huge = shutil.disk_usage(tmp_path).total * 2
        with pytest.raises(DownloadError, match=rf"^a.txt: {huge:,} bytes do not fit into {tmp_path}, which") as raised:
            fetching.run(ExpectedContent(size=huge))
        assert raised.value.retryable
        assert server.requests.count() == 0
        assert is_empty_folder(tmp_path)


def test_a_failed_write_is_an_error_and_removes_the_partial_file(tmp_path: Path) -> None:
    with DriveServer() as server:
        fetching = Fetching(server, server.drive.add_file("a.txt", Generated(4 * MIB)), tmp_path)
        # A limit on file sizes makes the kernel refuse a write like a full disk does.
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (MIB, before[1]))
        try:
            with pytest.raises(DownloadError, match=r"^a.txt: can't be written to disk: File too large$"):
                fetching.run()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert is_empty_folder(tmp_path)


def test_a_full_disk_is_reported_as_such() -> None:
    error = download._write_error(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "a.txt")
    assert str(error) == "a.txt: the disk is full"


def test_an_existing_target_is_not_changed(tmp_path: Path) -> None:
    with DriveServer() as server:
        fetching = Fetching(server, server.drive.add_file("a.txt", "new"), tmp_path)
        fetching.target.write_text("old")
        with pytest.raises(DownloadError, match="can't be written to disk: File exists"):
            fetching.run()
        assert fetching.target.read_text() == "old"


@pytest.mark.parametrize("failing", [cut_headers(), cut_body(0)])
def test_an_answer_without_a_length_is_not_accepted(tmp_path: Path, failing: Any) -> None:
    with DriveServer() as server:
        file = server.drive.add_file("a.txt", "some text")
        fetching = Fetching(server, file, tmp_path)
        server.faults.add(failing, "media")
        fetching.run(ExpectedContent())  # like an export: size and MD5 are unknown
        assert fetching.target.read_text() == "some text"


def test_a_content_that_ends_with_the_connection_is_not_accepted(tmp_path: Path) -> None:
    answers = (b"HTTP/1.1 200 OK\r\n\r\nhal", b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhalf")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(30)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"

        def serve() -> None:
            for answer in answers:
                connection, _ = listener.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        exchange = DriveHttpClient(requests.Session(), base_url=url, policy=QUICK, stop=threading.Event())
        download_to(
            tmp_path / "target",
            exchange,
            ApiRequest(url, "plan"),
            ExpectedContent(),
            on_progress=ignore_progress,
            check=no_check,
        )
    assert (tmp_path / "target").read_text() == "half"


def test_without_md5_and_etag_an_interrupted_download_restarts(tmp_path: Path) -> None:
    with DriveServer() as server:
        fetching = Fetching(server, server.drive.add_file("a.txt", Generated(MIB)), tmp_path)
        server.faults.add(cut_body(500_000), "media")
        fetching.run(ExpectedContent(size=MIB))
        assert fetching.is_whole()
        assert all(request.headers.get("range") is None for request in server.requests)


@pytest.mark.slow
def test_memory_is_constant_for_a_large_file(tmp_path: Path) -> None:
    with DriveServer() as server:
        fetching = Fetching(server, server.drive.add_file("a.txt", Generated(256 * MIB)), tmp_path)
        tracemalloc.start()
        try:
            fetching.run()
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert fetching.is_whole()
        assert peak < 16 * MIB


def test_progress_can_be_ignored(tmp_path: Path) -> None:
    with DriveServer() as server:
        fetching = Fetching(server, server.drive.add_file("a.txt", "text"), tmp_path)
        fetching.run(on_progress=ignore_progress)
        assert fetching.target.read_text() == "text"
