"""The documents in the repository are up to date, and the service serves them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from rag_pipeline import contract
from rag_pipeline.contract.generate import generate, write
from tests.http_server.support import get, serving, split

COMMITTED = Path(contract.__file__).parent


@pytest.mark.parametrize("name", contract.DOCUMENTS)
def test_the_document_is_up_to_date(name: str) -> None:
    assert (COMMITTED / name).read_bytes() == generate(name), "run scripts/contract"


@pytest.mark.parametrize("name", contract.DOCUMENTS)
def test_the_document_is_served(name: str) -> None:
    with serving() as server:
        ((status, headers, body),) = split(get(server, f"/{name}"))
    assert status == 200
    assert headers["content-type"].startswith("application/json")
    assert body == generate(name)


def test_all_documents_are_written(tmp_path: Path) -> None:
    write(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        name: contract.document(name) for name in contract.DOCUMENTS
    }


def test_serving_a_document_does_not_load_its_generator() -> None:
    program = "import sys, rag_pipeline.contract as c; c.document('openapi.json'); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert "rag_pipeline.contract" in loaded
    assert [name for name in loaded if name.startswith("rag_pipeline.contract.") or name == "pydantic"] == []
