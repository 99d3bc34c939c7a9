"""The figures of the service."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from prometheus_client.metrics_core import Metric

from rag_pipeline.broadcast.client_stats import Census
from rag_pipeline.contract.events import NAMESPACES
from rag_pipeline.metrics.service import Figures, service_families

NOBODY = Census({}, {}, 0, 0)
FIGURES = Figures("1.2.3", NOBODY, 7, 1, 3, 1 << 20, {"kind": "memory", "status": "ok", "events": 5})


def values(families: Iterable[Metric]) -> dict[str, float]:
    return {sample.name.removeprefix("rag_pipeline_"): sample.value for one in families for sample in one.samples}


def test_clients_of_each_namespace_and_transport_are_there_also_when_there_are_none() -> None:
    census = Census({("/pipeline", "polling"): 2}, {"polling": 2}, 300, 200)
    families = service_families(FIGURES._replace(census=census))
    clients = next(family for family in families if family.name == "rag_pipeline_clients")
    found = {(s.labels["namespace"], s.labels["transport"]): s.value for s in clients.samples}
    assert len(found) == 3 * len(NAMESPACES)
    assert {pair for pair, value in found.items() if value} == {("/pipeline", "polling")}
    shown = values(families)
    assert (shown["backlog_bytes"], shown["largest_backlog_bytes"], shown["service_up"]) == (300, 200, 1)


def test_what_a_stuck_hub_can_not_tell_is_absent_and_the_rest_is_there() -> None:
    shown = values(service_families(FIGURES._replace(census=None)))
    assert shown["service_up"] == 0
    assert not shown.keys() & {"clients", "connections", "backlog_bytes", "largest_backlog_bytes"}
    assert (shown["events_sent_total"], shown["clients_dropped_total"], shown["hub_queued"]) == (7, 1, 3)


@pytest.mark.parametrize(
    ("journal", "expected"),
    [
        ({"kind": "memory", "status": "ok", "events": 5}, {"degraded": 0, "events": 5}),
        (
            {"kind": "sqlite", "status": "ok", "events": 5, "bytes": 4096, "queued": 1},
            {"degraded": 0, "events": 5, "bytes": 4096, "queued": 1},
        ),
        (
            {"kind": "redis", "status": "degraded", "queued": 9, "dropped": 2, "error": "it is gone"},
            {"degraded": 1, "queued": 9, "dropped_total": 2},
        ),
    ],
)
def test_of_the_journal_is_shown_what_it_tells(journal: dict[str, object], expected: dict[str, float]) -> None:
    families = service_families(FIGURES._replace(journal=journal))
    shown = {n.removeprefix("journal_"): v for n, v in values(families).items() if n.startswith("journal_")}
    assert shown == {"info": 1, **expected}
    kind = next(family for family in families if family.name == "rag_pipeline_journal").samples[0].labels["kind"]
    assert kind == journal["kind"]


def test_the_version_is_a_label() -> None:
    build = next(family for family in service_families(FIGURES) if family.name == "rag_pipeline_build")
    assert build.samples[0].labels["version"] == "1.2.3"
