"""Readers of other packages, in the worker process: choose one for a file, import it, and call it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module

from rag_pipeline.errors import ExtractionError, UnsupportedFileTypeError
from rag_pipeline.ingest.extract.file_type import TEXT, FileType, recognise
from rag_pipeline.ingest.extract.input_file import InputFile
from rag_pipeline.ingest.extract.section_writer import SectionWriter

VARIABLE = "_RAG_PIPELINE_READERS"
"""Environment variable of a worker process: the plug-ins, as JSON."""


@dataclass(frozen=True, slots=True)
class ReaderPlugin:
    """A reader of another package: what it reads, ``module:function``, the distribution, and where its code is."""

    name: str
    target: str
    distribution: str
    path: str

    def read(self, file: InputFile, writer: SectionWriter) -> None:
        """Read a file; raises ExtractionError, which names the plug-in unless the plug-in raised one itself."""
        function = self._load()
        try:
            function(file, writer)
        except (ExtractionError, MemoryError, OSError, RecursionError):
            raise
        except Exception as error:
            raise self._error("failed", error) from error

    def _load(self) -> Callable[[InputFile, SectionWriter], object]:
        module, _, function = self.target.partition(":")
        try:
            loaded: Callable[[InputFile, SectionWriter], object] = getattr(import_module(module), function)
        except MemoryError:
            raise
        except Exception as error:
            raise self._error("can't be imported", error) from error
        return loaded

    def _error(self, what: str, error: Exception) -> ExtractionError:
        detail = f"{type(error).__name__}: {' '.join(str(error).split())[:160]}".removesuffix(": ")
        return ExtractionError(f"was not read: the reader {self.target} of {self.distribution} {what} ({detail})")


@cache
def plugins_of_worker() -> Mapping[str, ReaderPlugin]:
    """Return the plug-ins that the extractor has told this worker process of, by name."""
    plugins = (ReaderPlugin(**fields) for fields in json.loads(os.environ.get(VARIABLE, "[]")))
    return {plugin.name: plugin for plugin in plugins}


def choose_type(file: InputFile) -> FileType:
    """Return the file's type, with a plug-in as its reader if one is registered for it; raises an ExtractionError.

    A suffix of the file's name comes first, the longest before others, then the MIME type: the recognised one, or for
    plain text and content of an unknown type the one that the name stands for.
    """
    plugins = plugins_of_worker()
    if not plugins:
        return recognise(file)
    name = file.name.lower()
    dots = [index for index, character in enumerate(name) if character == "." and index]
    suffix = next((name[dot:] for dot in dots if name[dot:] in plugins), None)
    if suffix is not None:
        return FileType(_guess_type(name), f"{suffix} file", suffix)
    named_type = _guess_type(name)
    try:
        file_type = recognise(file)
    except UnsupportedFileTypeError:
        if named_type not in plugins:
            raise
        file_type = TEXT  # for the plug-in, whatever it holds
    if file_type is TEXT and named_type in plugins:
        return FileType(named_type, f"{named_type} file", named_type)
    if file_type.mime_type in plugins:
        return FileType(file_type.mime_type, file_type.label, file_type.mime_type)
    return file_type


def _guess_type(name: str) -> str:
    import mimetypes

    return mimetypes.guess_type(name)[0] or "application/octet-stream"
