"""Who may see what, and until when: decided from a token, with no server in sight."""

from rag_pipeline.access.decision import EVERYTHING, Access, Code, Refusal
from rag_pipeline.access.guard import OPEN, Guard

__all__ = ["EVERYTHING", "OPEN", "Access", "Code", "Guard", "Refusal"]
