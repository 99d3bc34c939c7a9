"""A plain HTTP client with a valid access token, for the tests of the fake Drive."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import requests

from tests.drive.server import DriveServer

Json = dict[str, Any]


class DriveClient:
    """Sends requests to one server over one connection."""

    def __init__(self, server: DriveServer) -> None:
        self.server = server
        self.session = requests.Session()
        self.session.trust_env = False  # no proxy, no .netrc
        self.session.headers["Authorization"] = f"Bearer {server.access_token()}"

    def get(self, path: str, headers: Mapping[str, str] | None = None, /, **params: str) -> requests.Response:
        """Return the response to a ``GET`` below ``/drive/v3``."""
        url = f"{self.server.url}/drive/v3/{path}"
        return self.session.get(url, params=params, headers=headers, timeout=30)

    def json(self, path: str, /, **params: str) -> Json:
        """Return the JSON of a successful response."""
        answer = self.get(path, **params)
        assert answer.status_code == 200, answer.text
        made: Json = answer.json()
        return made

    def refused(self, path: str, headers: Mapping[str, str] | None = None, /, **params: str) -> tuple[int, str]:
        """Return status and reason of an error response."""
        answer = self.get(path, headers, **params)
        assert answer.status_code >= 400, answer.text
        return answer.status_code, str(answer.json()["error"]["errors"][0]["reason"])

    def token(self, **params: str) -> str:
        """Return a page token for the changes from now on."""
        return str(self.json("changes/startPageToken", **params)["startPageToken"])

    def changes(self, token: str, **params: str) -> dict[str, str]:
        """Return the changes since the token by name or id: the parents, ``trashed``, or ``removed``."""
        page = self.json(
            "changes",
            pageToken=token,
            fields="newStartPageToken,nextPageToken,changes(fileId,removed,file(name,trashed,parents))",
            **params,
        )
        return dict(_told(change) for change in page["changes"])


def ids_of(page: Json) -> set[str]:
    """Return the ids of the files on a page."""
    return {file["id"] for file in page["files"]}


def _told(change: Json) -> tuple[str, str]:
    if change["removed"]:
        return change.get("fileId", "a drive"), "removed"
    if "file" not in change:
        return "a drive", "changed"
    return change["file"]["name"], "trashed" if change["file"]["trashed"] else ",".join(change["file"]["parents"])
