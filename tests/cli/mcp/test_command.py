"""``rag-pipeline mcp`` as a subprocess of the SDK's own client, beside a running pipeline."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters

from rag_pipeline.cli.mcp import command
from rag_pipeline.errors import ConfigurationError, ExitCode
from tests.sources.endpoint import endpoint
from tests.sources.local_files.process import process
from tests.support.http_get import get_json
from tests.support.programs import environment


def call(env: Mapping[str, str], arguments: list[str], calls: list[tuple[str, dict[str, Any]]]) -> list[Any]:
    """Start the command, call tools, and return their structured answers, or the text of an error."""

    async def run() -> list[Any]:
        parameters = StdioServerParameters(
            command=sys.executable, args=["-m", "rag_pipeline", "mcp", *arguments], env=environment(env)
        )
        async with Client(parameters) as client:
            answers = [await client.call_tool(name, given) for name, given in calls]
            return [str(answer.content) if answer.is_error else answer.structured_content for answer in answers]

    return asyncio.run(run())


@pytest.mark.slow
def test_a_client_searches_and_asks_for_the_state_over_http_and_in_the_store(tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "keeper.txt").write_text("The lighthouse keeper feeds the gulls.")
    (folder / "bad.pdf").write_bytes(b"%PDF-1.7\nthis is no PDF")
    state = tmp_path / "state"
    with endpoint() as api:
        env = {**api.env, "STATUS_STATE_DIR": str(state), "STATUS_SEARCH": "1"}
        env |= {"RAG_SETTLE_SECONDS": "0.3", "RAG_SEARCH_MIN_VECTOR": "0.3"}
        with process([str(folder)], env) as run:
            url = run.address("Status").removesuffix("/status")
            run.wait(lambda s: s["total_processed"] == 1 and s["total_failed"] == 1)
            calls: list[tuple[str, dict[str, Any]]] = [
                ("search", {"query": "who feeds the gulls"}),
                ("search", {"query": "gulls", "type": "pdf"}),
                ("status", {}),
                ("failed_files", {}),
            ]
            found, filtered, status, failed = call(env, ["--url", url], calls)
            [result] = found["results"]
            assert (result["name"], result["text"]) == ("keeper.txt", "The lighthouse keeper feeds the gulls.")
            assert filtered == {"results": [], "note": "Nothing found."}
            [pipeline] = status["pipelines"]
            assert (pipeline["total_processed"], pipeline["pipeline_id"]) == (1, result["pipeline_id"])
            assert [file["name"] for file in failed["files"]] == ["bad.pdf"]
            answer = get_json(int(url.rpartition(":")[2]), "/search?q=gulls&pipeline=none")
            assert (answer.status, answer.body) == (200, {"results": []})
        [direct] = call(env, [], [("search", {"query": "who feeds the gulls"})])
        assert [hit["text"] for hit in direct["results"]] == ["The lighthouse keeper feeds the gulls."]


def run(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args(arguments))


def test_a_missing_extra_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "find_spec", lambda _: None)
    with pytest.raises(
        ConfigurationError, match=r'mcp is not installed; run: pip install "rag-pipeline-status\[mcp\]"'
    ):
        run()


def test_a_service_and_a_state_folder_exclude_each_other() -> None:
    with pytest.raises(ConfigurationError, match="exclude each other") as caught:
        run("--url", "http://127.0.0.1:8003", "--state-dir", "state")
    assert caught.value.exit_code is ExitCode.USAGE
