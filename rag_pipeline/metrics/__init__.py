"""Metrics for Prometheus, read from the parts of the service at each scrape."""

from rag_pipeline.metrics.exposition import Metrics

__all__ = ["Metrics"]
