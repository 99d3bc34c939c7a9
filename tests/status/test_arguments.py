"""A status call never fails the user's work: bad arguments are left out, and logged once for each kind."""

from __future__ import annotations

import json
import logging
import math
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from rag_pipeline.status.arguments import UNNAMED
from rag_pipeline.status.pipeline import PipelineStatus
from tests.support.recorder import untyped

LOGGER = "rag_pipeline.status"
NUMBER = UUID("12345678-1234-5678-1234-567812345678")


class Unprintable:
    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.fixture(autouse=True)
def lenient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STATUS_STRICT")


@pytest.fixture
def pipeline() -> PipelineStatus:
    return PipelineStatus("local_files", "lenient")


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (Path("inbox/a.pdf"), "inbox/a.pdf"),
        (17, "17"),
        (NUMBER, str(NUMBER)),
        (b"a.pdf", "a.pdf"),
        (None, "None"),
        ("", UNNAMED),
        (Unprintable(), "<Unprintable>"),
        (["a", 1], "['a', 1]"),
    ],
)
def test_any_object_can_name_a_file(pipeline: PipelineStatus, given: Any, shown: str) -> None:
    with pipeline.processing(given) as file:
        file.stage("reading", 0.5)
        assert [one["name"] for one in pipeline.get()["files_processing"]] == [shown]
    assert [one["name"] for one in pipeline.get()["files_completed"]] == [shown]


def test_two_long_names_stay_different(pipeline: PipelineStatus) -> None:
    for end in "ab":
        pipeline.complete_file("x" * 5000 + end)
    assert pipeline.get()["total_processed"] == 2


def test_any_object_can_be_an_id_and_an_empty_one_is_none(pipeline: PipelineStatus) -> None:
    for file_id in (7, NUMBER, Path("a"), ""):
        pipeline.complete_file("a", file_id=file_id)
    assert [one["id"] for one in pipeline.get()["files_completed"]] == ["7", str(NUMBER), "a", None]


def test_a_fraction_is_clamped(pipeline: PipelineStatus) -> None:
    pipeline.add_processing_file("a")
    shown = []
    for stage, fraction in (("a", 55), ("b", -3), ("c", math.inf), ("d", math.nan), ("e", "half"), ("f", 0.25)):
        pipeline.file_progress("a", stage, fraction)  # type: ignore[arg-type]
        shown.append(pipeline.get()["files_processing"][0]["progress"])
    assert shown == [1.0, 0.0, 1.0, None, None, 0.25]


def test_no_argument_raises(pipeline: PipelineStatus) -> None:
    odd: tuple[Any, ...] = (
        object(),
        Unprintable(),
        math.nan,
        b"\xff",
        [object()],
        {"a": {1j}},
        1 << 5000,
        "\udcff",
        -1,
    )
    for one in odd:
        pipeline.update(status=one, files_queued=one, is_checking=one, last_check_time=one, own={"mine": one})
        pipeline.update(pipeline_type=one, started_at=one, check_interval=one, seconds_until_next_check=one)
        pipeline.add_processing_file(one, one, size=one, mime_type=one, link=one)
        pipeline.file_progress(one, one, one, file_id=one)
        pipeline.complete_file(one, one, file_id=one, result=one, error=one)
        pipeline.skip_file(one, one, file_id=one)
        pipeline.delete_file(one, file_id=one)
        with pipeline.processing(one, one, size=one) as file:
            file.stage(one, one)
            file.set_result(one)
        json.dumps(pipeline.get(), allow_nan=False, ensure_ascii=False).encode()
    untyped(pipeline).update(**{"seq": 3, "": 1, "\udcff": 2, "x" * 300: 3})
    assert pipeline.get()["files_in_flight"] == 0


def test_a_block_raises_only_the_users_exception(pipeline: PipelineStatus) -> None:
    def work() -> None:
        with pipeline.processing(object()) as file:  # type: ignore[arg-type]
            file.stage("x", 55)
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        work()
    assert pipeline.get()["files_failed"][0]["error"]["type"] == "KeyError"


def test_each_kind_of_bad_argument_is_logged_once(pipeline: PipelineStatus, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, LOGGER):
        for n in range(50):
            pipeline.add_processing_file(f"f{n}")
            pipeline.complete_file(f"f{n}", result={"good": n, "bad": object()})
            pipeline.update(status=3)  # type: ignore[arg-type]
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 2
    assert all("pipeline lenient" in line and "STATUS_STRICT=1" in line and "\n" not in line for line in lines)
    assert pipeline.get()["files_completed"][-1]["result"] == {"good": 49}


def test_a_word_for_failure_is_not_taken_for_success(pipeline: PipelineStatus) -> None:
    pipeline.complete_file("a", "failed")  # type: ignore[arg-type]
    pipeline.complete_file("b", 0)  # type: ignore[arg-type]
    pipeline.complete_file("c", "done")  # type: ignore[arg-type]
    assert (pipeline.get()["total_failed"], pipeline.get()["total_processed"]) == (2, 1)


def test_own_fields_over_the_limit_are_left_out_and_none_removes_one(pipeline: PipelineStatus) -> None:
    pipeline.update(own={f"f{n}": n for n in range(300)})
    own = [key for key in pipeline.get() if key.startswith("f") and key[1:].isdigit()]
    assert len(own) == 256
    pipeline.update(own=dict.fromkeys(own[:10]))
    pipeline.update(own={"later": 1})
    state = pipeline.get()
    assert state["later"] == 1
    assert not set(own[:10]) & state.keys()


@pytest.mark.parametrize(("value", "raises"), [("true", True), ("on", True), ("off", False), ("maybe", False)])
def test_strict_is_a_flag_like_any_other_and_a_bad_value_raises_nothing(
    pipeline: PipelineStatus, monkeypatch: pytest.MonkeyPatch, value: str, raises: bool
) -> None:
    monkeypatch.setenv("STATUS_STRICT", value)
    with pytest.raises(ValueError, match="progress") if raises else nullcontext():
        pipeline.file_progress("a", "x", 55)


def test_an_own_field_that_is_nearly_a_built_in_one_is_kept_and_named_once(
    pipeline: PipelineStatus, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        untyped(pipeline).update(statuss="running", Files_Queud=3, colour="red")
    assert [record.getMessage() for record in caplog.records] == [
        f"pipeline lenient: {key} is kept as a field of your own: did you mean {field}? If {key} is a field of your "
        f"own, pass own={{'{key}': ...}} (STATUS_STRICT=1 raises instead)"
        for key, field in (("statuss", "status"), ("Files_Queud", "files_queued"))
    ]
    assert pipeline.get()["statuss"] == "running"


def test_strict_rejects_an_own_field_that_is_nearly_a_built_in_one_unless_it_is_in_own(
    pipeline: PipelineStatus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATUS_STRICT", "1")
    before = pipeline.get()
    with pytest.raises(ValueError, match=r"^did you mean status\? If statuss is a field of your own, pass own="):
        untyped(pipeline).update(statuss="running", is_checking=True)
    assert pipeline.get() == before
    pipeline.update(own={"statuss": "running"})
    assert pipeline.get()["statuss"] == "running"


def test_strict_raises_instead_and_changes_nothing(pipeline: PipelineStatus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATUS_STRICT", "1")
    before = pipeline.get()
    with pytest.raises(ValueError, match="progress"):
        pipeline.file_progress("a", "x", 55)
    with pytest.raises(TypeError, match="filename"):
        pipeline.complete_file(object())  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at most 256 fields"):
        pipeline.update(own={f"f{n}": n for n in range(300)})
    assert pipeline.get() == before
