"""Show an existing pipeline with one line of code: LlamaIndex, LangChain, Celery, or any function.

Each adapter imports its library in its own modules only. An error in an adapter is logged once and never stops the
work.
"""

from rag_pipeline.adapters.current_file import stage, warn
from rag_pipeline.adapters.decorator import tracked
from rag_pipeline.adapters.file_argument import File

__all__ = ["File", "stage", "tracked", "warn"]
