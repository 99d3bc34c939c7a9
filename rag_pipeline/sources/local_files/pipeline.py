"""The pipeline that follows a local folder."""

from __future__ import annotations

from collections.abc import Mapping

from rag_pipeline.sources.following.pipeline import FollowingPipeline
from rag_pipeline.sources.ledger import Ledger, LedgerRow, Outcome
from rag_pipeline.sources.local_files.scan import without_inode
from rag_pipeline.sources.local_files.settings import LocalFilesSettings
from rag_pipeline.sources.local_files.source import LocalFilesSource
from rag_pipeline.sources.stages import Stages
from rag_pipeline.status.control import Control
from rag_pipeline.status.pipeline import PipelineStatus


class LocalFilesPipeline(FollowingPipeline):
    """Follows the folder of the settings."""

    def __init__(
        self,
        status: PipelineStatus,
        settings: LocalFilesSettings,
        stages: Stages,
        ledger: Ledger,
        *,
        collection: str,
        control: Control | None = None,
    ) -> None:
        self._local = LocalFilesSource(settings, status.pipeline_id)
        super().__init__(
            status,
            self._local,
            stages,
            ledger,
            collection=collection,
            mode=settings.mode,
            check_interval_seconds=settings.check_interval_seconds,
            workers=settings.workers,
            brake=settings.brake,
            control=control,
        )

    def _reconciled_rows(self, stored: dict[str, str], names: Mapping[str, str]) -> dict[str, LedgerRow]:
        rows = super()._reconciled_rows(stored, names)
        for key, row in rows.items():
            if row.outcome is not Outcome.UNREADABLE:
                rows[key] = row._replace(version=without_inode(row.version))
        self._local.learn(rows)
        return rows
