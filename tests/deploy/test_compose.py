"""docker-compose.yml: names only what exists, is open to this machine alone, and keeps what must be kept.

No engine runs here. So this does not show that the images start as they are told to: that Redis and nginx do without
root, on a file system that is read only, that names are found, and that ``events`` leads nowhere outside. Redis's
options and health check, and nginx's file (test_nginx_scale.py), are tried on the programs themselves.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from rag_pipeline.common.config import DEFAULT_PORT
from tests.deploy.files import ROOT, is_tracked, read_dockerfile, variables_read
from tests.deploy.proxying import answers, free_ports
from tests.support.waiting import wait_until

COMPOSE = ROOT / "docker-compose.yml"

FOLDERS = ["local-files", "policies", "products"]
PIPELINES = [*FOLDERS, "google-drive"]
STATUS_SERVERS = ["status-1", "status-2"]
OURS = [*PIPELINES, *STATUS_SERVERS]
SCALED = {"policies", "products", *STATUS_SERVERS, "redis", "proxy"}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    parsed: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())
    return parsed


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = compose["services"]
    return found


def with_defaults(text: str) -> str:
    """Return the text as compose reads it when none of its variables is set."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)


def volume_of(service: dict[str, Any], kind: str) -> dict[str, Any]:
    """Return the one volume of that type."""
    (found,) = (volume for volume in service["volumes"] if volume["type"] == kind)
    return dict(found)


def test_each_service_is_tested_and_without_the_profile_there_is_one(services: dict[str, Any]) -> None:
    assert {name for name, service in services.items() if "profiles" not in service} == {"local-files"}
    assert {name for name, service in services.items() if service.get("profiles") == ["scale"]} == SCALED
    assert services["google-drive"]["profiles"] == ["google-drive"]
    assert set(services) == {"local-files", "google-drive"} | SCALED


@pytest.mark.slow
@pytest.mark.parametrize("name", OURS)
def test_each_of_our_services_runs_a_command_that_exists(services: dict[str, Any], name: str) -> None:
    asked = [sys.executable, "-m", "rag_pipeline", services[name]["command"][0], "--help"]
    assert subprocess.run(asked, cwd=ROOT, capture_output=True, timeout=60, check=False).returncode == 0


@pytest.mark.parametrize("name", OURS)
def test_each_variable_is_read_by_the_service(services: dict[str, Any], name: str) -> None:
    asked_of_the_user = set(re.findall(r"\$\{(\w+)", COMPOSE.read_text()))
    assert (set(services[name]["environment"]) | asked_of_the_user) - variables_read() == set()


def test_what_is_published_is_so_on_this_machine_alone(services: dict[str, Any]) -> None:
    published = {
        name: [with_defaults(port) for port in service["ports"]]
        for name, service in services.items()
        if "ports" in service
    }
    assert published == {
        "local-files": [f"127.0.0.1:{port}:{port}" for port in (DEFAULT_PORT, DEFAULT_PORT + 1)],
        "google-drive": [f"127.0.0.1:{port}:{port}" for port in (DEFAULT_PORT + 2, DEFAULT_PORT + 3)],
        "proxy": ["127.0.0.1:8080:8080"],
    }


@pytest.mark.parametrize("name", FOLDERS)
def test_the_documents_are_mounted_read_only_where_the_command_looks(services: dict[str, Any], name: str) -> None:
    documents = volume_of(services[name], "bind")
    assert documents["read_only"] is True
    assert documents["target"] == services[name]["command"][1]
    assert is_tracked(with_defaults(documents["source"]))


@pytest.mark.parametrize("name", PIPELINES)
def test_the_state_outlives_the_container(compose: dict[str, Any], services: dict[str, Any], name: str) -> None:
    state = volume_of(services[name], "volume")
    assert state["source"] in compose["volumes"]
    set_in_the_image = " ".join(i.text for i in read_dockerfile() if i.name == "ENV")
    assert f"STATUS_STATE_DIR={state['target']}" in set_in_the_image


def test_drive_is_told_its_folder_and_credentials_by_the_environment_and_its_own_port(services: dict[str, Any]) -> None:
    environment = services["google-drive"]["environment"]
    for name in ("RAG_WATCH_FOLDER_ID", "GOOGLE_DRIVE_CREDENTIALS_JSON"):
        assert environment[name] == f"${{{name}:-}}"
    assert environment["STATUS_PORT"] == str(DEFAULT_PORT + 2)


def test_no_two_pipelines_share_an_id_a_folder_or_a_state(compose: dict[str, Any], services: dict[str, Any]) -> None:
    pipelines = [services[name] for name in PIPELINES]
    assert len({with_defaults(pipeline["environment"]["RAG_PIPELINE_ID"]) for pipeline in pipelines}) == len(PIPELINES)
    assert len({volume_of(services[name], "bind")["source"] for name in FOLDERS}) == len(FOLDERS)
    kept = [
        volume_of(service, "volume")["source"] for name, service in services.items() if name in {*PIPELINES, "redis"}
    ]
    assert sorted(kept) == sorted(compose["volumes"])


def test_each_service_restarts_stops_in_order_and_bounds_its_logs(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert service["restart"] == "unless-stopped", name
        assert service["stop_grace_period"] == "30s", name
        assert service["init"] is True, name
        assert service["logging"] == {"driver": "json-file", "options": {"max-size": "10m", "max-file": "3"}}, name


def test_no_service_holds_rights_it_does_not_need(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["tmpfs"] == ["/tmp"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        # Our image is without root by itself, which test_dockerfile.py shows; these two begin with it unless told.
        assert service.get("user") == {"redis": "redis", "proxy": "nginx"}.get(name), name


def test_each_service_has_a_bound_on_memory_and_processes(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert re.fullmatch(r"[1-9][0-9]*[mg]", service["mem_limit"]), name
        assert 0 < service["pids_limit"] <= 512, name


# -- the profile -------------------------------------------------------------------------------------------------------


def test_all_of_the_profile_share_one_redis_that_only_they_can_reach(
    compose: dict[str, Any], services: dict[str, Any]
) -> None:
    assert compose["networks"] == {"events": {"internal": True}}
    assert services["redis"]["networks"] == ["events"]
    joined = {name for name, service in services.items() if "events" in service.get("networks", [])}
    assert joined == SCALED - {"proxy"}
    for name in joined - {"redis"}:
        url = urlsplit(services[name]["environment"]["STATUS_REDIS_URL"])
        assert (url.scheme, url.hostname, url.port) == ("redis", "redis", 6379), name
        assert services[name]["depends_on"] == {"redis": {"condition": "service_healthy"}}, name


def test_to_name_the_proxy_starts_the_whole_profile(services: dict[str, Any]) -> None:
    started, looking_at = {"proxy"}, ["proxy"]
    while looking_at:
        needed = services[looking_at.pop()].get("depends_on", {}).keys() - started
        started |= needed
        looking_at += needed
    assert started == SCALED


def test_images_of_ours_that_are_built_at_once_have_different_names(services: dict[str, Any]) -> None:
    built = [service.get("image", name) for name, service in services.items() if "build" in service]
    assert sorted(set(built)) == sorted(built)
    assert len(built) == len(OURS)


def test_the_proxy_leads_to_both_ports_of_each_status_server(services: dict[str, Any]) -> None:
    assert [name for name, service in services.items() if service.get("command") == ["serve"]] == STATUS_SERVERS
    config = volume_of(services["proxy"], "bind")
    assert (config["source"], config["target"]) == ("./deploy/nginx-scale.conf", "/etc/nginx/nginx.conf")
    text = (ROOT / config["source"]).read_text()
    led_to = re.findall(r"^ +server ([\w-]+):(\d+)\b", text, re.MULTILINE)
    assert led_to == [(name, str(port)) for port in (DEFAULT_PORT, DEFAULT_PORT + 1) for name in STATUS_SERVERS]
    assert f"listen {services['proxy']['ports'][0].rsplit(':', 1)[1]};" in text
    # A read-only file system: all that nginx writes is in memory.
    assert set(re.findall(r"^ *(?:pid|\w+_temp_path) +(/\w+)/", text, re.MULTILINE)) == set(services["proxy"]["tmpfs"])
    assert len(re.findall(r"\w+_temp_path", text)) == 5


@pytest.mark.skipif(shutil.which("redis-server") is None, reason="redis-server is not installed (Debian: redis-server)")
@pytest.mark.parametrize("options", [[], ["--requirepass", "sesame"]])
def test_redis_takes_its_options_and_its_health_check_tells_well_from_unwell(
    services: dict[str, Any], options: list[str], tmp_path: Path
) -> None:
    (port,) = free_ports(1)
    here = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(tmp_path), *options]
    with subprocess.Popen([*services["redis"]["command"], *here], stdout=subprocess.DEVNULL) as redis:
        try:
            wait_until(lambda: redis.poll() is None and answers(port))
            kind, client, *asked = services["redis"]["healthcheck"]["test"]
            assert kind == "CMD"
            check = [client, "-p", str(port), *asked]
            healthy = subprocess.run(check, capture_output=True, timeout=30, check=False).returncode == 0
            assert healthy is not bool(options)
            assert (tmp_path / "appendonlydir").is_dir()
        finally:
            redis.terminate()


def compose_client() -> list[str] | None:
    """Return the command of a client that knows compose files, if this machine has one; no engine is needed."""
    for client in (["docker", "compose"], ["docker-compose"]):
        if (
            shutil.which(client[0])
            and subprocess.run([*client, "version"], capture_output=True, check=False).returncode == 0
        ):
            return client
    return None


@pytest.mark.parametrize("profile", [[], ["--profile", "scale"], ["--profile", "google-drive"]])
def test_compose_itself_accepts_the_file(profile: list[str]) -> None:
    client = compose_client()
    if client is None:
        pytest.skip("docker compose is not installed")
    unset = {key: value for key, value in os.environ.items() if key not in variables_read()}
    asked = [*client, "-f", str(COMPOSE), *profile, "config"]
    run = subprocess.run(asked, env=unset, capture_output=True, text=True, timeout=60, check=False)
    assert (run.returncode, run.stderr) == (0, "")
