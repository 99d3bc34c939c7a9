"""Text out of files: bounded in time, memory and size, in a process of its own.

:class:`ProcessExtractor` is the :class:`~rag_pipeline.ingest.types.Extractor`; :class:`ExtractionLimits` bounds it.
"""

from rag_pipeline.ingest.extract.extractor import ProcessExtractor
from rag_pipeline.ingest.extract.limits import ExtractionLimits

__all__ = ["ExtractionLimits", "ProcessExtractor"]
