"""Read the text of untrusted files in confined worker processes, with limits on time, memory and size.

:class:`ProcessExtractor` implements :class:`~rag_pipeline.ingest.types.Extractor` within :class:`ExtractionLimits`.
"""

from rag_pipeline.ingest.extract.extractor import ProcessExtractor
from rag_pipeline.ingest.extract.limits import ExtractionLimits
from rag_pipeline.ingest.extract.read_options import ReadOptions

__all__ = ["ExtractionLimits", "ProcessExtractor", "ReadOptions"]
