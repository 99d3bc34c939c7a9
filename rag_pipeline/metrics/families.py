"""Builds metric families: a name, a help text, and one sample for each set of labels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric

from rag_pipeline.status.stages import BOUNDS_SECONDS, Histogram

PREFIX = "rag_pipeline_"

Labels = Sequence[str]

_LES = (*(f"{bound:g}" for bound in BOUNDS_SECONDS), "+Inf")


def gauge(name: str, text: str, labels: Labels, samples: Iterable[tuple[Labels, float | None]]) -> Metric:
    """Return a gauge; samples without a value are left out."""
    family = GaugeMetricFamily(PREFIX + name, text, labels=labels)
    for values, value in samples:
        if value is not None:
            family.add_metric(values, value)
    return family


def counter(name: str, text: str, labels: Labels, samples: Iterable[tuple[Labels, float | None]]) -> Metric:
    """Return a counter, whose name ends in ``_total``; samples without a value are left out."""
    family = CounterMetricFamily(PREFIX + name, text, labels=labels)
    for values, value in samples:
        if value is not None:
            family.add_metric(values, value)
    return family


def histogram(name: str, text: str, labels: Labels, samples: Iterable[tuple[Labels, Histogram]]) -> Metric:
    """Return a histogram of durations."""
    family = HistogramMetricFamily(PREFIX + name, text, labels=labels)
    for values, durations in samples:
        buckets = list(zip(_LES, accumulate(durations.counts), strict=True))
        family.add_metric(values, buckets, durations.sum_seconds)
    return family


def info(name: str, text: str, samples: Iterable[dict[str, str]]) -> Metric:
    """Return an info metric, whose name ends in ``_info``: its labels carry the information, its value is 1."""
    family = InfoMetricFamily((PREFIX + name).removesuffix("_info"), text, labels=[])
    for labels in samples:
        family.add_metric([], labels)
    return family
