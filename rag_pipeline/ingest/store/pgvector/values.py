"""Keys and vectors as PostgreSQL takes them: binary, since vectors as text would be three times as long."""

from __future__ import annotations

import hashlib
import struct
import uuid
from typing import TYPE_CHECKING

import numpy as np
from psycopg.adapt import AdaptersMap, Dumper
from psycopg.pq import Format

from rag_pipeline.ingest.store.lance import rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]


class Binary(bytes):
    """A value in the binary form of the type that the statement casts it to."""


class _BinaryDumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: bytes) -> bytes:
        return obj


def register(adapters: AdaptersMap) -> None:
    """Make a connection take :class:`Binary`."""
    adapters.register_dumper(Binary, _BinaryDumper)


def as_vector(vector: Vectors) -> Binary:
    """Return pgvector's form of one vector: the number of dimensions, two unused bytes, big-endian float32."""
    return Binary(struct.pack(">HH", vector.size, 0) + np.ascontiguousarray(vector, ">f4").tobytes())


def as_vectors(vectors: Vectors, element_type: int) -> Binary:
    """Return an array of vectors, from (count, dimensions); ``element_type`` is the type's number on the server."""
    count, dimensions = vectors.shape
    made = np.zeros(count, [("size", ">i4"), ("dimensions", ">u2"), ("unused", ">u2"), ("values", ">f4", dimensions)])
    made["size"] = 4 + 4 * dimensions
    made["dimensions"] = dimensions
    made["values"] = vectors
    one_dimension_without_nulls = struct.pack(">iiIii", 1, 0, element_type, count, 1)
    return Binary(one_dimension_without_nulls + made.tobytes())


def file_key(pipeline_id: str, file_id: str) -> uuid.UUID:
    """Return a hash of the file's id: names may be longer than an index takes."""
    name = f"{len(pipeline_id)} {pipeline_id}{file_id}".encode("utf-8", "surrogatepass")
    return uuid.UUID(bytes=hashlib.blake2b(name, digest_size=16).digest())


def lock_class(schema: str) -> int:
    """Return the number that keeps the locks of one schema apart from those of others in the database."""
    return int.from_bytes(hashlib.blake2b(schema.encode(), digest_size=4).digest(), "big", signed=True)


def escape(name: str) -> str:
    """Return the name as PostgreSQL can hold it: without lone surrogates and without NUL, see :mod:`rows`."""
    return rows.escape(name).replace("\0", f"{rows.ESCAPE}0000")


def clean(text: str) -> str:
    """Return a text without what UTF-8 or PostgreSQL can't hold."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", " ")
