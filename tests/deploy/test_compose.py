"""docker-compose.yml: names only what exists, is open to this machine alone, and keeps what must be kept."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from typing import Any

import pytest
import yaml

from rag_pipeline.config import DEFAULT_PORT
from tests.deploy.files import ROOT, VARIABLE, is_tracked, read_dockerfile, variables_read

COMPOSE = ROOT / "docker-compose.yml"


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    parsed: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())
    return parsed


@pytest.fixture(scope="module", params=["local-files"])
def service(request: pytest.FixtureRequest, compose: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = compose["services"][request.param]
    return found


def with_defaults(text: str) -> str:
    """Return the text as compose reads it when none of its variables is set."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)


def test_each_service_is_tested(compose: dict[str, Any]) -> None:
    assert set(compose["services"]) == {"local-files"}


def test_each_service_runs_a_command_that_exists(service: dict[str, Any]) -> None:
    asked = [sys.executable, "-m", "rag_pipeline", service["command"][0], "--help"]
    assert subprocess.run(asked, cwd=ROOT, capture_output=True, timeout=60, check=False).returncode == 0


def test_each_variable_is_read_by_the_service(service: dict[str, Any]) -> None:
    asked_of_the_user = set(VARIABLE.findall(COMPOSE.read_text()))
    assert (set(service["environment"]) | asked_of_the_user) - variables_read() == set()


def test_both_ports_are_published_on_this_machine_alone(service: dict[str, Any]) -> None:
    ports = [with_defaults(port) for port in service["ports"]]
    assert ports == [f"127.0.0.1:{port}:{port}" for port in (DEFAULT_PORT, DEFAULT_PORT + 1)]


def test_the_documents_are_mounted_read_only_where_the_command_looks(service: dict[str, Any]) -> None:
    (documents,) = (volume for volume in service["volumes"] if volume["type"] == "bind")
    assert documents["read_only"] is True
    assert documents["target"] == service["command"][1]
    assert is_tracked(with_defaults(documents["source"]))


def test_the_state_outlives_the_container(compose: dict[str, Any], service: dict[str, Any]) -> None:
    (state,) = (volume for volume in service["volumes"] if volume["type"] == "volume")
    assert state["source"] in compose["volumes"]
    set_in_the_image = " ".join(i.text for i in read_dockerfile() if i.name == "ENV")
    assert f"STATUS_STATE_DIR={state['target']}" in set_in_the_image


def test_it_restarts_stops_in_order_and_bounds_its_logs(service: dict[str, Any]) -> None:
    assert service["restart"] == "unless-stopped"
    assert service["stop_grace_period"] == "30s"
    assert service["init"] is True
    assert service["logging"] == {"driver": "json-file", "options": {"max-size": "10m", "max-file": "3"}}


def test_it_holds_no_rights_it_does_not_need(service: dict[str, Any]) -> None:
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


def compose_client() -> list[str] | None:
    """Return the command of a client that knows compose files, if this machine has one; no engine is needed."""
    for client in (["docker", "compose"], ["docker-compose"]):
        if (
            shutil.which(client[0])
            and subprocess.run([*client, "version"], capture_output=True, check=False).returncode == 0
        ):
            return client
    return None


def test_compose_itself_accepts_the_file() -> None:
    client = compose_client()
    if client is None:
        pytest.skip("docker compose is not installed")
    unset = {key: value for key, value in os.environ.items() if key not in variables_read()}
    run = subprocess.run(
        [*client, "-f", str(COMPOSE), "config"], env=unset, capture_output=True, text=True, timeout=60, check=False
    )
    assert (run.returncode, run.stderr) == (0, "")
