"""Write invitations (iCalendar) as readable lines: what, when, where, who."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rag_pipeline.ingest.extract.charset import open_text
from rag_pipeline.ingest.extract.input_file import InputFile
from rag_pipeline.ingest.extract.section_writer import SectionWriter

_FOLD = re.compile(r"\r?\n[ \t]")
_ESCAPE = re.compile(r"\\([nN,;\\])")
_DATE = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})(?:T([0-9]{2})([0-9]{2})[0-9]{0,2}(Z?))?")
_LABELS = {
    "SUMMARY": "Event",
    "DTSTART": "Start",
    "DTEND": "End",
    "DUE": "Due",
    "DURATION": "Duration",
    "RRULE": "Repeats",
    "LOCATION": "Location",
    "STATUS": "Status",
    "ORGANIZER": "Organizer",
    "ATTENDEE": "Attendee",
    "DESCRIPTION": "Description",
    "COMMENT": "Comment",
}
_COMPONENTS = frozenset({"VEVENT", "VTODO", "VJOURNAL"})


def read_calendar(file: InputFile, writer: SectionWriter) -> None:
    """Read a calendar file (ics); each event is a section."""
    for number, event in enumerate(_events(open_text(file, writer).read()), start=1):
        writer.section(f"event {number}")
        writer.write("\n".join(event) + "\n")


def write_invitation(text: str, writer: SectionWriter) -> None:
    """Write the events of a mail's calendar part."""
    for event in _events(text):
        writer.write("\n".join(event) + "\n")


def _events(text: str) -> Iterator[list[str]]:
    """Yield the lines of each event."""
    event: list[str] = []
    components: list[str] = []
    for line in _FOLD.sub("", text).splitlines():
        head, _, value = line.partition(":")
        name = head.partition(";")[0].strip().upper()
        if name == "BEGIN":
            components.append(value.strip().upper())
        elif name == "END":
            if components and components.pop() in _COMPONENTS and event:
                yield event
                event = []
        elif components and components[-1] in _COMPONENTS and name in _LABELS:
            head, _, value = _split(line)
            if shown := _shown(name, head.partition(";")[2], value.strip()):
                event.append(f"{_LABELS[name]}: {shown}")
    if event:
        yield event


def _split(line: str) -> tuple[str, str, str]:
    """Split a line at its first colon outside quotes, which parameters may hold."""
    quoted = False
    for at, char in enumerate(line):
        if char == '"':
            quoted = not quoted
        elif char == ":" and not quoted:
            return line[:at], ":", line[at + 1 :]
    return line.partition(":")


def _shown(name: str, parameters: str, value: str) -> str:
    if name in ("DTSTART", "DTEND", "DUE"):
        return _date(value, _parameter(parameters, "TZID"))
    if name in ("ORGANIZER", "ATTENDEE"):
        address = value[7:] if value.lower().startswith("mailto:") else value
        common_name = _parameter(parameters, "CN")
        return f"{common_name} <{address}>" if common_name and common_name != address else address
    return _ESCAPE.sub(lambda match: "\n" if match[1] in "nN" else match[1], value).strip()


def _date(value: str, zone: str) -> str:
    match = _DATE.fullmatch(value)
    if match is None:
        return value
    year, month, day, hour, minute, utc = match.groups()
    if hour is None:
        return f"{year}-{month}-{day}"
    return f"{year}-{month}-{day} {hour}:{minute}" + (" UTC" if utc else f" ({zone})" if zone else "")


def _parameter(parameters: str, name: str) -> str:
    for parameter in parameters.split(";"):
        key, _, value = parameter.partition("=")
        if key.strip().upper() == name:
            return value.strip().strip('"')
    return ""
