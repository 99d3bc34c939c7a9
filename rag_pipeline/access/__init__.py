"""Access control: what a token lets its holder see, and until when. Knows no server."""

from rag_pipeline.access.decision import EVERYTHING, Access, AccessRefusal, RefusalCode
from rag_pipeline.access.guard import OPEN, Guard

__all__ = ["EVERYTHING", "OPEN", "Access", "AccessRefusal", "Guard", "RefusalCode"]
