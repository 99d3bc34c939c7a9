"""``rag-pipeline store``: lists, drops, checks and compacts what the pipelines have stored."""
