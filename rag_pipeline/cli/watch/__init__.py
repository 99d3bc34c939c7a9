"""``rag-pipeline watch``: a service's pipelines in the terminal, wherever the service runs."""
