"""Live status for RAG ingestion pipelines."""
