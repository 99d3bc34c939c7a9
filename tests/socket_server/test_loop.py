"""The driver implements the protocol."""

from __future__ import annotations

import inspect

from rag_pipeline.common.descriptors import DescriptorBudget
from rag_pipeline.socket_server.eventlet_driver.loop import EventletLoop
from rag_pipeline.socket_server.loop import Loop

CALLS = ("watch_read", "watch_write", "call_later", "serve", "stop")


def test_the_eventlet_driver_implements_the_protocol() -> None:
    loop: Loop = EventletLoop(DescriptorBudget().share(1))
    for name in CALLS:
        expected, given = inspect.signature(getattr(Loop, name)), inspect.signature(getattr(type(loop), name))
        assert list(expected.parameters) == list(given.parameters), name


def test_every_method_of_the_protocol_has_a_docstring() -> None:
    assert all(getattr(Loop, name).__doc__ for name in CALLS)
