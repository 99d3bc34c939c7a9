"""The vector store on PostgreSQL with pgvector: for more chunks, or more machines, than a folder is good for."""
