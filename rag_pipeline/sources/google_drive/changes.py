"""Applies Drive's log of changes to the mirror, page by page."""

from __future__ import annotations

from rag_pipeline.sources.google_drive.api import DriveApi
from rag_pipeline.sources.google_drive.mirror import Mirror
from rag_pipeline.sources.source import Check


def apply_changes(api: DriveApi, mirror: Mirror, drive_id: str | None, check: Check) -> None:
    """Apply all changes since the mirror's page token.

    A page and the token of the next one are saved together, so a killed process requests one page again at most.
    Raises :class:`~rag_pipeline.sources.google_drive.errors.PageTokenGoneError` if Drive no longer accepts the token.
    """
    position = mirror.position
    assert position is not None, "a full pass comes first"
    token: str | None = position.token
    while token is not None:
        check()
        page = api.changes(token, drive_id, check)
        next_token = page.next_page_token or page.new_start_page_token or token
        if page.changes or next_token != token:
            mirror.apply(page.changes, next_token)
        token = page.next_page_token
