"""Reads the saved states of pipelines from Redis."""

from __future__ import annotations

import json
import logging

from rag_pipeline.contract.events import Json
from rag_pipeline.journal.files import OUTCOMES, counts_as, key_from_text, unpack
from rag_pipeline.journal.redis.connection import RedisConnection
from rag_pipeline.journal.redis.files import read_row
from rag_pipeline.journal.redis.keys import RedisKeys, pairs
from rag_pipeline.journal.redis.scripts import SAVED_STATES
from rag_pipeline.status.model import FileTotals
from rag_pipeline.status.saved import SET_FIELDS, SavedState

logger = logging.getLogger("rag_pipeline.journal")

_ATTEMPT_RANGE = 1 << 20  # a score is the number of the failure times this, plus the number of the attempt


def saved_states(connection: RedisConnection, keys: RedisKeys) -> dict[str, SavedState]:
    """Return the saved state of each pipeline, all as of one moment; unreadable ones are left out and logged."""
    states = {}
    for pipeline_id, flat, *rest in connection.run(SAVED_STATES, [keys.pipelines], [keys.prefix]):
        # Without an epoch the pipeline was claimed, but nothing is written yet.
        if rest and "epoch" not in flat:
            continue
        try:
            states[pipeline_id] = _saved(pipeline_id, pairs(flat), *rest)
        except (KeyError, TypeError, ValueError) as error:
            why = str(error) if rest else flat
            logger.error(
                "the saved state of pipeline %r in Redis can't be read, so it starts from nothing: %s", pipeline_id, why
            )
    return states


def _saved(
    pipeline_id: str,
    known: dict[str, str],
    completed: list[str],
    failed: list[str],
    skipped: list[str],
    processing: list[str],
    attempts: list[str],
    warned: list[str],
    *ended: list[str],
) -> SavedState:
    warned_keys = frozenset(warned)
    in_flight = sorted((row for text in processing if (row := read_row(text)) is not None), key=lambda row: row.began)
    return SavedState(
        pipeline_id=pipeline_id,
        pipeline_type=known["type"] or None,
        epoch=known["epoch"],
        seq=int(known["seq"]),
        fields=_fields(known),
        own=json.loads(known.get("own", "{}")),
        totals=FileTotals(*json.loads(known.get("totals", "[]"))),
        completed=tuple(map(unpack, completed)),
        failed=tuple(map(unpack, failed)),
        skipped=tuple(map(unpack, skipped)),
        in_flight=tuple(row.file for row in in_flight),
        failed_attempts=tuple(
            (key_from_text(key), int(score) % _ATTEMPT_RANGE) for key, score in pairs(attempts).items()
        ),
        outcomes=[
            (key_from_text(key), counts_as(status, warned=key in warned_keys))
            for status, keys in zip(OUTCOMES, ended, strict=True)
            for key in keys
        ],
    )


def _fields(known: dict[str, str]) -> Json:
    if "fields" in known:
        fields: Json = json.loads(known["fields"])
    else:  # until its first status, which nearly always comes with the first event
        since = float(known["since"])
        fields = {**dict.fromkeys(SET_FIELDS), "status": "initializing", "started_at": since, "is_checking": False}
    if known.get("active"):
        fields["last_activity"] = float(known["active"])
    return fields
