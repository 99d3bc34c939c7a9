"""Families survive prometheus_client's output and parser."""

from __future__ import annotations

import math
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from rag_pipeline.metrics.families import counter, gauge, histogram, info
from rag_pipeline.status.stages import BOUNDS_SECONDS, Histogram
from tests.metrics.scraping import Scrape


class One(Collector):
    def __init__(self, family: Metric) -> None:
        self.family = family

    def collect(self) -> Iterator[Metric]:
        yield self.family


def read(family: Metric) -> Scrape:
    registry = CollectorRegistry()
    registry.register(One(family))
    return Scrape(generate_latest(registry).decode())


def test_a_family_without_values_has_no_samples() -> None:
    for make in (gauge, counter):
        name = "x_total" if make is counter else "x"
        found = read(make(name, "Help.", ("a",), [(("1",), 2.0), (("2",), None)]))
        assert found.all(name) == [({"a": "1"}, 2.0)]
        assert f"rag_pipeline_{name}" in read(make(name, "Help.", (), [((), None)])).families


def test_info_is_a_gauge_of_1_with_labels() -> None:
    found = read(info("build_info", "Help.", [{"version": "1"}]))
    assert found.all("build_info") == [({"version": "1"}, 1.0)]


@given(st.lists(st.integers(0, 9), min_size=len(BOUNDS_SECONDS) + 1, max_size=len(BOUNDS_SECONDS) + 1))
def test_a_histogram_adds_its_buckets_up(counts: list[int]) -> None:
    found = read(histogram("d_seconds", "Help.", ("s",), [(("x",), Histogram(tuple(counts), 4.5))]))
    buckets = sorted((float(labels["le"]), value) for labels, value in found.all("d_seconds_bucket"))
    assert [bound for bound, _ in buckets] == [*BOUNDS_SECONDS, math.inf]
    assert [value for _, value in buckets] == [sum(counts[: place + 1]) for place in range(len(counts))]
    assert found.value("d_seconds_count", s="x") == sum(counts)
    assert found.value("d_seconds_sum", s="x") == 4.5


@given(st.text(st.characters(codec="utf-8", exclude_characters="\r"), min_size=1))
def test_any_label_survives_the_text_format(text: str) -> None:
    assert read(gauge("x", "Help.", ("stage",), [((text,), 1.0)])).value("x", stage=text) == 1.0
