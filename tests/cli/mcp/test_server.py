"""The tools as a client of the SDK sees them, connected in this process."""

from __future__ import annotations

import asyncio
from typing import Any

from mcp import Client
from mcp.types import CallToolResult

from rag_pipeline.cli.mcp.server import build_server
from rag_pipeline.cli.mcp.service_client import ServiceClient
from rag_pipeline.cli.mcp.tools import Tools
from tests.cli.mcp.test_tools import RESULT, Documents


def ask(tool: str, arguments: dict[str, Any]) -> CallToolResult:
    async def call() -> CallToolResult:
        server = build_server(Tools(ServiceClient("http://127.0.0.1:1", None), Documents()))
        async with Client(server) as client:
            return await client.call_tool(tool, arguments)

    return asyncio.run(call())


def test_each_tool_is_described_and_only_reads() -> None:
    async def list_tools() -> dict[str, Any]:
        async with Client(build_server(Tools(ServiceClient("http://127.0.0.1:1", None), Documents()))) as client:
            return {tool.name: tool for tool in (await client.list_tools()).tools}

    tools = asyncio.run(list_tools())
    assert set(tools) == {"search", "status", "failed_files"}
    for tool in tools.values():
        assert tool.description
        assert tool.annotations.read_only_hint
    assert set(tools["search"].input_schema["properties"]) == {"query", "pipeline", "path", "type", "limit"}
    assert tools["search"].input_schema["required"] == ["query"]
    limit = tools["search"].input_schema["properties"]["limit"]
    assert (limit["minimum"], limit["maximum"]) == (1, 100)


def test_results_are_structured() -> None:
    answer = ask("search", {"query": "heron", "type": "pdf"})
    assert not answer.is_error
    assert answer.structured_content == {"results": [RESULT]}


def test_errors_are_answers_that_name_the_reason() -> None:
    for tool, arguments, reason in (
        ("search", {"query": "fail"}, "the disk is gone"),
        ("search", {"query": ""}, "query: expected 1 to 2000 characters"),
        ("search", {"query": "heron", "limit": 1000}, "limit: expected a number from 1 to 100, not 1000"),
        ("failed_files", {"limit": 0}, "limit: expected a number from 1 to 200, not 0"),
        ("search", {}, "required"),
        ("status", {}, "no service at http://127.0.0.1:1"),
    ):
        answer = ask(tool, arguments)
        assert answer.is_error
        assert reason in str(answer.content)
