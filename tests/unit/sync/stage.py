"""One handler by itself over a ledger on the twin: its records are handed to it, none come from a stream."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field, replace

from apply.door import Door
from apply.returns import ReturnDoor
from domain.changes import Change
from domain.items import Item
from domain.positions import Version
from ledger.findings import Lane, Quarantined
from sync.forward import Counts, ForwardHandler, ForwardPorts
from sync.reverse import ReverseHandler, ReversePorts
from sync.strays import Strays
from tests.crew import Crew
from tests.world import Venue, World


@dataclass(slots=True)
class Stage:
    """A crew that leads, and what its handlers have counted."""

    world: World
    crew: Crew
    counts: Counts = field(default_factory=Counter)

    async def forward(self, source: str = "users", *, epoch: int = 1) -> ForwardHandler:
        """Return what gives a legacy stream its meaning."""
        door = Door(self.crew.database, self.world.plan.target, guard=self.crew.guard)
        limit = asyncio.Semaphore(8)
        strays = Strays(self.crew.ledger.quarantine, self.crew.alarms.append)
        ports = ForwardPorts(self.world.plan, door, self.crew.ledger, self.counts, self.crew.touched, limit, strays)
        handler = ForwardHandler(ports, replace(await self.crew.ledger.streams.get(source), epoch=epoch))
        await handler.refresh()
        return handler

    async def reverse(self, *, epoch: int = 1) -> ReverseHandler:
        """Return what gives the target's stream its meaning."""
        door = ReturnDoor(self.crew.database, guard=self.crew.guard)
        ports = ReversePorts(
            self.world.plan,
            door,
            self.crew.database,
            self.crew.ledger,
            self.counts,
            self.crew.touched,
            asyncio.Semaphore(8),
            Strays(self.crew.ledger.quarantine, self.crew.alarms.append),
        )
        handler = ReverseHandler(ports, replace(await self.crew.ledger.streams.get("target"), epoch=epoch))
        await handler.refresh()
        return handler

    async def quarantined(self, lane: Lane, source: str = "users") -> dict[str, Quarantined]:
        """Return what is quarantined in a lane."""
        return await self.crew.ledger.quarantine.of(source, lane)

    async def legacy(self) -> dict[str, Item]:
        """Return every legacy item by source id."""
        return await self.world.sources()

    def record(self, source: str, item: Item, sequence: int, *, old: Item | None = None) -> Change:
        """Return the record of a put of a legacy item."""
        keys = self.world.plan.sources[source].definition.key_of(item)
        return Change(keys, old, item, sequence, 0)

    def target_record(self, source: str, item: Item, sequence: int, **changed: object) -> Change:
        """Return the record of a put of its primary target item, with some attributes changed."""
        translated = self.world.plan.translate(source, item)
        assert translated.primary is not None
        target: Item = {**translated.items[translated.primary], **changed}  # type: ignore[dict-item]
        return Change(self.world.plan.target.key_of(target), None, target, sequence, 0)


def version(sequence: int, epoch: int = 1) -> str:
    """Return a version as text."""
    return str(Version(epoch, sequence))


async def stage(*sources: str) -> Stage:
    """Return a stage of the first example plan, cut down to some of its sources."""
    world = await Venue.in_memory().world("tyler-setup", *sources)
    return Stage(world, await world.lead())
