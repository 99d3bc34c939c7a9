"""A subscriber is one client in one namespace."""

from __future__ import annotations

from rag_pipeline.broadcast import Subscriber
from tests.broadcast.outlets import RecordingOutlet


def test_a_new_subscriber_has_seen_nothing() -> None:
    outlet = RecordingOutlet()
    subscriber = Subscriber("sid", "client", "/pipeline", outlet)
    assert (subscriber.sid, subscriber.client, subscriber.namespace) == ("sid", "client", "/pipeline")
    assert subscriber.outlet is outlet
    assert (subscriber.misses_events, subscriber.greeted, subscriber.recovered) == (False, False, None)


def test_an_alias_has_the_same_namespace_and_its_own_channel() -> None:
    root, named = (Subscriber("sid", "client", name, RecordingOutlet()) for name in ("/", "/pipeline"))
    assert root.namespace == named.namespace == "/pipeline"
    assert root.channel is not named.channel


def test_a_returning_subscriber_has_not_recovered_yet() -> None:
    assert Subscriber("sid", "client", "/pipeline", RecordingOutlet(), offset="x-1").recovered is False
