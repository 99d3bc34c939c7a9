"""Read the keywords of ``PipelineStatus.update()``: fields of the state, and the pipeline's own fields."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from rag_pipeline.contract.events import Json
from rag_pipeline.status import checks, values
from rag_pipeline.status.arguments import Arguments
from rag_pipeline.status.model import RESERVED_FIELDS

MergeOwn = Callable[[Json], Json]
"""Returns all own fields after an update, given those before it."""

_CHECKS: dict[str, Callable[[str, object], Any]] = {
    "status": checks.check_label,
    "started_at": checks.check_time,
    "last_activity": checks.check_time,
    "last_check_time": checks.check_time,
    "next_check_time": checks.check_time,
    "check_interval": checks.check_number,
    "is_checking": checks.check_bool,
    "files_queued": checks.check_count,
    "seconds_until_next_check": checks.check_wait,
}
_SETTABLE = ("pipeline_type", *_CHECKS)
_NEARLY_EQUAL = 0.85
_MAX_LENGTH = 40  # a longer name is like none of them


class FieldUpdate(NamedTuple):
    """Checked fields; ``new_type`` holds the pipeline's type if it is among them."""

    fields: Json
    merge_own: MergeOwn | None = None
    new_type: tuple[str | None] | None = None


def read_update(keywords: Mapping[str, Any], arguments: Arguments) -> FieldUpdate:
    """Return the keywords as checked fields; what can't be shown is left out."""
    given_own = keywords.get("own")
    declared: Mapping[str, Any] = {}
    if isinstance(given_own, Mapping):
        declared = {**given_own}
        keywords = {**{key: value for key, value in keywords.items() if key != "own"}, **declared}
    fields: Json = {}
    own: Json = {}
    new_type: tuple[str | None] | None = None
    for key, value in keywords.items():
        if key == "pipeline_type":
            for kind in (None,) if value is None else arguments.field(checks.check_type, key, value):
                new_type = (kind,)
        elif key in _CHECKS:
            for checked in arguments.field(_CHECKS[key], key, value):
                _set_field(fields, key, checked, arguments)
        elif key in RESERVED_FIELDS:
            arguments.refuse(key, ValueError(f"{key} is computed by the service and can't be set"))
        else:
            if key not in declared and len(key) <= _MAX_LENGTH and (field := _nearly_equal_field(key)) is not None:
                arguments.question(key, field)
            _set_own(own, key, value, arguments)
    return FieldUpdate(fields, _merging(own, arguments) if own else None, new_type)


@lru_cache(maxsize=256)
def _nearly_equal_field(key: str) -> str | None:
    """Return the settable field that the name is probably a misspelling of."""
    matches = difflib.get_close_matches(key.lower(), _SETTABLE, n=1, cutoff=_NEARLY_EQUAL)
    return matches[0] if matches else None


def _set_field(fields: Json, key: str, value: Any, arguments: Arguments) -> None:
    if key == "seconds_until_next_check":
        fields["next_check_time"] = value
    elif key == "started_at" and value is None:
        arguments.refuse(key, ValueError("started_at must be a time, not None"))
    else:
        fields[key] = value


def _set_own(own: Json, key: str, value: object, arguments: Arguments) -> None:
    for name in arguments.field(lambda _, name: values.check_own_key(str(name)), "a field's name", key):
        own[name] = None if value is None else arguments.own(name, value)


def _merging(own: Json, arguments: Arguments) -> MergeOwn:
    """Return a function that merges these own fields into the existing ones: None removes one, surplus is left out."""
    removed = {key for key, value in own.items() if value is None}
    given = {key: value for key, value in own.items() if value is not None}

    def merge(before: Json) -> Json:
        kept = {key: given.get(key, value) for key, value in before.items() if key not in removed}
        added = {key: value for key, value in given.items() if key not in kept}
        return values.fitting_own(added, kept, lambda error: arguments.refuse("own fields", error))

    return merge
