"""The API's JSON for items, changes and drives, checked against its schema."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from tests.drive import schemas
from tests.drive.change_log import LogEntry
from tests.drive.documents import EXTENSIONS
from tests.drive.items import Item, SharedDrive
from tests.drive.tree import Tree

Json = dict[str, Any]
DOCUMENT_BYTES = 1024
"""The ``size`` of every Doc: what it counts for in the quota, which says nothing about an export."""
PRINCIPAL: Json = {
    "kind": "drive#user",
    "displayName": "Pipeline",
    "me": True,
    "permissionId": "1",
    "emailAddress": "pipeline@example.org",
}
SOMEONE: Json = {
    "kind": "drive#user",
    "displayName": "Someone Else",
    "me": False,
    "permissionId": "2",
    "emailAddress": "someone@example.org",
}


def file(tree: Tree, item: Item, base_url: str) -> Json:
    """Return all fields of a file that the account sees."""
    made: Json = {
        "kind": "drive#file",
        "id": item.id,
        "name": item.name,
        "mimeType": item.mime_type,
        "version": str(item.version),
        "createdTime": moment(item.created),
        "modifiedTime": moment(item.modified),
        "trashed": tree.is_trashed(item),
        "explicitlyTrashed": item.trashed,
        "starred": False,
        "spaces": ["drive"],
        "webViewLink": f"https://drive.google.com/file/d/{item.id}/view?usp=drivesdk",
        "iconLink": "https://drive-thirdparty.googleusercontent.com/16/type/" + item.mime_type,
        "capabilities": _capabilities(item),
        "copyRequiresWriterPermission": not item.can_download,
        "lastModifyingUser": PRINCIPAL if item.mine else SOMEONE,
        **_place(tree, item),
        **_substance(item, base_url),
    }
    schemas.check("File", made)
    return made


def change(tree: Tree, entry: LogEntry, feed_name: str, base_url: str, corpus_removals: bool) -> Json:
    """Return a change in its current state: the file or the shared drive, or its removal from this log."""
    made: Json = {"kind": "drive#change", "time": moment(entry.time)}
    if entry.subject.startswith("drive "):
        drive_id = entry.subject.removeprefix("drive ")
        member = tree.can_see(tree.items.get(drive_id))
        made |= {"changeType": "drive", "type": "drive", "driveId": drive_id, "removed": not member}
        if member:
            made["drive"] = drive(tree.drives[drive_id])
    else:
        item = tree.items.get(entry.subject)
        visible = item is not None and tree.can_see(item)
        listed = visible and item is not None and _is_listed(tree, item, feed_name)
        made |= {"changeType": "file", "type": "file", "fileId": entry.subject, "removed": not listed}
        if item is not None and (listed or (visible and corpus_removals)):
            made["file"] = file(tree, item, base_url)
        if item is not None and listed and item.drive_id:
            made["driveId"] = item.drive_id
    schemas.check("Change", made)
    return made


def drive(shared: SharedDrive) -> Json:
    """Return all fields of a shared drive."""
    made: Json = {
        "kind": "drive#drive",
        "id": shared.id,
        "name": shared.name,
        "createdTime": moment(shared.created),
        "hidden": False,
        "capabilities": {"canDownload": True, "canListChildren": True},
    }
    schemas.check("Drive", made)
    return made


def about() -> Json:
    """Return the ``about`` resource of the account."""
    return {"kind": "drive#about", "user": PRINCIPAL}


def moment(seconds: float) -> str:
    """Return a time in Drive's format: UTC, in milliseconds."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _is_listed(tree: Tree, item: Item, feed_name: str) -> bool:
    feed = tree.feed_of(item)
    return feed.name == feed_name or (feed_name == "user" and tree.behaviour.user_feed_has_drives)


def _place(tree: Tree, item: Item) -> Json:
    made: Json = {}
    # A folder above that can't be seen is not named.
    parents = [parent for parent in item.parents if tree.can_see(tree.items.get(parent))]
    if parents:
        made["parents"] = parents
    if item.drive_id:
        made |= {"driveId": item.drive_id, "teamDriveId": item.drive_id, "hasAugmentedPermissions": False}
    else:
        made |= {"ownedByMe": item.mine, "owners": [PRINCIPAL if item.mine else SOMEONE], "shared": not item.mine}
    if not item.mine and not item.drive_id:
        made["sharedWithMeTime"] = moment(item.created)
    return made


def _substance(item: Item, base_url: str) -> Json:
    if item.target:
        return {"shortcutDetails": {"targetId": item.target[0], "targetMimeType": item.target[1]}}
    if item.content:
        extension = item.name.rpartition(".")[2]
        return {
            "size": str(item.size),
            "quotaBytesUsed": str(item.size),
            "md5Checksum": item.md5,
            "headRevisionId": f"0B{item.revision:030}",
            "originalFilename": item.name,
            "fileExtension": extension,
            "fullFileExtension": extension,
            "webContentLink": f"https://drive.google.com/uc?id={item.id}&export=download",
        }
    if item.is_folder:
        return {"folderColorRgb": "#8f8f8f"}
    size = str(DOCUMENT_BYTES)
    made: Json = {"size": size, "quotaBytesUsed": size}
    if item.exports and item.can_download:
        made["exportLinks"] = {
            mime_type: f"{base_url}/docs/export?id={item.id}&exportFormat={EXTENSIONS[mime_type]}"
            for mime_type in item.exports
        }
    return made


def _capabilities(item: Item) -> Json:
    made: Json = {"canDownload": item.can_download, "canEdit": item.mine, "canCopy": item.can_download}
    return {**made, "canListChildren": True} if item.is_folder else made
