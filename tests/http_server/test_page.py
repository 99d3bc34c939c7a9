"""The page names the addresses and lets nothing in."""

from __future__ import annotations

import base64
import hashlib
import re

import pytest

from rag_pipeline.http_server.page import CONTENT_SECURITY_POLICY, Addresses, render

ADDRESSES = Addresses(http_port=8103, socket_port=8204)


def test_both_ports_and_all_namespaces_are_named() -> None:
    page = render(ADDRESSES, "box.test:9999")
    assert "curl -N -H 'Accept: text/event-stream' http://box.test:8103/events" in page
    for text in ('href="events"', 'href="files"', 'href="files?status=failed"'):
        assert text in page
    for text in ("port 8103", "port 8204", "http://box.test:8103/status", 'href="status"', 'href="health"'):
        assert text in page
    for namespace in ("/google_drive", "/local_files", "/pipeline"):
        assert f"http://box.test:8204{namespace}" in page


def test_the_policy_admits_the_style_and_no_script() -> None:
    page = render(ADDRESSES, None)
    style = re.search("<style>(.*)</style>", page, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in CONTENT_SECURITY_POLICY
    assert "<script" not in page
    assert "style=" not in page


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        (None, "localhost"),
        ("", "localhost"),
        ("<script>alert(1)</script>", "localhost"),
        ('a"onload=x', "localhost"),
        ("[::1]:8003", "[::1]"),
        ("10.0.0.7", "10.0.0.7"),
    ],
)
def test_the_machine_is_named_as_the_browser_did(host: str | None, shown: str) -> None:
    page = render(ADDRESSES, host)
    assert f"http://{shown}:8103/status" in page
    assert "alert" not in page
    assert "onload" not in page


def test_other_namespaces_are_escaped() -> None:
    assert "/&lt;b&gt;" in render(Addresses(1, 2, ("/<b>",)), None)
