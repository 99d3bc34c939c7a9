"""The service: both servers, the journal and the pipelines they show."""

from rag_pipeline.service.server import StatusServer
from rag_pipeline.service.start import start_status_server

__all__ = ["StatusServer", "start_status_server"]
