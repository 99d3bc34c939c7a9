"""``rag-pipeline watch``: shows the pipelines of a running service in the terminal."""
