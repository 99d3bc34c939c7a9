"""A mutation of a pipeline's state: decided, and yet to be carried out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from rag_pipeline.contract.events import PipelineEvent
from rag_pipeline.status.clocks import Moment
from rag_pipeline.status.sinks import Published
from rag_pipeline.status.throttle import StatusThrottle

Delivery = tuple[Callable[[Iterator[Published]], None], Iterator[Published]]
"""A sink's method, and the items for it.

The sink takes them from the iterator in one C call, so an exception raised into the thread finds the iterator untouched
or used up. Repeating the call delivers nothing twice.
"""


class Mutation:
    """A decided mutation. Deciding changed nothing; ``apply(*args)`` changes the state.

    ``apply`` makes assignments only, so it can be repeated. It is repeated if an exception was raised into the thread
    meanwhile, by a signal handler or a task's time limit.

    Then ``events`` go out. With ``status`` the new state goes out too: under a ``seq`` of its own if ``numbered``, and
    also in the namespace of ``former_type``. ``due`` is when held-back progress goes out. ``known`` is False if the
    file was not in flight, ``full`` is True if a warning had no room. ``deferred`` is the deferred call that this
    mutation came from.
    """

    status = False
    numbered = False
    former_type: str | None = None
    owes_status = False
    due: float | None = None
    known = True
    full = False
    deferred: object = None
    deliveries: tuple[Delivery, ...] | None = None
    throttle: StatusThrottle | None = None

    def __init__(
        self, now: Moment, apply: Callable[..., None], args: tuple[Any, ...], events: tuple[PipelineEvent, ...] = ()
    ) -> None:
        self.now = now
        self.apply = apply
        self.args = args
        self.events = events
