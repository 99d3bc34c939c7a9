"""Calendars."""

from __future__ import annotations

from tests.ingest.extract.makers import read

EVENT = b"""BEGIN:VCALENDAR
BEGIN:VTIMEZONE
DTSTART:19700101T000000
END:VTIMEZONE
BEGIN:VEVENT
SUMMARY:Plan\\, part
  two
DTSTART;TZID="Europe/Oslo":20240501T093000
DTEND;VALUE=DATE:20240502
ORGANIZER;CN="Holm: Edda":mailto:e@example.org
ATTENDEE:mailto:b@example.org
DESCRIPTION:one\\ntwo
X-OTHER:no
BEGIN:VALARM
DESCRIPTION:no
END:VALARM
END:VEVENT
BEGIN:VTODO
SUMMARY:Call
DUE:soon
"""


def test_events_are_readable_lines() -> None:
    assert read(EVENT, "a.ics") == [
        (
            "event 1",
            (
                "Event: Plan, part two\nStart: 2024-05-01 09:30 (Europe/Oslo)\nEnd: 2024-05-02\n"
                "Organizer: Holm: Edda <e@example.org>\nAttendee: b@example.org\nDescription: one\ntwo"
            ),
        ),
        ("event 2", "Event: Call\nDue: soon"),
    ]
    assert read(EVENT) == read(EVENT, "a.ics")
