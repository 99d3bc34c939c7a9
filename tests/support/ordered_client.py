"""A python-socketio client that handles events in their order of arrival."""

from __future__ import annotations

from typing import Any

import engineio
import socketio


class _Engine(engineio.Client):  # type: ignore[misc]  # the library has no types
    """Handles each packet before it reads the next one."""

    def _trigger_event(self, event: str, *args: Any, **kwargs: Any) -> Any:
        kwargs["run_async"] = False
        return super()._trigger_event(event, *args, **kwargs)


class OrderedClient(socketio.Client):  # type: ignore[misc]  # as above
    """The stock client starts a thread for each event, so on a busy machine its handlers run in any order."""

    def _engineio_client_class(self) -> type[engineio.Client]:
        return _Engine
