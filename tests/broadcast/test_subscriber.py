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


def test_by_whichever_name_it_joined_it_is_in_the_same_namespace_with_packets_of_its_own() -> None:
    root, named = (Subscriber("sid", "client", name, RecordingOutlet()) for name in ("/", "/pipeline"))
    assert root.namespace == named.namespace == "/pipeline"
    assert root.channel is not named.channel


def test_one_that_was_here_before_has_not_recovered_until_it_has_all() -> None:
    assert Subscriber("sid", "client", "/pipeline", RecordingOutlet(), offset="x-1").recovered is False
