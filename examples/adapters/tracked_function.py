"""A pipeline of plain functions; one of them processes a file."""

from pathlib import Path

from rag_pipeline.adapters import stage, tracked

DOCUMENTS = Path(__file__).parents[1] / "documents"


@tracked
def ingest(path: Path) -> dict[str, int]:
    text = path.read_text(encoding="utf-8")
    stage("chunking")  # optional
    return {"paragraphs": len(text.split("\n\n"))}


def main() -> None:
    for path in sorted(DOCUMENTS.rglob("*.*")):
        if path.suffix in (".txt", ".md", ".png"):
            try:
                print(path.name, ingest(path))
            except UnicodeDecodeError as error:
                print(path.name, error.reason)


if __name__ == "__main__":
    main()
