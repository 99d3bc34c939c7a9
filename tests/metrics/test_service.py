"""The figures of the service."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from prometheus_client.metrics_core import Metric

from rag_pipeline.broadcast.client_stats import ClientStats
from rag_pipeline.contract.events import NAMESPACES
from rag_pipeline.metrics.service import ServiceFigures, service_families

NOBODY = ClientStats({}, {}, 0, 0)
FIGURES = ServiceFigures("1.2.3", NOBODY, 7, 1, 3, 1 << 20, {"kind": "memory", "status": "ok", "events": 5})


def values(families: Iterable[Metric]) -> dict[str, float]:
    return {sample.name.removeprefix("rag_pipeline_"): sample.value for one in families for sample in one.samples}


def test_every_namespace_and_transport_has_a_client_count() -> None:
    stats = ClientStats({("/pipeline", "polling"): 2}, {"polling": 2}, 300, 200)
    families = service_families(FIGURES._replace(clients=stats))
    clients = next(family for family in families if family.name == "rag_pipeline_clients")
    found = {(s.labels["namespace"], s.labels["transport"]): s.value for s in clients.samples}
    assert len(found) == 3 * len(NAMESPACES)
    assert {pair for pair, value in found.items() if value} == {("/pipeline", "polling")}
    shown = values(families)
    assert (shown["backlog_bytes"], shown["largest_backlog_bytes"], shown["service_up"]) == (300, 200, 1)


def test_without_client_stats_the_other_figures_are_exported() -> None:
    shown = values(service_families(FIGURES._replace(clients=None)))
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
def test_the_journals_figures_are_exported(journal: dict[str, object], expected: dict[str, float]) -> None:
    families = service_families(FIGURES._replace(journal=journal))
    shown = {n.removeprefix("journal_"): v for n, v in values(families).items() if n.startswith("journal_")}
    assert shown == {"info": 1, **expected}
    kind = next(family for family in families if family.name == "rag_pipeline_journal").samples[0].labels["kind"]
    assert kind == journal["kind"]


def test_the_version_is_a_label() -> None:
    build = next(family for family in service_families(FIGURES) if family.name == "rag_pipeline_build")
    assert build.samples[0].labels["version"] == "1.2.3"
