"""Format log lines: text for people, or one JSON object a line with ``LOG_FORMAT=json``.

Only the commands set up logging. A host program that wants JSON lines gives :class:`JsonFormatter` to its handler.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import TextIO

from rag_pipeline.common.env import read_choice
from rag_pipeline.common.printing import printable
from rag_pipeline.errors import RagPipelineError

logger = logging.getLogger("rag_pipeline.command")

TEXT_FORMAT = "%(asctime)s %(levelname)s %(message)s"
MAX_TEXT_LENGTH = 4000
"""Characters of a message or traceback: log collectors cut lines of 16 KB and more, which would break the JSON."""


class LogFormat(StrEnum):
    """``text`` is for people, ``json`` for machines."""

    TEXT = "text"
    JSON = "json"


def about(pipeline_id: str | None, file_id: str | None = None) -> dict[str, str | None]:
    """Return the ``extra`` of a log call about a pipeline, or about one of its files."""
    return {"pipeline_id": pipeline_id, "file_id": file_id}


class JsonFormatter(logging.Formatter):
    """Formats a record as one JSON object, in ASCII on one line.

    Always has ``time`` (ISO 8601 in UTC), ``level``, ``logger`` and ``message``; ``pipeline_id`` and ``file_id`` if the
    line is about one; ``exception`` (``type``, ``message``, ``traceback``) if there was one.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": _bounded(record.getMessage()),
        }
        for key in about(None):
            value = getattr(record, key, None)
            if value is not None:
                line[key] = str(value)
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            line["exception"] = _described(error)
        return json.dumps(line)


class TextFormatter(logging.Formatter):
    """Formats a record as one line for people; a traceback follows on indented lines.

    Messages contain names and content of files. Characters that would move the cursor or begin another line become
    escapes.
    """

    def __init__(self) -> None:
        super().__init__(TEXT_FORMAT)

    def format(self, record: logging.LogRecord) -> str:
        """Return the lines."""
        record.message = record.getMessage()
        record.asctime = self.formatTime(record)
        lines = [printable(self.formatMessage(record))]
        if record.exc_info and record.exc_info[1] is not None:
            further = "".join(traceback.format_exception(record.exc_info[1]))
            lines += (f"  {printable(line)}" for line in further.rstrip("\n").split("\n"))
        if record.stack_info:
            lines += (f"  {printable(line)}" for line in record.stack_info.split("\n"))
        return "\n".join(lines)


class StderrHandler(logging.StreamHandler[TextIO]):
    """Writes to the current stderr, so that a live view can put lines above itself."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        """Where the next line goes."""
        # A live view replaces stderr even if it is a file; lines for a file do not belong on its screen.
        taken: TextIO | None = getattr(sys.stderr, "rich_proxied_file", None)
        return sys.stderr if taken is None or taken.isatty() else taken


def set_up(level: int, env: Mapping[str, str] | None = None) -> LogFormat:
    """Write log lines from ``level`` on to stderr, formatted as ``LOG_FORMAT`` says, unless logging is set up already.

    Raises ConfigurationError for a value other than ``text`` and ``json``.
    """
    chosen = read_choice(os.environ if env is None else env, "LOG_FORMAT", LogFormat.TEXT)
    handler = StderrHandler()
    handler.setFormatter(JsonFormatter() if chosen is LogFormat.JSON else TextFormatter())
    logging.basicConfig(handlers=[handler], level=level)
    # It logs a traceback for each answer that breaks off in its headers; the caller logs one line.
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    return chosen


def run_logged(chosen: LogFormat, command: Callable[[], int]) -> int:
    """Run the command; if log lines are JSON, the error that ends it is a log line too."""
    if chosen is LogFormat.TEXT:
        return command()
    try:
        return command()
    except RagPipelineError as error:
        logger.error("%s", error)
        return error.exit_code


def _described(error: BaseException) -> dict[str, str]:
    lines = "".join(traceback.format_exception(error))
    try:
        message = str(error)
    except Exception:  # noqa: BLE001 - its __str__ is broken; log the rest
        message = ""
    return {
        "type": type(error).__name__,
        "message": _bounded(message),
        "traceback": lines if len(lines) <= MAX_TEXT_LENGTH else f"…{lines[-MAX_TEXT_LENGTH:]}",
    }


def _bounded(text: str) -> str:
    return text if len(text) <= MAX_TEXT_LENGTH else f"{text[:MAX_TEXT_LENGTH]}…"
