"""The board, the alerts and the page about metrics name what a real scrape has, and nothing else."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from rag_pipeline.status.pipeline import PipelineStatus
from tests.deploy.files import ROOT
from tests.metrics.scraping import Scrape, scrape
from tests.socket_server.support import new_pipeline, serving

ALERTS = ROOT / "deploy" / "prometheus-alerts.yml"
BOARD = ROOT / "deploy" / "grafana-dashboard.json"
PAGE = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")

METRIC = re.compile(r"\b(?:rag_pipeline|process)_[a-z_]+\b")
SELECTOR = re.compile(r"\b((?:rag_pipeline|process)_[a-z_]+)\{([^}]*)\}")
MATCHER = re.compile(r'(\w+)(=~|=)"([^"]*)"')
GROUPING = re.compile(r"\b(?:by|without|on) \(([a-z, ]+)\)")
SUFFIXES = ("_bucket", "_sum", "_count")
TARGET_LABELS = {"job", "instance"}
"""What Prometheus adds to each sample."""


def worked_on() -> PipelineStatus:
    pipeline = new_pipeline()
    pipeline.update(status="processing", files_queued=1)
    with pipeline.processing("a.pdf") as file:
        file.stage("chunking")
    return pipeline


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scrape]:
    with serving(worked_on(), state_dir=tmp_path_factory.mktemp("state")) as server:
        yield scrape(server)


def rules() -> list[dict[str, Any]]:
    groups: list[dict[str, Any]] = yaml.safe_load(ALERTS.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def board() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(BOARD.read_text())
    return loaded


def panels() -> list[dict[str, Any]]:
    return [panel for panel in board()["panels"] if panel["type"] != "row"]


def expressions() -> list[str]:
    """Return every expression of the alerts and of the board."""
    shown = [target["expr"] for panel in panels() for target in panel["targets"]]
    variables = [one["query"]["query"] for one in board()["templating"]["list"] if one["type"] == "query"]
    return [*(rule["expr"] for rule in rules()), *shown, *variables]


def labels_of(found: Scrape, name: str) -> set[str]:
    return {key for (sample, labels) in found.samples if sample == name for key, _ in labels}


def family_of(name: str, found: Scrape) -> str:
    bare = next((name.removesuffix(suffix) for suffix in SUFFIXES if name.endswith(suffix)), name)
    return bare if found.families.get(bare) is not None and found.families[bare].type == "histogram" else name


def test_every_metric_they_name_is_there(found: Scrape) -> None:
    named = {name for expression in expressions() for name in METRIC.findall(expression)}
    assert len(named) > 20
    assert {name for name in named if family_of(name, found) not in found.families} == set()


def test_every_label_they_select_by_is_there_and_can_have_that_value(found: Scrape) -> None:
    for expression in expressions():
        for name, matchers in SELECTOR.findall(expression):
            for label, operator, value in MATCHER.findall(matchers):
                if label in TARGET_LABELS:
                    continue
                assert label in labels_of(found, name), (name, label)
                values = {dict(labels).get(label) for (sample, labels) in found.samples if sample == name}
                if not value.startswith("$"):
                    assert set(value.split("|") if operator == "=~" else [value]) <= values, (name, label, value)


def test_every_label_they_group_by_is_one_of_the_metrics_in_the_expression(found: Scrape) -> None:
    for expression in expressions():
        known = {label for name in METRIC.findall(expression) for label in labels_of(found, name)} | TARGET_LABELS
        for grouping in GROUPING.findall(expression):
            assert {label.strip() for label in grouping.split(",")} <= known, expression


def test_brackets_and_quotes_close() -> None:
    for expression in expressions():
        bare = re.sub(r'"[^"]*"', "", expression)
        assert '"' not in bare, expression
        for opening, closing in ("()", "{}", "[]"):
            assert bare.count(opening) == bare.count(closing), expression


def test_the_page_lists_each_metric_with_its_type_and_labels_and_no_other(found: Scrape) -> None:
    rows = re.findall(r"^\| `(rag_pipeline_\w+)` \| (\w+) \| ([^|]*)\|", PAGE, re.MULTILINE)
    listed = {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}
    assert len(listed) == len(rows)
    there = {name: one for name, one in found.families.items() if name.startswith("rag_pipeline_")}
    assert listed.keys() == there.keys()
    for name, (kind, labels) in listed.items():
        assert there[name].type == kind, name
        for sample in there[name].samples:
            assert set(sample.labels) - {"le"} == labels, name


def test_the_page_lists_each_alert_and_no_other() -> None:
    assert re.findall(r"^\| `(RagPipeline\w+)` \|", PAGE, re.MULTILINE) == [rule["alert"] for rule in rules()]


def test_each_alert_says_what_is_wrong_and_how_bad_it_is() -> None:
    for rule in rules():
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert set(rule["annotations"]) == {"summary", "description"}


def test_each_panel_has_a_title_a_place_of_its_own_and_the_chosen_data_source() -> None:
    taken: set[tuple[int, int]] = set()
    numbers = [panel["id"] for panel in board()["panels"]]
    assert len(set(numbers)) == len(numbers)
    for panel in board()["panels"]:
        assert panel["title"]
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert max(x for x, _ in cells) < 24
        assert not cells & taken, panel["title"]
        taken |= cells
    assert {panel["datasource"]["uid"] for panel in panels()} == {"${datasource}"}


needs_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")


def promtool(*arguments: str) -> str:
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@needs_promtool
def test_promtool_finds_the_alerts_right() -> None:
    assert f"SUCCESS: {len(rules())} rules found" in promtool("check", "rules", str(ALERTS))


@needs_promtool
def test_promtool_finds_nothing_to_complain_about_in_a_scrape(found: Scrape) -> None:
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=found.text, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "")


@needs_promtool
def test_each_alert_fires_when_it_should_and_not_before(tmp_path: Path) -> None:
    cases = yaml.safe_load((Path(__file__).parent / "alert_cases.yml").read_text())
    bare = [{key: value for key, value in rule.items() if key != "annotations"} for rule in rules()]
    (tmp_path / ALERTS.name).write_text(yaml.safe_dump({"groups": [{"name": "bare", "rules": bare}]}))
    tried = {one["alertname"] for case in cases["tests"] for one in case["alert_rule_test"]}
    assert tried == {rule["alert"] for rule in rules()}
    path = tmp_path / "cases.yml"
    path.write_text(yaml.safe_dump(cases))
    promtool("test", "rules", str(path))
