"""The generations of the journal in Redis: one for each run of the server.

A restarted server may have lost what it confirmed last, and so may a replica that replaces its primary. Later entries
usually get later ids, but restarted pipelines continue with the ``seq`` of the lost events. The server's run id, which
changes at each start, tells the runs apart.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from rag_pipeline.journal.base import Generations, new_identity
from rag_pipeline.journal.redis.connection import RedisConnection
from rag_pipeline.journal.redis.keys import RedisKeys, position_of
from rag_pipeline.journal.redis.scripts import ADOPT

_GENERATION = re.compile(r"(\w+) (\d{1,20}-\d{1,20})")


def adopt(connection: RedisConnection, keys: RedisKeys) -> Generations:
    """Return the journal's generations, with this run of the server as the current one."""
    arguments = (connection.server_run, new_identity())
    return read_generations(connection.run(ADOPT, [keys.identity, keys.generations, keys.events], arguments))


def read_generations(texts: Iterable[str]) -> Generations:
    """Return the generations from the list in Redis, which must have at least one."""
    parts = (match.groups() for text in texts if (match := _GENERATION.fullmatch(text)))
    return Generations.of((identity, position_of(start)) for identity, start in parts)


def mark_of(connection: RedisConnection, identity: str) -> str:
    """Return the value of the identity key while the connected run of the server has this identity."""
    return f"{identity} {connection.server_run}"
