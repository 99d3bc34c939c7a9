"""The modelled methods of Drive v3, and the links that they return."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any, NamedTuple

from tests.drive import resources, responses, schemas
from tests.drive.api_errors import ApiError, ViolationError, file_not_found, invalid
from tests.drive.change_log import ChangeLog
from tests.drive.content import Content
from tests.drive.discovery import Call
from tests.drive.documents import EXTENSIONS
from tests.drive.fields import cut_down, mask_for
from tests.drive.items import Item
from tests.drive.listing import PARAMETERS as LIST_PARAMETERS
from tests.drive.listing import Listings
from tests.drive.resources import Json
from tests.drive.responses import HttpResponse
from tests.drive.tree import Tree

DRIVE_PARAMETERS = frozenset({"driveId", "supportsAllDrives"})


class Method(NamedTuple):
    """A modelled method: its implementation and its modelled parameters."""

    answer: Callable[[Mapping[str, Any]], Json]
    parameters: frozenset[str] = frozenset()


class Api:
    """Answers calls; the caller holds the tree's lock."""

    def __init__(self, tree: Tree, url: str) -> None:
        self.listings = Listings(tree)
        self._tree = tree
        self._url = url
        self._links: dict[str, str] = {}
        self.methods = {
            "about.get": Method(lambda _: resources.about()),
            "changes.getStartPageToken": Method(self._start_page_token, DRIVE_PARAMETERS),
            "changes.list": Method(
                self._changes,
                DRIVE_PARAMETERS
                | {"pageToken", "pageSize", "includeRemoved", "includeItemsFromAllDrives", "includeCorpusRemovals"}
                | {"restrictToMyDrive", "spaces"},
            ),
            "drives.get": Method(self._drive, frozenset({"driveId"})),
            "drives.list": Method(self._drives, frozenset({"pageSize"})),
            "files.export": Method(lambda _: {}, frozenset({"fileId", "mimeType"})),
            "files.get": Method(self._file, frozenset({"fileId", "supportsAllDrives", "acknowledgeAbuse"})),
            "files.list": Method(lambda given: self.listings.page(given, self._url), LIST_PARAMETERS),
        }

    def answer(self, call: Call, headers: Mapping[str, str]) -> HttpResponse:
        """Return the response to a call, or raise ApiError."""
        if call.method.name == "files.export":
            return self._export(call.given)
        if call.media:
            return self._media(call.given, headers)
        assert call.method.schema is not None
        mask = mask_for(call.method.schema, call.given.get("fields"))
        made = self.methods[call.method.name].answer(call.given)
        schemas.check(call.method.schema, made)
        return responses.of_json(cut_down(made, mask))

    # What is known of files and drives

    def _file(self, given: Mapping[str, Any]) -> Json:
        return resources.file(self._tree, self._visible(given), self._url)

    def _visible(self, given: Mapping[str, Any]) -> Item:
        item_id = self._tree.root_id if given["fileId"] == "root" else given["fileId"]
        item = self._tree.items.get(item_id)
        # files.export has no such parameter: it is for all drives.
        hidden = item is not None and item.drive_id and not given.get("supportsAllDrives", True)
        if item is None or hidden or not self._tree.can_see(item):
            raise file_not_found(given["fileId"])
        return item

    def _drive(self, given: Mapping[str, Any]) -> Json:
        drive_id = given["driveId"]
        if drive_id not in self._tree.drives or not self._tree.can_see(self._tree.items.get(drive_id)):
            raise ApiError(404, "notFound", f"Shared drive not found: {drive_id}", location="driveId")
        return resources.drive(self._tree.drives[drive_id])

    def _drives(self, given: Mapping[str, Any]) -> Json:
        seen = [one for one in self._tree.drives.values() if self._tree.can_see(self._tree.items[one.id])]
        return {"kind": "drive#driveList", "drives": [resources.drive(one) for one in seen[: given["pageSize"]]]}

    # Changes

    def _start_page_token(self, given: Mapping[str, Any]) -> Json:
        return {"kind": "drive#startPageToken", "startPageToken": self._feed(given).token()}

    def _changes(self, given: Mapping[str, Any]) -> Json:
        if given["spaces"] != "drive":
            raise ViolationError(501, "notImplemented", f"spaces: {given['spaces']} is not modelled", location="spaces")
        if given["includeItemsFromAllDrives"] and not given["supportsAllDrives"]:
            raise invalid("includeItemsFromAllDrives", "includeItemsFromAllDrives wants supportsAllDrives")
        feed = self._feed(given)
        start = feed.number_of(given["pageToken"], self._tree.behaviour.gone_status)
        size = self.listings.page_size(given["pageSize"])
        entries = list(islice(feed.after(start), size + 1))
        page = entries[:size]
        shown = [
            resources.change(self._tree, entry, feed.name, self._url, given["includeCorpusRemovals"]) for entry in page
        ]
        made: Json = {"kind": "drive#changeList", "changes": [one for one in shown if self._is_wanted(one, given)]}
        if len(entries) > size:
            made["nextPageToken"] = feed.token(page[-1].number if page else start)
        else:
            made["newStartPageToken"] = feed.token()
        return made

    def _is_wanted(self, change: Json, given: Mapping[str, Any]) -> bool:
        if change["removed"] and not given["includeRemoved"]:
            return False
        in_drive = change["changeType"] == "drive" or "driveId" in change
        if in_drive and not given["includeItemsFromAllDrives"]:
            return False
        mine = change.get("file", {}).get("ownedByMe", True)
        return bool(mine or not given["restrictToMyDrive"])

    def _feed(self, given: Mapping[str, Any]) -> ChangeLog:
        if "driveId" not in given:
            return self._tree.user_feed
        if not given["supportsAllDrives"]:
            raise invalid("driveId", "driveId wants supportsAllDrives")
        self._drive(given)
        return self._tree.drive_feeds[given["driveId"]]

    # Content

    def _media(self, given: Mapping[str, Any], headers: Mapping[str, str]) -> HttpResponse:
        item = self._visible(given)
        if item.content is None:
            raise ApiError(403, "fileNotDownloadable", location="alt")
        if not item.can_download:
            raise ApiError(403, "cannotDownloadFile")
        if item.abusive and not (given["acknowledgeAbuse"] and item.mine):
            raise ApiError(403, "cannotDownloadAbusiveFile")
        ranged = None if self._tree.behaviour.ignore_ranges else headers.get("range")
        answer = responses.media(item.content, item.mime_type, ranged)
        squeezed = self._tree.behaviour.gzip_media and item.mime_type.startswith("text/") and answer.status == 200
        return responses.compressed(answer) if squeezed and "gzip" in headers.get("accept-encoding", "") else answer

    def _export(self, given: Mapping[str, Any]) -> HttpResponse:
        item = self._visible(given)
        if not item.is_google or item.is_folder or item.is_shortcut:
            raise ApiError(403, "fileNotExportable")
        if not item.can_download:
            raise ApiError(403, "cannotExportFile")
        content = item.exports.get(given["mimeType"])
        if content is None:
            raise ApiError(400, "badRequest", "The requested conversion is not supported.", location="convertTo")
        if content.size > self._tree.behaviour.export_limit_bytes:
            raise ApiError(403, "exportSizeLimitExceeded")
        return _streamed(content, given["mimeType"])

    def export_link(self, query: Mapping[str, str], link_host: str) -> HttpResponse:
        """Return the export behind a link, of any size, or a redirect to it."""
        item = self._visible({"fileId": query.get("id", "")})
        wanted = query.get("exportFormat")
        for mime_type, content in item.exports.items():
            if EXTENSIONS[mime_type] == wanted and item.can_download:
                if not self._tree.behaviour.redirect_exports:
                    return _streamed(content, mime_type)
                key = secrets.token_urlsafe(16)
                self._links[key] = f"{item.id} {mime_type}"
                return responses.redirected(f"{link_host}/docs/content?key={key}")
        raise ApiError(400, "badRequest", f"no export to {wanted!r}")

    def linked(self, key: str) -> HttpResponse:
        """Return the export that a redirect led to; the key works once, without a token."""
        item_id, _, mime_type = self._links.pop(key, "").partition(" ")
        if item_id not in self._tree.items:
            raise file_not_found(item_id)
        return _streamed(self._tree.items[item_id].exports[mime_type], mime_type)


def _streamed(content: Content, mime_type: str) -> HttpResponse:
    return HttpResponse(200, {"Content-Type": mime_type}, content, 0, content.size, chunked=True)
