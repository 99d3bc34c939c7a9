"""schemathesis sends valid and invalid requests of the OpenAPI document to a real server."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from schemathesis import engine
from schemathesis.engine import events

from rag_pipeline.common.config import AuthSettings
from rag_pipeline.common.document_search import DocumentQuery
from rag_pipeline.contract import document
from rag_pipeline.service import StatusServer
from rag_pipeline.status.control import Control
from tests.socket_server.support import new_pipeline, serving

pytestmark = pytest.mark.slow

CONFIG: dict[str, Any] = {
    # The same requests in each run, and no files left behind.
    "seed": 1,
    "cache": {"enabled": False},
    "request-timeout": 20.0,
    "generation": {"max-examples": 30, "deterministic": True, "no-shrink": True},
    "checks": {
        # A schema can't tell which offsets and pipelines exist, nor what the pipelines do.
        "positive_data_acceptance": {"enabled": True, "expected-statuses": ["2xx", 400, 404, 409]},
    },
}


TOKEN = "a-token-of-the-tests"


class Documents:
    def search(self, query: DocumentQuery) -> Sequence[Mapping[str, object]]:
        """Return one result."""
        result = {
            "pipeline_id": "p",
            "file_id": "a",
            "name": "a",
            "uri": "",
            "mime_type": None,
            "place": "",
            "text": "b",
        }
        return [{**result, "score": 1.0, "words": 0.0, "vector": -0.5}]


@contextmanager
def working(folder: Path, **settings: Any) -> Iterator[StatusServer]:
    """Run a service with a journal that has events."""
    busy, other = new_pipeline("local_files"), new_pipeline("google_drive")
    busy.control = Control()
    with serving(
        busy, other, state_dir=folder, control=True, search=True, documents=Documents(), **settings
    ) as running:
        for number in range(30):
            name = f"file-{number}.pdf"
            busy.add_processing_file(name, str(number), size=number)
            busy.file_progress(name, "chunking", 0.5, file_id=str(number))
            if number % 3:
                error = "it is corrupt" if number % 2 else None
                busy.complete_file(name, error is None, file_id=str(number), error=error)
        other.update(status="running", own={"note": "its own"})
        yield running


def asked(server: StatusServer, told: dict[str, Any], **config: Any) -> tuple[int, list[str]]:
    """Return the number of requests, and the problems of the answers."""
    base = {"base-url": f"http://127.0.0.1:{server.http_port}"}
    found = schemathesis.Config.from_dict({**CONFIG, **base, **config})
    contract = schemathesis.openapi.from_dict(told, config=found)
    questions, problems = 0, []
    for event in engine.from_schema(contract).execute():
        if isinstance(event, events.ScenarioFinished):
            questions += len(event.recorder.interactions)
            checks = [check for checks in event.recorder.checks.values() for check in checks]
            failures = [check.failure_info for check in checks if check.failure_info is not None]
            problems += [f"{info.failure.title}: {info.failure.message}\n{info.code_sample}" for info in failures]
        elif isinstance(event, events.NonFatalError | events.FatalError):
            problems.append(repr(event))
    return questions, problems


def contract(*, tokens: bool) -> dict[str, Any]:
    """Return the document for a service that requires tokens, or for one that requires none."""
    told: dict[str, Any] = json.loads(document("openapi.json"))
    if not tokens:
        told["security"] = []
        for path in told["paths"].values():
            for operation in path.values():
                operation.pop("security", None)
    return told


def test_every_fuzzed_request_gets_a_documented_answer(tmp_path: Path) -> None:
    with working(tmp_path) as server:
        questions, problems = asked(server, contract(tokens=False))
    assert "\n\n".join(problems) == ""
    assert questions > 200


def test_every_fuzzed_request_gets_a_documented_answer_if_tokens_are_required(tmp_path: Path) -> None:
    with working(tmp_path, auth=AuthSettings(tokens=(TOKEN,))) as server:
        shown = {"auth": {"openapi": {"bearer": {"bearer": TOKEN}}}}
        questions, problems = asked(server, contract(tokens=True), **shown)
    assert "\n\n".join(problems) == ""
    assert questions > 200
