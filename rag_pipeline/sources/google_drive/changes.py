"""Changes: brings the mirror up to date from Drive's log of changes, page by page."""

from __future__ import annotations

from collections.abc import Callable

from rag_pipeline.sources.google_drive.api import DriveApi
from rag_pipeline.sources.google_drive.mirror import Mirror


def apply_changes(api: DriveApi, mirror: Mirror, drive_id: str | None, check: Callable[[], None]) -> None:
    """Take in all changes since the mirror's token.

    A page and the token of the next one are kept in one step: a process that is killed asks again for a page at most.
    Raises :class:`~rag_pipeline.sources.google_drive.errors.PageTokenGoneError` if Drive no longer accepts the token.
    """
    position = mirror.position
    assert position is not None, "a full pass comes first"
    token: str | None = position.token
    while token is not None:
        check()
        page = api.changes(token, drive_id, check)
        following = page.next_page_token or page.new_start_page_token or token
        if page.changes or following != token:
            mirror.apply(page.changes, following)
        token = page.next_page_token
