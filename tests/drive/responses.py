"""HTTP responses: status, headers, and a body that is in memory or produced while it is sent."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.drive.api_errors import ApiError
from tests.drive.content import Content, Held


@dataclass
class HttpResponse:
    """A response whose body is the content from ``start`` to ``end``."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    content: Content = field(default_factory=lambda: Held(b""))
    start: int = 0
    end: int = 0
    chunked: bool = False
    """Sent without a Content-Length, like exports."""

    @property
    def length(self) -> int:
        """Bytes of the body."""
        return self.end - self.start

    def pieces(self) -> Iterator[bytes]:
        """Yield the body."""
        return self.content.read(self.start, self.end)


def held(data: bytes, content_type: str, status: int = 200, headers: Mapping[str, str] | None = None) -> HttpResponse:
    """Return a response with these bytes."""
    made = {"Content-Type": content_type, **(headers or {})}
    return HttpResponse(status, made, Held(data), 0, len(data))


def of_json(body: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> HttpResponse:
    """Return a JSON response, on several lines like Google's."""
    return held(json.dumps(body, indent=1).encode(), "application/json; charset=UTF-8", status, headers)


def refused(refusal: ApiError) -> HttpResponse:
    """Return the response for an error."""
    return of_json(refusal.body(), refusal.status, refusal.headers)


def redirected(location: str) -> HttpResponse:
    """Return a redirect."""
    return held(b"", "text/html", 302, {"Location": location})


def media(content: Content, content_type: str, asked: str | None) -> HttpResponse:
    """Return the content or the requested range; raise ApiError for a range outside of it."""
    headers = {"Content-Type": content_type, "Accept-Ranges": "bytes"}
    found = re.fullmatch(r"bytes=(\d*)-(\d*)", asked or "")
    if found is None or found[0] == "bytes=-":
        return HttpResponse(200, headers, content, 0, content.size)
    start, end = _bounds(found[1], found[2], content.size)
    if start >= end:
        raise ApiError(416, "requestedRangeNotSatisfiable", headers={"Content-Range": f"bytes */{content.size}"})
    headers["Content-Range"] = f"bytes {start}-{end - 1}/{content.size}"
    return HttpResponse(206, headers, content, start, end)


def compressed(answer: HttpResponse) -> HttpResponse:
    """Return the response compressed with gzip."""
    data = gzip.compress(b"".join(answer.pieces()), compresslevel=1)
    headers = {name: value for name, value in answer.headers.items() if name != "Accept-Ranges"}
    headers |= {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
    return HttpResponse(answer.status, headers, Held(data), 0, len(data), answer.chunked)


def _bounds(first: str, last: str, size: int) -> tuple[int, int]:
    if not first:
        return max(0, size - int(last)), size
    return int(first), min(int(last) + 1 if last else size, size)
