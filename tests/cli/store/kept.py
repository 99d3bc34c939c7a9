"""A folder, a store and a ledger as a pipeline leaves them, and ``rag-pipeline store`` as a process."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np

from rag_pipeline.ingest.store.lance.store import LanceVectorStore
from rag_pipeline.ingest.types import Chunk, SourceFile, VectorStore
from rag_pipeline.sources.fingerprint import fingerprint
from rag_pipeline.sources.ledger import Ledger, LedgerRow, Outcome, SourceRecord
from rag_pipeline.sources.local_files import names
from rag_pipeline.sources.local_files.scan import scan_folder
from rag_pipeline.sources.source import open_local
from tests.sources.local_files.process import command

DIMENSIONS = 8
RECIPE = "abc123"
MODEL_ID = f"words@{DIMENSIONS}"
# An endpoint that is never called: the command only needs the name of its model.
ENV = {
    "EMBEDDING_API_URL": "http://127.0.0.1:9/v1",
    "EMBEDDING_API_MODEL": "words",
    "EMBEDDING_API_DIMENSIONS": str(DIMENSIONS),
}


class Kept:
    """The state of pipelines that follow folders in ``root``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.state = root / "state"
        self.state.mkdir(0o700, exist_ok=True)
        self.env = dict(ENV)

    def open(self) -> VectorStore:
        return LanceVectorStore(self.state / "store", MODEL_ID, DIMENSIONS)

    def folder(self, name: str, **texts: str) -> Path:
        """Make a folder with these files; the key ``a`` is a.txt."""
        made = self.root / name
        made.mkdir()
        for file, text in texts.items():
            (made / f"{file}.txt").write_text(text)
        return made

    def follow(self, pipeline_id: str, folder: Path) -> None:
        """Store the folder's files and add them to the ledger, as a pipeline does."""
        store = self.open()
        for source in self.note(pipeline_id, folder).values():
            words = Path(names.path_of(source.uri)).read_text().split()
            chunks = [Chunk(word, "", number) for number, word in enumerate(words)]
            store.replace(pipeline_id, source, [(chunks, np.ones((len(words), DIMENSIONS), np.float32))])
        store.close()

    def note(self, pipeline_id: str, folder: Path) -> dict[str, SourceFile]:
        """Add the folder's files to the ledger as stored; return them for the store."""
        found = scan_folder(str(folder))
        sources: dict[str, SourceFile] = {}
        with Ledger(self.state, pipeline_id) as ledger:
            ledger.set_source(SourceRecord(names.file_id(str(folder)), found.identity))
            for key in ledger.rows().keys() - found.files.keys():
                ledger.remove(key, key)
            for key, file in found.files.items():
                with open_local(names.path_of(file.uri)) as found_file:
                    content = fingerprint(found_file.descriptor, file.name, RECIPE, limit=1 << 20, check=lambda: None)
                sources[key] = SourceFile(key, file.name, file.uri, content, file.size, "text/plain", file.modified_at)
                ledger.put(key, LedgerRow(file.version, Outcome.STORED, content, RECIPE, name=file.name))
        return sources

    def run(self, *args: str) -> subprocess.CompletedProcess[str]:
        """Run ``rag-pipeline store``."""
        return command(["store", *args, "--state-dir", str(self.state)], self.env)


def said(done: subprocess.CompletedProcess[str]) -> tuple[int, str, str]:
    """Return exit code, stdout and stderr."""
    return done.returncode, done.stdout, done.stderr
