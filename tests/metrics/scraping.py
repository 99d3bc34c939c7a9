"""A scrape, parsed by Prometheus' own parser."""

from __future__ import annotations

from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from rag_pipeline.service import StatusServer
from tests.socket_server.support import request

TEXT_FORMAT = "text/plain; version=0.0.4; charset=utf-8"


class Scrape:
    """The families of one scrape by name, and the value of each sample."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.families: dict[str, Metric] = {}
        self.samples: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
        for family in text_string_to_metric_families(text):
            name = f"{family.name}_total" if family.type == "counter" else family.name
            assert name not in self.families, "each family once"
            assert family.documentation, name
            self.families[name] = family
            for sample in family.samples:
                key = (sample.name, frozenset(sample.labels.items()))
                assert key not in self.samples, "each sample once"
                self.samples[key] = sample.value

    def value(self, name: str, **labels: str) -> float | None:
        """Return the sample's value, None if it is absent."""
        return self.samples.get((f"rag_pipeline_{name}", frozenset(labels.items())))

    def all(self, name: str) -> list[tuple[dict[str, str], float]]:
        """Return the labels and the value of each sample of that name."""
        return [(dict(labels), value) for (key, labels), value in self.samples.items() if key == f"rag_pipeline_{name}"]


def scrape(server: StatusServer) -> Scrape:
    """Scrape as Prometheus does."""
    status, headers, body = request(server.http_port, "/metrics")
    assert (status, headers["content-type"]) == (200, TEXT_FORMAT)
    return Scrape(body)
