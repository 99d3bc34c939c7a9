"""The pipeline that follows a folder."""

from __future__ import annotations

from collections.abc import Mapping

from rag_pipeline.sources.following.pipeline import FollowingPipeline
from rag_pipeline.sources.ingestion import Parts
from rag_pipeline.sources.ledger import Ledger, Outcome, Row
from rag_pipeline.sources.local_files.scan import without_inode
from rag_pipeline.sources.local_files.settings import LocalFilesSettings
from rag_pipeline.sources.local_files.source import LocalFilesSource
from rag_pipeline.status import PipelineStatus
from rag_pipeline.status.control import Control


class LocalFilesPipeline(FollowingPipeline):
    """Follows the folder of the settings."""

    def __init__(
        self,
        status: PipelineStatus,
        settings: LocalFilesSettings,
        parts: Parts,
        ledger: Ledger,
        *,
        scope: str,
        control: Control | None = None,
    ) -> None:
        self._local = LocalFilesSource(settings, status.pipeline_id)
        super().__init__(
            status,
            self._local,
            parts,
            ledger,
            scope=scope,
            mode=settings.mode,
            check_interval_seconds=settings.check_interval_seconds,
            workers=settings.workers,
            brake=settings.brake,
            control=control,
        )

    def _known(self, stored: dict[str, str], names: Mapping[str, str]) -> dict[str, Row]:
        known = super()._known(stored, names)
        for key, row in known.items():
            known[key] = row._replace(version=without_inode(row.version)) if row.outcome is not Outcome.ODD else row
        self._local.learn(known)
        return known
