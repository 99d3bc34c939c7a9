"""What Prometheus scrapes: read from the parts of the service when it asks; nothing is kept for it meanwhile."""

from rag_pipeline.metrics.exposition import Metrics

__all__ = ["Metrics"]
