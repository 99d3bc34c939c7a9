"""A mutation that was decided and is yet to be carried out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from rag_pipeline.contract.events import Event

if TYPE_CHECKING:
    from rag_pipeline.status.sinks import Published
    from rag_pipeline.status.state import Moment
    from rag_pipeline.status.throttle import StatusThrottle


Delivery = tuple[Callable[[Iterator["Published"]], None], Iterator["Published"]]
"""A sink's method, and the items on their way to it.

A sink takes them from the iterator in one C call, so an exception raised into the thread finds the iterator untouched
or used up. Handing it over again takes nothing twice.
"""


class Change:
    """A mutation in two steps: it was decided, which changed nothing, and now it is applied.

    ``apply(*args)`` makes assignments only, so it may be repeated. It is repeated when an exception was raised into the
    thread meanwhile, by a signal handler or a task's time limit.

    ``events`` go out once it is applied. With ``status`` the state as it then stands goes out too, with a number of its
    own if ``numbered``, and also in the namespace of ``former_type``. ``due`` is when held-back progress goes out.
    ``known`` says whether the file was in flight, ``deferred`` which deferred call this is.
    """

    status = False
    numbered = False
    former_type: str | None = None
    owes_status = False
    due: float | None = None
    known = True
    deferred: object = None
    deliveries: tuple[Delivery, ...] | None = None
    throttle: StatusThrottle | None = None

    def __init__(
        self, now: Moment, apply: Callable[..., None], args: tuple[Any, ...], events: tuple[Event, ...] = ()
    ) -> None:
        self.now = now
        self.apply = apply
        self.args = args
        self.events = events
