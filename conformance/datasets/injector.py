"""Hands planted events over and records what became of them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from trueup.conformance.client.clock import OurClock
from trueup.conformance.client.recorder import Recorder, stamp
from trueup.conformance.model import Batch, Scene, World
from trueup.conformance.observed.responses import ranges
from trueup.conformance.ports import Ingest
from trueup.reports.journal.records import Delivered

__all__ = ["Planter"]


class Planter:
    """Delivers worlds: a world's batches in order, those of one moment together."""

    def __init__(self, ingest: Ingest, recorder: Recorder, clock: OurClock) -> None:
        self._ingest = ingest
        self._recorder = recorder
        self._clock = clock

    async def plant_all(self, worlds: Sequence[World], stage: str, scene: Scene) -> None:
        """Plant several worlds side by side."""
        async with asyncio.TaskGroup() as group:
            for world in worlds:
                if "b" in scene.customers or world.name != "tenants":
                    group.create_task(self.plant(world, stage, scene))

    async def plant(self, world: World, stage: str, scene: Scene) -> None:
        batches = world.plant(scene)
        together = [batch for batch in batches if batch.together]
        for batch in batches:
            if not batch.together:
                await self.deliver(world.name, stage, batch)
        async with asyncio.TaskGroup() as group:
            for batch in together:
                group.create_task(self.deliver(world.name, stage, batch))

    async def deliver(self, world: str, stage: str, batch: Batch) -> None:
        started = self._clock.monotonic()
        outcomes = await self._ingest.send(batch.events)
        events = self._recorder.strike([dict(event) for event in batch.events])
        assert isinstance(events, list)
        self._recorder.write(
            Delivered(
                source="probe",
                outcomes=ranges(outcomes, len(batch.events)),
                at=stamp(self._clock.now()),
                check=world,
                stage=stage,
                events=tuple(event for event in events if isinstance(event, dict)),
                elapsed_ms=round((self._clock.monotonic() - started) * 1000, 3),
            )
        )
