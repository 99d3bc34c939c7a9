"""The weight of an event: an estimate of the bytes that it keeps in memory, cheap enough for the mutating thread.

What can be large is counted: a file's result, its name, a pipeline's own fields. The rest is :data:`BASE_BYTES`.
"""

from __future__ import annotations

import marshal
from typing import Any

from rag_pipeline.contract.events import Event
from rag_pipeline.journal.base import Entry, StoredBody
from rag_pipeline.status.model import FileBody, StateBody

BASE_BYTES = 256
STATE_BYTES = 1024
_MARSHAL_VERSION = 2  # from 3 on it looks for values that occur twice, which costs more than it tells


def size_of(value: Any) -> int:
    """Return about how many bytes a JSON value takes: the length of a text, else of its serialized form."""
    if value is None:
        return 0
    if type(value) is str:
        return len(value)
    try:
        # In C, and so a fraction of what the copying of the same value has cost.
        return len(marshal.dumps(value, _MARSHAL_VERSION))
    except ValueError:
        return BASE_BYTES


def weigh(item: object) -> int:
    """Return the weight in bytes of an event, or of an entry with its text; 0 for anything else."""
    if type(item) is Event:
        body = item.body
        if type(body) is FileBody:
            file = body.file
            weight = BASE_BYTES + len(file.name)
            return weight if file.result is None else weight + size_of(file.result)
        if type(body) is StateBody:
            # A status that sums up shares the fields with the one that set them.
            return STATE_BYTES + (size_of(body.own) if item.numbered and body.own else 0)
        return STATE_BYTES + (len(body.text) if type(body) is StoredBody else 0)
    if type(item) is Entry:
        text, weight = item.made_text, weigh(item.event)
        # The text of an event is made when somebody wants it, and may be by then.
        return weight + (weight if text is None else len(text))
    return 0
