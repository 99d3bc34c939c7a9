"""Derives the status of files from the nodes that enter and leave one run of an ``IngestionPipeline``.

A run takes all documents through one transformation after the other, so its files share their stage. Embeddings come in
batches, so each file has its own fraction of that stage.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from rag_pipeline.adapters.file_argument import File, file_of
from rag_pipeline.adapters.reporter import Reporter

UNCHANGED = "unchanged since an earlier run, or a duplicate"
_PATH_KEYS = ("file_path", "source", "url", "URL")


class LlamaIndexNode(Protocol):
    """The attributes of a document or node that are used."""

    metadata: dict[str, Any]

    @property
    def node_id(self) -> str:
        """Its own id."""
        ...

    @property
    def ref_doc_id(self) -> str | None:
        """The id of its document; None for a document."""
        ...


def node_file(node: LlamaIndexNode) -> File:
    """Return the file of a node: by the path in its metadata, else by its document's id."""
    metadata = node.metadata
    path = next((file.name for key in _PATH_KEYS if (file := file_of(metadata.get(key))) is not None), None)
    identity = path or node.ref_doc_id or node.node_id
    name = file_of(metadata.get("file_name"))
    size, kind = metadata.get("file_size"), metadata.get("file_type")
    return File(
        name=identity if name is None else name.name,
        id=identity,
        size=size if isinstance(size, int) and size >= 0 else None,
        mime_type=kind if isinstance(kind, str) and kind else None,
    )


class IngestionRun:
    """The files of one run.

    dedupes: the pipeline has a document store, so it leaves out what it has seen before.
    gone: files that the run will delete.
    """

    def __init__(self, reporter: Reporter, *, dedupes: bool, gone: Mapping[str, File] | None = None) -> None:
        self.nodes: Sequence[LlamaIndexNode] = ()
        """The output of the last finished transformation."""
        self._reporter = reporter
        self._dedupes = dedupes
        self._gone = dict(gone or {})
        self._open: dict[str, File] = {}
        self._deduplicated = False
        self._stage = ""
        self._order: list[str] = []  # file ids of the nodes that the stage embeds
        self._position = 0
        self._totals: Counter[str] = Counter()
        self._embedded: Counter[str] = Counter()
        reporter.update(status="processing", error=None)

    def add(self, nodes: Iterable[LlamaIndexNode]) -> None:
        """Start the files of these input nodes, each once."""
        for node in nodes:
            file = node_file(node)
            if file.id is not None and file.id not in self._open:
                self._open[file.id] = file
                self._reporter.start(file)

    def first(self, nodes: Sequence[LlamaIndexNode]) -> None:
        """Take the input of the first transformation, which includes what the pipeline's own reader has loaded."""
        self.add(nodes)
        if not self._dedupes:
            return
        self._deduplicated = True
        kept = {node_file(node).id for node in nodes}
        for key in [key for key in self._open if key not in kept]:
            self._reporter.skip(self._open.pop(key), UNCHANGED)

    def enter(self, stage: str, nodes: Sequence[LlamaIndexNode] = ()) -> None:
        """Report a stage for all files; ``nodes`` are its input in order, if it is known."""
        self._stage = stage
        self._order = [str(node_file(node).id) for node in nodes]
        self._position = 0
        self._totals, self._embedded = Counter(self._order), Counter()
        for file in self._open.values():
            self._reporter.stage(file, stage)

    def embedded(self, count: int) -> None:
        """Report that the next ``count`` nodes of the stage have their embeddings."""
        batch = self._order[self._position : self._position + count]
        self._position += len(batch)
        self._embedded.update(batch)
        for key in dict.fromkeys(batch):
            if key in self._open:
                self._reporter.stage(self._open[key], self._stage, self._embedded[key] / self._totals[key])

    def done(self, nodes: Sequence[LlamaIndexNode]) -> None:
        """End the run; ``nodes`` are its output."""
        chunks = Counter(str(node_file(node).id) for node in nodes)
        # Nodes from the cache may carry ids of earlier documents: then they can't be counted by file.
        known = not nodes or any(key in chunks for key in self._open)
        for key, file in self._open.items():
            if self._dedupes and not self._deduplicated and known and not chunks[key]:
                self._reporter.skip(file, UNCHANGED)
            else:
                self._reporter.complete(file, {"chunks": chunks[key]} if known else None)
        for file in self._gone.values():
            self._reporter.delete(file)
        self._open.clear()
        self._reporter.update(status="idle")

    def failed(self, error: BaseException) -> None:
        """Fail the run, and all its files."""
        for file in self._open.values():
            self._reporter.fail(file, error)
        self._open.clear()
        self._reporter.update(status="error", error=f"{type(error).__name__}: {error}"[:1000])
