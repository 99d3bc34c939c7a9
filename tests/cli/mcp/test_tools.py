"""What the tools answer, over a real service and from given documents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing

import pytest

from rag_pipeline import PipelineStatus, StatusServer, start_status_server
from rag_pipeline.cli.mcp.service_client import ServiceClient
from rag_pipeline.cli.mcp.tools import ToolError, Tools
from rag_pipeline.common.document_search import DocumentQuery
from rag_pipeline.errors import StoreError
from tests.support.http_get import get_json
from tests.support.waiting import wait_until

RESULT = {
    "pipeline_id": "p", "file_id": "a", "name": "a", "uri": "", "mime_type": None, "place": "", "text": "the heron",
    "score": 1.0, "words": 1.0, "vector": 0.5,
}  # fmt: skip


class Documents:
    def __init__(self) -> None:
        self.queries: list[DocumentQuery] = []

    def search(self, query: DocumentQuery) -> Sequence[Mapping[str, object]]:
        self.queries.append(query)
        if query.question == "fail":
            raise StoreError("the disk is gone")
        return [RESULT] if "heron" in query.question else []


@pytest.fixture
def documents() -> Documents:
    return Documents()


@pytest.fixture
def server(documents: Documents, monkeypatch: pytest.MonkeyPatch) -> Iterator[StatusServer]:
    monkeypatch.setenv("STATUS_SEARCH", "1")
    with (
        closing(PipelineStatus("local_files", "p")) as status,
        start_status_server(0, pipelines=[status], documents=documents) as started,
    ):
        status.complete_file("good.txt", file_id="1")
        status.complete_file("bad.pdf", success=False, file_id="2", error=ValueError("it is no PDF"))
        wait_until(lambda: len(get_json(started.http_port, "/files").body["files"]) == 2)
        yield started


@pytest.mark.parametrize("over_http", [True, False])
def test_documents_are_searched(server: StatusServer, documents: Documents, over_http: bool) -> None:
    tools = Tools(ServiceClient(server.url, None), None if over_http else documents)
    assert tools.search("heron", "p", "docs/*", "text/*", 7) == {"results": [RESULT]}
    assert documents.queries == [DocumentQuery("heron", frozenset({"p"}), "docs/*", "text/*", 7)]
    assert tools.search("otter") == {"results": [], "note": "Nothing found."}
    with pytest.raises(ToolError, match="the disk is gone"):
        tools.search("fail")
    for query, limit in ((" ", 5), ("x" * 2001, 5), ("heron", 0)):
        with pytest.raises(ToolError, match="expected"):
            tools.search(query, limit=limit)


def test_the_status_is_a_summary_of_each_pipeline(server: StatusServer) -> None:
    tools = Tools(ServiceClient(server.url, None), None)
    [one] = tools.status()["pipelines"]
    assert (one["pipeline_id"], one["total_processed"], one["total_failed"]) == ("p", 1, 1)
    assert "files_completed" not in one


def test_failed_files_have_their_reason(server: StatusServer) -> None:
    tools = Tools(ServiceClient(server.url, None), None)
    answer = tools.failed_files()
    assert [(file["name"], file["id"], file["error"]["message"]) for file in answer["files"]] == [
        ("bad.pdf", "2", "it is no PDF")
    ]
    assert answer["more"] is False
    assert tools.failed_files("other")["files"] == []
    with pytest.raises(ToolError, match="limit: expected"):
        tools.failed_files(limit=0)


def test_without_a_service_the_tools_say_so() -> None:
    tools = Tools(ServiceClient("http://127.0.0.1:1", None), None)
    for tool in (tools.status, tools.failed_files, lambda: tools.search("heron")):
        with pytest.raises(ToolError, match="no service at"):
            tool()
