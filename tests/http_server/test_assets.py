"""Only the dashboard's files are served, each with its type."""

from __future__ import annotations

import re
from http import HTTPStatus
from pathlib import Path

import pytest

from rag_pipeline.http_server import assets

FOLDER = Path(assets.__file__).parent / "dashboard"
MODULES = sorted(path.name for path in FOLDER.glob("*.js"))


def body_of(name: str) -> bytes:
    found = assets.find(name)
    assert found is not None
    assert isinstance(found.body, bytes)
    return found.body


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("main.js", "text/javascript; charset=utf-8"),
        ("base.css", "text/css; charset=utf-8"),
        ("icon-idle.svg", "image/svg+xml"),
        ("socket.io.LICENSE.txt", "text/plain; charset=utf-8"),
    ],
)
def test_a_file_has_its_type_and_its_bytes(name: str, content_type: str) -> None:
    found = assets.find(name)
    assert found is not None
    assert (found.status, found.content_type) == (HTTPStatus.OK, content_type)
    assert found.body == (FOLDER / name).read_bytes()


@pytest.mark.parametrize("name", ["", ".", "..", "../page.py", "index.html", "main.js/", "MAIN.JS", "no.js", "\0.js"])
def test_no_other_name_is_served(name: str) -> None:
    assert assets.find(name) is None


def test_a_browser_revalidates_a_file_by_its_content() -> None:
    one, other = assets.find("main.js"), assets.find("base.css")
    assert one is not None
    assert other is not None
    assert one.headers["Cache-Control"] == "no-cache"
    assert re.fullmatch(r'"[0-9a-f]{20}"', one.headers["ETag"])
    assert one.headers["ETag"] != other.headers["ETag"]


@pytest.mark.parametrize("name", MODULES)
def test_a_module_imports_only_served_modules(name: str) -> None:
    imported = re.findall(r'(?:from|import)\s*"([^"]+)"', body_of(name).decode())
    assert [one for one in imported if not one.startswith("./") or assets.find(one[2:]) is None] == []


@pytest.mark.parametrize("name", [name for name in MODULES if not name.startswith("socket.io")])
def test_no_module_parses_markup(name: str) -> None:
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", body_of(name).decode()
    )
