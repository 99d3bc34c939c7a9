"""``rag-pipeline mcp``: a Model Context Protocol server on standard input and output."""
