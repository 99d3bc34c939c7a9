"""Converts keys, names and vectors for PostgreSQL; vectors are binary, because text would be three times as long."""

from __future__ import annotations

import hashlib
import struct
import uuid
from typing import TYPE_CHECKING

import numpy as np
from psycopg.adapt import AdaptersMap, Dumper
from psycopg.pq import Format

from rag_pipeline.ingest.store import escaping

if TYPE_CHECKING:
    from rag_pipeline.ingest.types import Vectors


class Binary(bytes):
    """A value in PostgreSQL's binary format; the statement casts it to its type."""


class _BinaryDumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: bytes) -> bytes:
        return obj


def register(adapters: AdaptersMap) -> None:
    """Let a connection accept :class:`Binary` values."""
    adapters.register_dumper(Binary, _BinaryDumper)


def as_vector(vector: Vectors) -> Binary:
    """Return a vector in pgvector's format: the number of dimensions, two unused bytes, big-endian float32."""
    return Binary(struct.pack(">HH", vector.size, 0) + np.ascontiguousarray(vector, ">f4").tobytes())


def as_vectors(vectors: Vectors, element_type: int) -> Binary:
    """Return an array of vectors from (count, dimensions); ``element_type`` is the OID of the vector type."""
    count, dimensions = vectors.shape
    elements = np.zeros(
        count, [("size", ">i4"), ("dimensions", ">u2"), ("unused", ">u2"), ("values", ">f4", dimensions)]
    )
    elements["size"] = 4 + 4 * dimensions
    elements["dimensions"] = dimensions
    elements["values"] = vectors
    one_dimension_without_nulls = struct.pack(">iiIii", 1, 0, element_type, count, 1)
    return Binary(one_dimension_without_nulls + elements.tobytes())


def file_key(pipeline_id: str, file_id: str) -> uuid.UUID:
    """Return a hash of the ids, because names may be longer than an index allows."""
    name = f"{len(pipeline_id)} {pipeline_id}{file_id}".encode("utf-8", "surrogatepass")
    return uuid.UUID(bytes=hashlib.blake2b(name, digest_size=16).digest())


def lock_class(schema: str) -> int:
    """Return the class of a schema's advisory locks, which separates them from those of other schemas."""
    return int.from_bytes(hashlib.blake2b(schema.encode(), digest_size=4).digest(), "big", signed=True)


def escape(name: str) -> str:
    """Return the name without lone surrogates and NUL, which PostgreSQL can't store; see :mod:`..escaping`."""
    return escaping.escape(name).replace("\0", f"{escaping.ESCAPE}0000")


def clean(text: str) -> str:
    """Return the text without lone surrogates and NUL, which PostgreSQL can't store."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", " ")
