"""Pipelines that people have already, shown by one line: LlamaIndex, LangChain, Celery, and any function.

Each adapter imports its library in its own module and nowhere else. What goes wrong in one is logged once; the work it
watches goes on.
"""

from rag_pipeline.adapters.current_file import stage
from rag_pipeline.adapters.decorator import tracked
from rag_pipeline.adapters.file_argument import File

__all__ = ["File", "stage", "tracked"]
