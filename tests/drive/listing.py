"""``files.list``: the results of a query, in order, page by page."""

from __future__ import annotations

import random
import secrets
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from tests.drive import resources
from tests.drive.api_errors import ApiError, ViolationError, file_not_found, invalid
from tests.drive.items import Item
from tests.drive.query import EVERYTHING, Query, parse
from tests.drive.resources import Json
from tests.drive.tree import Tree

PARAMETERS = frozenset(
    {"q", "orderBy", "pageSize", "pageToken", "corpora", "driveId", "spaces", "supportsAllDrives"}
    | {"includeItemsFromAllDrives"}
)
ORDERS = frozenset({"name", "modifiedTime", "createdTime", "folder", "quotaBytesUsed"})
NOT_MODELLED = frozenset(
    {"name_natural", "recency", "starred", "modifiedByMeTime", "sharedWithMeTime", "viewedByMeTime"}
)


class ListPosition(NamedTuple):
    """The position of a page token: after this file, and only for the same request."""

    request: tuple[tuple[str, Any], ...]
    after: str


class Listings:
    """Answers ``files.list``, and keeps the issued page tokens."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._places: dict[str, ListPosition] = {}
        # Which pages are short is the same in each run.
        self._short = random.Random(0)
        self._chance = random.Random(0)
        # Which parents of a query are as if they were empty: on all of its pages the same.
        self._missed: dict[str, frozenset[str]] = {}

    def expire_tokens(self) -> None:
        """Expire all tokens."""
        self._places.clear()

    def page(self, given: Mapping[str, Any], base_url: str) -> Json:
        """Return one page of the results."""
        _check_corpora(given)
        found = self._ordered(given, self._found(given, base_url))
        start, request = self._start(given, found)
        end = start + self.page_size(given["pageSize"])
        made: Json = {"kind": "drive#fileList", "incompleteSearch": False, "files": found[start:end]}
        if end < len(found):
            token = secrets.token_urlsafe(24)
            # By the id of the last one shown, so that what is added or removed meanwhile moves nothing across the edge.
            self._places[token] = ListPosition(request, found[end - 1]["id"] if end else "")
            made["nextPageToken"] = "~!!~" + token
        if self._tree.behaviour.incomplete_searches > 0:
            self._tree.behaviour.incomplete_searches -= 1
            made |= {"incompleteSearch": True, "files": made["files"][::2]}
        return made

    def _start(self, given: Mapping[str, Any], found: list[Json]) -> tuple[int, tuple[tuple[str, Any], ...]]:
        request = tuple(sorted((name, value) for name, value in given.items() if name in PARAMETERS - {"pageToken"}))
        if "pageToken" not in given:
            return 0, request
        place = self._places.get(given["pageToken"].removeprefix("~!!~"))
        if place is None or place.request != request:
            raise invalid("pageToken")
        if "orderBy" not in given:
            return sum(one["id"] <= place.after for one in found), request
        numbers = {one["id"]: number for number, one in enumerate(found, start=1)}
        if place.after and place.after not in numbers:
            # It is gone: where it was can't be told any more, so the listing has to be begun again.
            raise invalid("pageToken")
        return numbers.get(place.after, 0), request

    def page_size(self, asked: int) -> int:
        """Return the number of results on a page for a requested page size."""
        return self._short.randint(0, min(asked, 10)) if self._tree.behaviour.short_pages else asked

    def _found(self, given: Mapping[str, Any], base_url: str) -> list[Json]:
        query = parse(given["q"], self._tree.root_id) if "q" in given else EVERYTHING
        if query.parents is not None and len(query.parents) > 1 and self._tree.behaviour.or_queries_miss:
            return []
        candidates = self._candidates(query, given, self._missed_by(query, given))
        made = (resources.file(self._tree, item, base_url) for item in candidates)
        return [file for file in made if query.meets(file) and file["id"] not in self._tree.behaviour.unlisted]

    def _missed_by(self, query: Query, given: Mapping[str, Any]) -> frozenset[str]:
        share = self._tree.behaviour.or_queries_miss_share
        if query.parents is None or len(query.parents) < 2:
            return frozenset()
        if "pageToken" not in given:
            missed = (parent for parent in sorted(query.parents) if self._chance.random() < share)
            self._missed[given["q"]] = frozenset(missed)
        return self._missed[given["q"]]

    def _candidates(self, query: Query, given: Mapping[str, Any], missed: frozenset[str]) -> Iterable[Item]:
        if query.parents is None:
            items: Iterable[Item] = self._tree.items.values()
        else:
            shown = query.parents - missed
            items = {item.id: item for parent in shown for item in self._children(parent)}.values()
        return (item for item in items if self._tree.can_see(item) and _is_included(item, given, self._tree.root_id))

    def _children(self, parent: str) -> list[Item]:
        if not self._tree.can_see(self._tree.items.get(parent)):
            if self._tree.behaviour.missing_parent_is_404:
                raise file_not_found("")
            return []
        return self._tree.children(parent)

    def _ordered(self, given: Mapping[str, Any], found: list[Json]) -> list[Json]:
        # No order is documented unless one is asked for; that of the ids is none a client would count on.
        found.sort(key=lambda file: str(file["id"]))
        for key in reversed([key for key in given.get("orderBy", "").split(",") if key.strip()]):
            name, _, direction = key.strip().partition(" ")
            if name in NOT_MODELLED:
                raise ViolationError(501, "notImplemented", f"orderBy: {name} is not modelled", location="orderBy")
            if name not in ORDERS or direction not in ("", "desc"):
                raise invalid("orderBy")
            found.sort(key=lambda file, name=name: _rank(name, file), reverse=direction == "desc")  # type: ignore[misc]
        return found


def _rank(name: str, file: Json) -> tuple[int, str]:
    if name == "folder":
        return (0 if file["mimeType"].endswith(".folder") else 1), ""
    if name == "quotaBytesUsed":
        return int(file.get(name, 0)), ""
    return 0, str(file[name])


def _is_included(item: Item, given: Mapping[str, Any], root_id: str) -> bool:
    if item.id in (root_id, item.drive_id):
        return False  # a root folder is in no list
    if given.get("corpora") == "drive":
        return bool(item.drive_id == given["driveId"])
    return item.drive_id is None or bool(given["includeItemsFromAllDrives"])


def _check_corpora(given: Mapping[str, Any]) -> None:
    corpora = given.get("corpora", "user")
    if corpora not in ("user", "drive", "allDrives", "domain"):
        raise invalid("corpora")
    if corpora == "domain":
        raise ViolationError(501, "notImplemented", "corpora: domain is not modelled", location="corpora")
    if given["includeItemsFromAllDrives"] and not given["supportsAllDrives"]:
        raise _conflict("includeItemsFromAllDrives", "wants supportsAllDrives")
    if (corpora == "drive") != ("driveId" in given):
        raise _conflict("driveId", "goes with corpora=drive, and with nothing else")
    if corpora in ("drive", "allDrives") and not given["includeItemsFromAllDrives"]:
        raise _conflict("corpora", f"{corpora} wants includeItemsFromAllDrives and supportsAllDrives")
    if given["spaces"] != "drive":
        raise ViolationError(501, "notImplemented", f"spaces: {given['spaces']} is not modelled", location="spaces")


def _conflict(parameter: str, what: str) -> ApiError:
    return ApiError(403, "invalid", f"{parameter} {what}", location=parameter)
