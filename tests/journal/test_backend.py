from __future__ import annotations

from rag_pipeline.journal.backend import health_fields

DROPPED = "2 events were dropped because too many waited: /files is incomplete"


def test_health_is_ok_without_errors() -> None:
    assert health_fields({"kind": "x", "dropped": 3}, None, 0) == {"status": "ok", "kind": "x", "dropped": 3}


def test_errors_and_dropped_events_degrade_health() -> None:
    assert health_fields({}, "no disk", 0) == {"status": "degraded", "error": "no disk"}
    assert health_fields({}, None, 2) == {"status": "degraded", "dropped": 2, "error": DROPPED}
    both = health_fields({"dropped": 3}, "no disk", 2)
    assert both == {"status": "degraded", "dropped": 5, "error": f"no disk; {DROPPED}"}
