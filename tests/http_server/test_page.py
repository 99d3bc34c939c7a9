"""The page contains the ports, and may connect only to the two servers of its machine."""

from __future__ import annotations

import re

import pytest

from rag_pipeline.http_server import assets
from rag_pipeline.http_server.page import Addresses, connect_sources, content_security_policy, render

ADDRESSES = Addresses(http_port=8103, socket_port=8204)


def test_the_page_contains_both_ports() -> None:
    page = render(ADDRESSES)
    assert '<html lang="en" data-http-port="8103" data-socket-port="8204" data-control="off">' in page
    assert "Socket.IO on port 8204" in page
    assert "$" not in page


@pytest.mark.parametrize("name", ["status", "health", "events", "files", "metrics", "openapi.json", "asyncapi.json"])
def test_the_page_links_to_the_endpoints(name: str) -> None:
    assert f'href="{name}"' in render(ADDRESSES)


def test_every_file_of_the_page_exists() -> None:
    named = re.findall(r'(?:href|src)="dashboard/([^"]+)"', render(ADDRESSES))
    assert "main.js" in named
    assert [name for name in named if assets.find(name) is None] == []


def test_nothing_in_the_page_needs_a_weaker_policy() -> None:
    page = render(ADDRESSES)
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:|<script(?! type=\"module\" src=)", page)
    for part in ("default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"):
        assert part in content_security_policy(ADDRESSES, None).split("; ")
    assert "unsafe" not in content_security_policy(ADDRESSES, None)


def test_the_page_may_connect_to_the_servers_of_its_machine() -> None:
    sources = connect_sources(ADDRESSES, "box.test:9999")
    assert sources == [
        "'self'", "ws://box.test:9999", "wss://box.test:9999", "http://box.test:8204", "ws://box.test:8204",
    ]  # fmt: skip
    assert f"connect-src {' '.join(sources)}" in content_security_policy(ADDRESSES, "box.test:9999").split("; ")


def test_behind_a_proxy_the_page_may_connect_to_its_own_origin() -> None:
    assert "wss://status.example.com" in connect_sources(ADDRESSES, "status.example.com")


def test_for_an_ipv6_address_the_policy_allows_any_host_on_the_port() -> None:
    assert connect_sources(ADDRESSES, "[::1]:8103") == ["'self'", "http://*:8204", "ws://*:8204"]


@pytest.mark.parametrize(
    "host", [None, "", "<script>alert(1)</script>", 'a"onload=x', "a b", "a;script-src *", "box.test:9999\n"]
)
def test_an_invalid_host_stays_out_of_the_policy(host: str | None) -> None:
    assert connect_sources(ADDRESSES, host) == connect_sources(ADDRESSES, "localhost")


def test_each_namespace_can_be_chosen() -> None:
    page = render(ADDRESSES)
    for namespace in ADDRESSES.namespaces:
        assert f'<option value="{namespace}">' in page
    assert "/&lt;b&gt;" in render(Addresses(1, 2, ("/<b>",)))
