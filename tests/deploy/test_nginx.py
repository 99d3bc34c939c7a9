"""deploy/nginx.conf as it stands, but for ports and certificate, in front of a real service."""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests
import socketio

from rag_pipeline import PipelineStatus, StatusServer, start_status_server
from tests.contract.checking import check_event
from tests.deploy.files import ROOT
from tests.deploy.proxying import check, free_ports, needs_nginx, nginx
from tests.support.waiting import wait_until

pytestmark = [
    pytest.mark.slow,
    needs_nginx,
    pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed"),
]

# Everything that nginx writes goes to the test's own folder; one process, in the foreground.
MAIN = """
daemon off;
master_process off;
pid {folder}/pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/site.conf;
}}
"""


class Proxy(NamedTuple):
    """Where nginx answers, and the certificate to trust."""

    http: str
    https: str
    certificate: str


def make_certificate(folder: Path) -> None:
    """Write a certificate for this machine that lasts a day."""
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", *subject, *files]
    subprocess.run(command, check=True, capture_output=True, timeout=60)


def site(folder: Path, server: StatusServer, http: int, https: int) -> str:
    """Return the example with this test's ports, name and certificate; each must stand in it."""
    text = (ROOT / "deploy" / "nginx.conf").read_text()
    for pattern, replacement in (
        (r"listen 80;", f"listen 127.0.0.1:{http};"),
        (r"listen 443 ssl;", f"listen 127.0.0.1:{https} ssl;"),
        (r"listen \[::\]:.*;", ""),
        (r"server 127\.0\.0\.1:8003;", f"server 127.0.0.1:{server.http_port};"),
        (r"server 127\.0\.0\.1:8004;", f"server 127.0.0.1:{server.socket_port};"),
        (r"(?<=server_name )status\.example\.com", "localhost"),
        (r"\S+\.pem(?=;)", f"{folder}/cert.pem"),
        (r"\S+\.key(?=;)", f"{folder}/key.pem"),
    ):
        text, count = re.subn(pattern, replacement, text)
        assert count, f"deploy/nginx.conf has no {pattern}"
    return text


@pytest.fixture(scope="module")
def pipeline() -> PipelineStatus:
    return PipelineStatus("local_files", "behind-a-proxy")


@pytest.fixture(scope="module")
def proxy(pipeline: PipelineStatus, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    folder = tmp_path_factory.mktemp("nginx")
    http, https = free_ports(2)
    make_certificate(folder)
    # In production and with no origin configured, a page of the proxy's own host name is the only one let in.
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ENVIRONMENT", "production")
        patch.delenv("SOCKET_IO_CORS_ORIGIN", raising=False)
        server = start_status_server(0)
    with server:
        (folder / "site.conf").write_text(site(folder, server, http, https))
        (folder / "nginx.conf").write_text(MAIN.format(folder=folder))
        with nginx(folder / "nginx.conf", https):
            yield Proxy(f"http://localhost:{http}", f"https://localhost:{https}", str(folder / "cert.pem"))


def get(proxy: Proxy, path: str, **headers: str) -> requests.Response:
    return requests.get(proxy.https + path, headers=headers, verify=proxy.certificate, timeout=60)


def test_plain_http_is_sent_to_https(proxy: Proxy) -> None:
    answer = requests.get(f"{proxy.http}/status?a=1", allow_redirects=False, timeout=60)
    assert (answer.status_code, answer.headers["Location"]) == (301, "https://localhost/status?a=1")


@pytest.mark.parametrize("path", ["/status", "/health", "/"])
def test_http_passes(proxy: Proxy, path: str) -> None:
    assert get(proxy, path).status_code == 200


@pytest.mark.parametrize("transport", ["websocket", "polling"])
@pytest.mark.parametrize("namespace", ["/local_files", "/pipeline"])
def test_events_pass_over_both_transports(
    proxy: Proxy, pipeline: PipelineStatus, transport: str, namespace: str
) -> None:
    session = requests.Session()
    session.verify = proxy.certificate
    session.trust_env = False  # REQUESTS_CA_BUNDLE would win over the test's certificate
    client = socketio.Client(http_session=session, reconnection=False)
    welcomed = threading.Event()
    completed: list[str] = []

    def status(body: dict[str, Any]) -> None:
        check_event("pipeline:status", body)
        if body["pipeline_id"] == pipeline.pipeline_id:
            welcomed.set()

    client.on("pipeline:status", status, namespace=namespace)
    client.on("pipeline:file_completed", lambda body: completed.append(body["file"]["name"]), namespace=namespace)
    client.connect(proxy.https, transports=[transport], namespaces=[namespace], wait_timeout=60)
    try:
        assert client.transport() == transport
        # What happens before the snapshot is part of it, and is not told again.
        assert welcomed.wait(60)
        pipeline.complete_file("report.pdf")
        wait_until(lambda: completed == ["report.pdf"])
    finally:
        client.disconnect()


def test_a_page_of_the_proxys_own_origin_is_let_in_and_another_is_not(proxy: Proxy) -> None:
    handshake = "/socket.io/?EIO=4&transport=polling"
    assert get(proxy, handshake, Origin=proxy.https).status_code == 200
    assert get(proxy, handshake, Origin="https://elsewhere.example").status_code >= 400
    assert get(proxy, "/status", Origin=proxy.https).headers["Access-Control-Allow-Origin"] == proxy.https
    assert "Access-Control-Allow-Origin" not in get(proxy, "/status", Origin="https://elsewhere.example").headers


def test_nginx_accepts_the_example_without_a_warning(server: StatusServer, tmp_path: Path) -> None:
    make_certificate(tmp_path)
    (tmp_path / "site.conf").write_text(site(tmp_path, server, *free_ports(2)))
    (tmp_path / "nginx.conf").write_text(MAIN.format(folder=tmp_path))
    check(tmp_path / "nginx.conf")
