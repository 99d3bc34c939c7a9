"""A LlamaIndex ingestion pipeline that splits, embeds and stores the example documents; a second run does new ones."""

from pathlib import Path

from llama_index.core import MockEmbedding, SimpleDirectoryReader
from llama_index.core.ingestion import DocstoreStrategy, IngestionPipeline
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.core.vector_stores import SimpleVectorStore

from rag_pipeline.adapters.llama_index import show

show()

DOCUMENTS = Path(__file__).parents[1] / "documents"


def main() -> None:
    pipeline = IngestionPipeline(
        transformations=[SentenceSplitter(chunk_size=128, chunk_overlap=16), MockEmbedding(embed_dim=8)],
        docstore=SimpleDocumentStore(),
        docstore_strategy=DocstoreStrategy.UPSERTS,
        vector_store=SimpleVectorStore(),
    )
    files = [DOCUMENTS / "welcome.txt", DOCUMENTS / "products" / "price-list.csv"]
    documents = SimpleDirectoryReader(input_files=files, filename_as_id=True).load_data()
    for number in (1, 2):
        nodes = pipeline.run(documents=documents)
        print(f"run {number}: {len(nodes)} nodes")


if __name__ == "__main__":
    main()
