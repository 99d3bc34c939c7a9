"""The pipelines that a server shows: those that were chosen at its start, or all of the process."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rag_pipeline.journal.backend import JournalBackend
from rag_pipeline.status.core import StatusCore
from rag_pipeline.status.pipeline import PipelineStatus, core_of, pipeline_status
from rag_pipeline.status.registry import registry
from rag_pipeline.status.sinks import Sink


class ServedPipelines:
    """Attaches pipelines to the server's sink, and holds them: one that its owner has dropped is still shown.

    ``chosen`` None serves every pipeline of the process, also those that are created later.
    """

    def __init__(self, backend: JournalBackend, chosen: Iterable[PipelineStatus] | None) -> None:
        self._backend = backend
        self._chosen = None if chosen is None else [core_of(pipeline) for pipeline in chosen]
        self._attached: dict[int, StatusCore] = {}
        self._sink: Sink | None = None

    @property
    def are_chosen(self) -> bool:
        """Whether only chosen pipelines are shown."""
        return self._chosen is not None

    @property
    def attached(self) -> Iterable[StatusCore]:
        """Every attached pipeline, also closed ones."""
        return self._attached.copy().values()

    def all(self) -> list[StatusCore]:
        """Return the pipelines to show. The default one comes first, once it has reported or if there is no other."""
        alive = [pipeline for pipeline in self.attached if not pipeline.closed]
        if self._chosen is not None:
            return alive
        default = core_of(pipeline_status)
        others = sorted((p for p in alive if p is not default), key=lambda p: p.created)
        return [default, *others] if default.reported or not others else others

    def begin(self, sink: Sink) -> list[StatusCore]:
        """Attach the pipelines; return those whose ids another process may still own: see :meth:`attach_claimed`."""
        self._sink = sink
        if self._chosen is not None:
            chosen, self._chosen = self._chosen, []
            return self._attach_free(chosen)
        self._attach(core_of(pipeline_status))
        for pipeline in registry.watch(self._attach):
            self._attach(pipeline)
        return []

    def attach_claimed(self, pipelines: Sequence[StatusCore]) -> None:
        """Attach the pipelines once their ids are known to be free; raises JournalError if an owner lives."""
        self._backend.wait_for_claims([pipeline.pipeline_id for pipeline in pipelines])
        for pipeline in pipelines:
            self._attach(pipeline)

    def add(self, pipelines: Iterable[PipelineStatus]) -> None:
        """Add pipelines to the chosen ones."""
        assert self._chosen is not None
        known = {pipeline.created for pipeline in self._chosen}
        cores = [core_of(pipeline) for pipeline in pipelines]
        self.attach_claimed(self._attach_free([core for core in cores if core.created not in known]))

    def end(self) -> None:
        """Have each pipeline publish what it has held back, then detach it."""
        registry.unwatch(self._attach)
        if self._sink is not None:
            for pipeline in self.attached:
                pipeline.flush(everything=True)
                pipeline.detach(self._sink)

    def _attach_free(self, pipelines: Sequence[StatusCore]) -> list[StatusCore]:
        """Attach the pipelines whose ids are free; return the others."""
        assert self._chosen is not None
        held = self._backend.claim([pipeline.pipeline_id for pipeline in pipelines])
        for pipeline in pipelines:
            self._chosen.append(pipeline)
            if pipeline.pipeline_id not in held:
                self._attach(pipeline)
        return [pipeline for pipeline in pipelines if pipeline.pipeline_id in held]

    def _attach(self, pipeline: StatusCore) -> None:
        for created, former in self._attached.copy().items():
            if former.closed:  # a program that keeps creating pipelines must not grow
                self._attached.pop(created, None)
        self._attached[pipeline.created] = pipeline
        assert self._sink is not None
        pipeline.attach(self._sink, self._backend.restore)
