"""Each kind of difference is found and named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.verify.compare import Emitted, Received, differences


def event(seq: int, name: str = "pipeline:file_progress", pipeline_id: str = "p", **more: Any) -> Emitted:
    return Emitted(name, {"pipeline_id": pipeline_id, "epoch": "e", "seq": seq, "timestamp": f"t{seq}", **more})


EMITTED = [event(0, "pipeline:status"), *(event(seq, file={"name": "a"}) for seq in range(1, 6))]


def received(emitted: list[Emitted]) -> list[Received]:
    return [Received("connect"), *(Received(name, (dict(body),)) for name, body in emitted)]


def test_equal_events_are_no_difference_and_a_snapshot_has_its_own_time() -> None:
    got = received(EMITTED)
    got[1].arguments[0].update(timestamp="another", files_per_minute=3.0)
    assert (
        differences(got, [EMITTED[0]._replace(body={**EMITTED[0].body, "files_per_minute": None}), *EMITTED[1:]]) == []
    )


def test_events_of_several_pipelines_may_interleave() -> None:
    other = [event(0, "pipeline:status", "q"), event(1, pipeline_id="q"), event(2, pipeline_id="q")]
    got = received([EMITTED[0], other[0], other[1], *EMITTED[1:], other[2]])
    assert differences(got, [EMITTED[0], other[0], *EMITTED[1:], *other[1:]]) == []
    late = received([EMITTED[0], *EMITTED[1:], *other])
    assert differences(late, [EMITTED[0], other[0], *EMITTED[1:], *other[1:]])[0].startswith(
        "the first 2 events are not"
    )


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda got: got.clear(), "nothing was received"),
        (lambda got: got.pop(3), "missing: pipeline:file_progress seq 2"),
        (lambda got: got.pop(), "missing: pipeline:file_progress seq 5"),
        (lambda got: got.insert(4, got[3]), "repeated: pipeline:file_progress seq 2"),
        (lambda got: got.append(Received("x", (event(9).body,))), "never emitted: x seq 9"),
        (lambda got: got.append(Received("x", (event(9, pipeline_id="q").body,))), "never emitted: x seq 9"),
        (lambda got: got.insert(2, got.pop(3)), "out of order: pipeline:file_progress seq 2 at place 2"),
        (lambda got: got.insert(1, got.pop(2)), "the first 1 events are not the snapshots"),
        (lambda got: got.append(got.pop(0)), "pipeline:status came before the connection was confirmed"),
        (lambda got: got.append(Received("disconnect", ("transport error",))), "disconnected: transport error"),
        (lambda got: got.append(Received("x", ({}, 1))), "x with ({}, 1)"),
        (
            lambda got: got[3].arguments[0].update(file={"name": "b"}),
            "file is {'name': 'b'}, emitted was {'name': 'a",
        ),
        (lambda got: got[3].arguments[0].pop("file"), "file is absent, emitted was"),
        (lambda got: got[3].arguments[0].update(extra=1), "extra is 1, emitted was absent"),
        (lambda got: got[3].arguments[0].update(timestamp="t"), "timestamp is 't', emitted was 't2'"),
        (lambda got: got[1].arguments[0].update(status="x"), "status is 'x', emitted was absent"),
    ],
)
def test_a_difference_is_named(spoil: Callable[[list[Received]], object], said: str) -> None:
    got = received(EMITTED)
    spoil(got)
    found = differences(got, EMITTED)
    assert any(said in line for line in found), found
