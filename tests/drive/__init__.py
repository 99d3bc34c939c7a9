"""A fake Google Drive for tests: real HTTP on loopback, checked against the discovery document of Drive v3.

::

    with DriveServer() as server:  # server.url is the base URL; the API is below {url}/drive/v3
        folder = server.drive.add_folder("papers")  # ids are strings; the parent is My Drive's root unless given
        file = server.drive.add_file("a.txt", "hello", folder)
        server.faults.add(error(403, "userRateLimitExceeded"), "files.list", times=2)
        ...
        assert server.requests.count("media") == 1

At the end of the block the test fails if a request was invalid for Drive v3 (``server.violations``: unknown paths,
parameters, values, names in ``fields``, methods that read-only access does not cover), or if a response did not match
the document's schemas. A test of an invalid request empties the list: ``server.violations.clear()``.

Credentials
    ``server.service_account()``
        the JSON of a service account (a dict), with its ``token_uri`` here
    ``server.client_secrets()``
        the JSON of an OAuth client for installed apps (``{"installed": {…}}``), URLs here
    ``server.authorized_user()``
        the JSON of a person's stored grant, with a refresh token
    ``server.access_token()``
        a valid access token, for the test's own requests
    ``server.grants``
        ``lifetime_seconds`` (3600) of new access tokens; ``expire_access_tokens()``; ``revoke()``: every refresh token
        and the service account get ``invalid_grant``; ``restore()`` the account; ``consent``: ``"granted"``,
        ``"denied"`` or ``"wrong state"``; ``refused``: the reasons of refused requests, a list
    The consent page ``{url}/consent`` redirects at once to a loopback ``redirect_uri``. It requires PKCE (S256), a
    ``state``, ``access_type=offline`` and only the scope ``drive.readonly``.

The model, ``server.drive``: all methods are safe under threads and take effect with the next request
    ``root_id``; ``add_folder(name, parent)``, ``add_file(name, content, parent, mime_type=, can_download=, abusive=)``,
    ``add_doc(name, text, parent, kind=, exports=, can_download=)``, ``add_shortcut(name, target, parent)``,
    ``add_drive(name)``: the id of a shared drive is that of its root folder.
    The parent ``SHARED_WITH_ME`` means: owned by someone else and shared with the account directly, so without visible
    parents. ``ELSEWHERE`` means: owned by someone else and not shared.
    ``content``: bytes, text, or ``Generated(size, seed)``: printable lines generated while they are served.
    ``kind``: ``"document"``, ``"spreadsheet"``, ``"presentation"``, ``"drawing"``, or ``"form"``, ``"site"``,
    ``"map"``, which have no exports. Exports of a document: Markdown, plain text, HTML, DOCX, PDF; of a sheet: XLSX,
    CSV, PDF; of slides: PDF, plain text; ``exports={mime: content}`` adds and replaces. A Doc has no md5 and no head
    revision; its ``size`` (1024) says nothing about an export, as Drive's doesn't.
    ``rename(id, name)``, ``move(id, parent)``, ``add_parent(id, parent)`` and ``remove_parent(id, parent)`` (legacy:
    more than one), ``set_content(id, content)``, ``set_text(id, text)`` (of a Doc), ``touch(id)`` (a new version and
    date, same content), ``retarget(id, target)``, ``trash(id)``, ``untrash(id)``, ``delete(id)``, ``revoke(id)`` and
    ``grant(id)`` (the account's access, also to a shared drive), ``set_download(id, allowed)``,
    ``rename_drive(id, name)``
    ``item(id)``
        an item: ``.content_bytes(start, end)``, ``.md5``, ``.size``, ``.version``, ``.name``, ``.exports``, …
    ``below(folder_id)``
        ids of all visible, untrashed files below the folder, with shortcuts followed: what a pipeline should store

Behaviour in which Drive may vary, so that a client must handle both: attributes of ``server.behaviour``
    ``entries_for_descendants`` (False)
        False: a folder that is trashed, deleted or no longer shared has one entry in the changes, and the ``trashed``
        of its children changes without one. True: each descendant has one too
    ``user_feed_has_drives`` (False)
        False: items of shared drives are only in their drive's log
    ``short_pages`` (False)
        True: pages have fewer entries than requested, some none at all
    ``or_queries_miss`` (False)
        True: a query for several parents at once finds nothing (Drive has done this)
    ``or_queries_miss_share`` (0.0)
        with this probability, each of several parents in one query seems empty, at random, on all pages of that query,
        and with ``incompleteSearch`` false (Drive has done this too)
    ``unlisted`` (empty)
        ids that are never listed, although ``files.get`` returns them
    ``missing_parent_is_404`` (True)
        a query for the children of a missing or invisible folder is a 404, else an empty list
    ``gone_status`` (410)
        or 400: the status for an expired page token
    ``gzip_media`` (False)
        True: text is compressed if the client accepts gzip and requests no range
    ``ignore_ranges`` (False)
        True: ``Range`` is answered with 200 and the whole content
    ``redirect_exports`` (False)
        True: an export link redirects to another host name, which must not see the token
    ``export_limit_bytes`` (10 MiB)
        above this size, ``files.export`` is refused, and only the export links work
    ``incomplete_searches`` (0)
        the number of coming ``files.list`` that leave files out and set ``incompleteSearch``
    ``server.expire_change_tokens()``, ``server.expire_list_tokens()``
        expire all page tokens issued so far

Faults, ``server.faults`` (see ``faults.py``)
    ``add(fault, operation=None, *, file=None, times=1, after=0) -> Planned``
        applies to requests of that operation (None: any except ``token`` and ``consent``) about that file id (None:
        any); ``times=None``: until ``clear()``; ``planned.hits``
    Operations: ``files.list``, ``files.get``, ``media`` (``alt=media``), ``files.export``, ``export_link``,
    ``export_content`` (behind a redirect), ``changes.list``, ``changes.getStartPageToken``, ``drives.get``,
    ``drives.list``, ``about.get``, ``token``, ``consent``
    ``error(status, reason, retry_after=)``, ``too_many(retry_after=)``, ``unauthorized()``,
    ``server_error(status=503)``, ``page_token_gone()``, ``cut_headers(late=)`` (late: http.client takes it for a
    complete response without a body), ``cut_body(after=)``, ``stall(after=)`` (until ``faults.release()`` or the end),
    ``corrupt()`` (same length, other bytes), ``truncate(by=)`` (complete, but too short), ``slow(seconds)``
    ``random(rate, seed, operations=None, *, refusal_rate=0.0)``
        from now on, every API request fails with that probability, by a fault that a retry cures, and with
        ``refusal_rate`` several in a row are refused for a reason that does not concern a file; ``stop_random()``,
        ``random_hits``, ``refusals``

The log of requests, ``server.requests``
    a list of ``LoggedRequest`` (operation, method, path, query, headers, status, bytes_in, bytes_out, fault) with
    ``count(operation=None)``, ``bytes_out(operation=None)``, ``operations()``, ``clear()``
"""

from __future__ import annotations

from tests.drive.content import Generated
from tests.drive.faults import (
    corrupt,
    cut_body,
    cut_headers,
    error,
    page_token_gone,
    server_error,
    slow,
    stall,
    too_many,
    truncate,
    unauthorized,
)
from tests.drive.model import ELSEWHERE, SHARED_WITH_ME
from tests.drive.server import DriveServer

__all__ = [
    "ELSEWHERE",
    "SHARED_WITH_ME",
    "DriveServer",
    "Generated",
    "corrupt",
    "cut_body",
    "cut_headers",
    "error",
    "page_token_gone",
    "server_error",
    "slow",
    "stall",
    "too_many",
    "truncate",
    "unauthorized",
]
