"""The hooks into the libraries: all are listed, all exist in the installed versions, other versions are not used."""

from __future__ import annotations

import inspect
import pkgutil
import re
import sys
from importlib.metadata import version

import engineio
import pytest
import socketio
from engineio.socket import Socket

from rag_pipeline.socket_server import library_hooks
from rag_pipeline.socket_server.engine import EngineServer, RoomlessManager, SocketIOServer
from rag_pipeline.socket_server.eventlet_driver.http import _HttpProtocol
from rag_pipeline.socket_server.eventlet_driver.imports import wsgi
from rag_pipeline.socket_server.library_hooks import unsupported_version
from rag_pipeline.socket_server.session import EngineSession
from tests.socket_server.support import WebSocketSession, new_pipeline, serving

_OVERRIDDEN, _USED = (library_hooks.__doc__ or "").split("Overridden ")[1].split("Called or read")
HOOKS = {
    "engineio.Server": (EngineServer, engineio.Server),
    "engineio.socket.Socket": (EngineSession, Socket),
    "socketio.Manager": (RoomlessManager, socketio.Manager),
    "socketio.Server": (SocketIOServer, socketio.Server),
    "eventlet.wsgi.HttpProtocol": (_HttpProtocol, wsgi.HttpProtocol),
}


def listed(section: str) -> list[str]:
    """Return the names that stand at the beginning of a line."""
    lines = [line for line in section.splitlines() if line.startswith("``")]
    return [name for line in lines for name in re.findall(r"``([\w.]+)``", line)]


def overridden(ours: type, library: type) -> list[str]:
    return [name for name in vars(ours) if inspect.isfunction(getattr(ours, name)) and hasattr(library, name)]


@pytest.mark.parametrize("name", HOOKS)
def test_every_overridden_method_is_listed(name: str) -> None:
    ours, library = HOOKS[name]
    in_code = {f"{name}.{method}" for method in overridden(ours, library)} - {f"{name}.__init__"}
    assert in_code == {hook for hook in listed(_OVERRIDDEN) if hook.rpartition(".")[0] == name}


@pytest.mark.parametrize("name", HOOKS)
def test_an_overridden_method_can_be_called_like_the_librarys(name: str) -> None:
    ours, library = HOOKS[name]
    for method in overridden(ours, library):
        if method != "__init__":
            expected = list(inspect.signature(getattr(library, method)).parameters.values())
            given = inspect.signature(getattr(ours, method)).parameters
            variadic = any(parameter.kind is inspect.Parameter.VAR_POSITIONAL for parameter in given.values())
            assert variadic or [parameter.name for parameter in expected] == list(given), method


@pytest.mark.parametrize("name", listed(_OVERRIDDEN) + listed(_USED))
def test_every_listed_name_is_in_the_installed_version(name: str) -> None:
    pkgutil.resolve_name(name)  # raises AttributeError if it is missing


# -- versions ----------------------------------------------------------------------------------------------------------


def test_the_installed_libraries_are_in_the_checked_range() -> None:
    assert unsupported_version() is None


@pytest.mark.parametrize(("name", "found"), [("python-engineio", "4.16.0"), ("python-socketio", "6.0.0rc1")])
def test_a_version_outside_the_range_is_named(monkeypatch: pytest.MonkeyPatch, name: str, found: str) -> None:
    monkeypatch.setattr(library_hooks, "version", lambda package: found if package == name else version(package))
    reason = unsupported_version()
    assert reason is not None
    assert f"{name} {found} " in reason


def test_with_an_unchecked_version_the_service_takes_the_library_path_and_logs_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(library_hooks, "version", lambda _: "4.99.1")
    for module in ("engine", "session"):  # with another version the hooks may not even import
        monkeypatch.setitem(sys.modules, f"rag_pipeline.socket_server.{module}", None)
    pipeline = new_pipeline()
    with serving(pipeline) as server, WebSocketSession(server.socket_port) as client:
        client.follow(pipeline)
    assert len([r for r in caplog.records if "using the library path" in r.getMessage()]) == 1
