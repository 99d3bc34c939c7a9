"""What one run of an ``IngestionPipeline`` does to its files, worked out from the nodes that go in and come out.

A run takes all of its documents through one transformation after the other, so its files share their stage; where
embeddings come in batches, each file has its own fraction of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from rag_pipeline.adapters.file_argument import File, file_of
from rag_pipeline.adapters.reporter import Reporter

UNCHANGED = "unchanged since an earlier run, or a duplicate"
_PATH_KEYS = ("file_path", "source", "url", "URL")


class Node(Protocol):
    """What is known of a document or of a node made of one."""

    metadata: dict[str, Any]

    @property
    def node_id(self) -> str:
        """Its own id."""
        ...

    @property
    def ref_doc_id(self) -> str | None:
        """The id of the document it was made of; None for a document."""
        ...


def file_of_node(node: Node) -> File:
    """Return the file a node is of: by its path where its loader noted one, else by its document's id."""
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


class Run:
    """The files of one run, from its start to its end.

    ``dedupes`` says that the pipeline has a document store, and so leaves out what it has seen before.
    """

    def __init__(self, reporter: Reporter, *, dedupes: bool, gone: Mapping[str, File] | None = None) -> None:
        self.nodes: Sequence[Node] = ()
        """What came out of the transformation that ended last."""
        self._reporter = reporter
        self._dedupes = dedupes
        self._gone = dict(gone or {})
        self._open: dict[str, File] = {}
        self._sifted = False
        self._stage = ""
        self._order: list[str] = []
        self._place = 0
        self._totals: Counter[str] = Counter()
        self._embedded: Counter[str] = Counter()
        reporter.update(status="processing", error=None)

    def add(self, nodes: Iterable[Node]) -> None:
        """These go in; several of one file are one."""
        for node in nodes:
            file = file_of_node(node)
            if file.id is not None and file.id not in self._open:
                self._open[file.id] = file
                self._reporter.start(file)

    def first(self, nodes: Sequence[Node]) -> None:
        """These reach the first transformation: what a reader of the pipeline's own brought is among them, too."""
        self.add(nodes)
        if not self._dedupes:
            return
        self._sifted = True
        taken = {file_of_node(node).id for node in nodes}
        for key in [key for key in self._open if key not in taken]:
            self._reporter.skip(self._open.pop(key), UNCHANGED)

    def enter(self, stage: str, nodes: Sequence[Node] = ()) -> None:
        """All files are in this stage now; ``nodes`` are what it works on, in order, where that is known."""
        self._stage = stage
        self._order = [str(file_of_node(node).id) for node in nodes]
        self._place = 0
        self._totals, self._embedded = Counter(self._order), Counter()
        for file in self._open.values():
            self._reporter.stage(file, stage)

    def embedded(self, count: int) -> None:
        """So many more nodes of the stage have their embeddings."""
        batch = self._order[self._place : self._place + count]
        self._place += len(batch)
        self._embedded.update(batch)
        for key in dict.fromkeys(batch):
            if key in self._open:
                self._reporter.stage(self._open[key], self._stage, self._embedded[key] / self._totals[key])

    def done(self, nodes: Sequence[Node]) -> None:
        """The run is over, and these came out."""
        chunks = Counter(str(file_of_node(node).id) for node in nodes)
        # Nodes out of the cache may be of documents that had other ids then: nothing can be said of single files.
        known = not nodes or any(key in chunks for key in self._open)
        for key, file in self._open.items():
            if self._dedupes and not self._sifted and known and not chunks[key]:
                self._reporter.skip(file, UNCHANGED)
            else:
                self._reporter.complete(file, {"chunks": chunks[key]} if known else None)
        for file in self._gone.values():
            self._reporter.delete(file)
        self._open.clear()
        self._reporter.update(status="idle")

    def failed(self, error: BaseException) -> None:
        """The run has failed: nothing of its files is kept."""
        for file in self._open.values():
            self._reporter.fail(file, error)
        self._open.clear()
        self._reporter.update(status="error", error=f"{type(error).__name__}: {error}"[:1000])
