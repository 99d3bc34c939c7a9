from __future__ import annotations

import re

import pytest

from rag_pipeline.common.variables import KNOWN, describe_unknown, warn_about_unknown
from tests.support.programs import ROOT


def test_the_known_names_are_those_that_the_sources_read() -> None:
    sources = "".join(
        path.read_text(encoding="utf-8")
        for path in (ROOT / "rag_pipeline").rglob("*.py")
        if path.name != "variables.py"
    )
    assert set(re.findall(r'"((?:RAG|STATUS)_[A-Z_]+)"', sources)) == KNOWN


def test_known_variables_and_others_are_not_reported() -> None:
    env = {"STATUS_PORT": "8003", "STATUS_REDIS_URL_FILE": "/run/secrets/redis", "PATH": "/bin", "EMBEDDING_X": "1"}
    assert describe_unknown(env) is None


def test_unknown_variables_are_reported_with_their_nearest_match() -> None:
    env = {"STATUS_PROT": "8003", "RAG_WATCH_DIR": "/docs", "STATUS_QWERTY": "1"}
    assert describe_unknown(env) == (
        "unknown environment variables have no effect: RAG_WATCH_DIR (did you mean RAG_WATCH_DIRECTORY?), "
        "STATUS_PROT (did you mean STATUS_PORT?), STATUS_QWERTY"
    )


def test_the_warning_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        warn_about_unknown({"STATUS_PORTT": "1"})
    assert [record.getMessage() for record in caplog.records] == [
        "unknown environment variables have no effect: STATUS_PORTT (did you mean STATUS_PORT?)"
    ]
