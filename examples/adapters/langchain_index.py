"""LangChain's indexing API with a loader, a vector store and a record manager; a second run finds one change."""

from collections.abc import Iterator
from pathlib import Path

from langchain_core.document_loaders import BaseLoader
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.indexing import InMemoryRecordManager, index
from langchain_core.vectorstores import InMemoryVectorStore

from rag_pipeline.adapters.langchain import index  # noqa: F811 - replaces LangChain's function

DOCUMENTS = Path(__file__).parents[1] / "documents" / "policies"


class Policies(BaseLoader):
    """One document for each paragraph of a policy."""

    def __init__(self, edition: str) -> None:
        self.edition = edition

    def lazy_load(self) -> Iterator[Document]:
        for path in sorted(DOCUMENTS.glob("*.md")):
            text = path.read_text(encoding="utf-8")
            if path.name == "leave.md":
                text += f"\n\nEdition: {self.edition}"
            for paragraph in text.split("\n\n"):
                yield Document(page_content=paragraph, metadata={"source": path.name})


def main() -> None:
    store = InMemoryVectorStore(DeterministicFakeEmbedding(size=8))
    records = InMemoryRecordManager(namespace="policies")
    records.create_schema()
    for edition in ("first", "second"):
        result = index(
            Policies(edition), records, store, cleanup="incremental", source_id_key="source", key_encoder="sha256"
        )
        print(edition, result)


if __name__ == "__main__":
    main()
