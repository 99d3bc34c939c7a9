"""The weight of an event: its estimated size in memory, cheap enough for the mutating thread.

Only what can be large is measured: a file's result, warnings and name, a pipeline's own fields. The rest is
:data:`BASE_BYTES`.
"""

from __future__ import annotations

import marshal
from typing import Any

from rag_pipeline.contract.events import PipelineEvent
from rag_pipeline.journal.base import Entry, StoredBody
from rag_pipeline.status.model import FileBody, StateBody

BASE_BYTES = 256
STATE_BYTES = 1024
_WARNING_BYTES = 128
_QUALITY_BYTES = 128
_MARSHAL_VERSION = 2  # from 3 on it looks for repeated values, which costs time


def size_of(value: Any) -> int:
    """Return the approximate size of a JSON value in bytes: the length of a text, else of its serialized form."""
    if value is None:
        return 0
    if type(value) is str:
        return len(value)
    try:
        # In C: a fraction of the cost of copying the value, which was done before.
        return len(marshal.dumps(value, _MARSHAL_VERSION))
    except ValueError:
        return BASE_BYTES


def weigh(item: object) -> int:
    """Return the weight in bytes of an event, or of an entry with its text; 0 for anything else."""
    if type(item) is PipelineEvent:
        body = item.body
        if type(body) is FileBody:
            file = body.file
            weight = BASE_BYTES + len(file.name)
            if file.warnings or file.quality:
                weight += sum([_WARNING_BYTES + len(one.message) for one in file.warnings]) + _QUALITY_BYTES
            return weight if file.result is None else weight + size_of(file.result)
        if type(body) is StateBody:
            # A summary status shares the own fields with the event that set them.
            return STATE_BYTES + (size_of(body.own) if item.numbered and body.own else 0)
        return STATE_BYTES + (len(body.text) if type(body) is StoredBody else 0)
    if type(item) is Entry:
        text, weight = item.cached_text, weigh(item.event)
        # The text may be encoded later, so it counts as the event does.
        return weight + (weight if text is None else len(text))
    return 0
