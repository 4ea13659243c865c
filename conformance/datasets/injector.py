"""Hands planted events over and records what became of them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from trueup.conformance.client.clock import Clock
from trueup.conformance.client.recorder import Recorder, stamp
from trueup.conformance.model import CheckContext, Dataset, EventBatch
from trueup.conformance.observed.responses import ranges
from trueup.conformance.ports import Ingest
from trueup.reports.journal.records import Delivered

__all__ = ["EventInjector"]


class EventInjector:
    """Delivers worlds: a world's batches in order, those of one moment together."""

    def __init__(self, ingest: Ingest, recorder: Recorder, clock: Clock) -> None:
        self._ingest = ingest
        self._recorder = recorder
        self._clock = clock

    async def plant_all(
        self, datasets: Sequence[Dataset], stage: str, context: CheckContext
    ) -> None:
        """Plant several worlds side by side."""
        async with asyncio.TaskGroup() as group:
            for dataset in datasets:
                if "b" in context.customers or dataset.name != "tenants":
                    group.create_task(self.plant(dataset, stage, context))

    async def plant(self, dataset: Dataset, stage: str, context: CheckContext) -> None:
        batches = dataset.plant(context)
        together = [batch for batch in batches if batch.together]
        for batch in batches:
            if not batch.together:
                await self.deliver(dataset.name, stage, batch)
        async with asyncio.TaskGroup() as group:
            for batch in together:
                group.create_task(self.deliver(dataset.name, stage, batch))

    async def deliver(self, dataset: str, stage: str, batch: EventBatch) -> None:
        started = self._clock.monotonic()
        outcomes = await self._ingest.send(batch.events)
        events = self._recorder.strike([dict(event) for event in batch.events])
        assert isinstance(events, list)
        self._recorder.write(
            Delivered(
                source="probe",
                outcomes=ranges(outcomes, len(batch.events)),
                at=stamp(self._clock.now()),
                check=dataset,
                stage=stage,
                events=tuple(event for event in events if isinstance(event, dict)),
                elapsed_ms=round((self._clock.monotonic() - started) * 1000, 3),
            )
        )
