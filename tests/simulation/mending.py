"""Vandals and strays, and the operator who mends what they and the weather did: by repair, retry and recapture."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from domain.items import STAMP, Item, TargetKey, text
from domain.phases import Side
from domain.positions import Version
from domain.stamps import Stamp
from dynamo.ports import Delete, Put
from ledger.findings import Lane
from ledger.requests import RequestKind, RequestState
from ledger.streams import StreamRow
from tests.simulation.actors import ACTOR, Actor, Kind
from tests.simulation.cast import Part
from tests.simulation.truth import Truth
from tests.world import World

_LOOK = 8.0
"""Virtual seconds between looks of the operator."""

_HOT = 12
"""A vandal hurts one of so many items that changed last: they will change again, and meet what he left."""

_AT_ONCE = 4
"""He hurts up to so many at a time: repairs come in a row, and the later ones meet items that go on changing."""


@dataclass(slots=True)
class Mender:
    """Somebody who writes where only we may, now and then (``vandal``), and the operator who comes after him."""

    world: World
    truth: Truth
    random: Random
    vandal: bool
    gust: Callable[[float], None] = field(default=lambda _: None)
    answers: Counter[RequestState] = field(default_factory=Counter)
    _altered: list[TargetKey] = field(default_factory=list)
    _hurt: bool = False

    @property
    def done(self) -> bool:
        """Tell whether nothing is left to be mended."""
        return not self._altered and not self._hurt

    async def run(self) -> None:
        """Hurt and mend in turn, and see to the streams all the while."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._in_turn())
            group.create_task(self._recapture())

    async def _recapture(self) -> None:
        """Capture every stream anew that has lost something."""
        while True:
            await asyncio.sleep(self.random.uniform(1, _LOOK))
            ACTOR.set(Actor(Kind.OPERATOR))
            for stream in await self.world.ledger.streams.all():
                if stream.gap:
                    await self._ask_for(stream)
                    await self._vouch()

    async def _ask_for(self, stream: StreamRow) -> None:
        requests = self.world.ledger.requests
        request = await requests.ask(RequestKind.RECAPTURE, stream=stream.name, epoch=stream.epoch)
        while not request.over:
            await asyncio.sleep(1)
            request = await requests.get(request)
        self.answers[request.state] += 1

    async def _vouch(self) -> None:
        """Where strays may have been lost with what is owed, only the operator can say that there were none (§5)."""
        streams = self.world.ledger.streams
        lost = {stream.side for stream in await streams.all() if await streams.has_lost(stream.name)}
        if self.truth.served == Side.TARGET and lost == set(Side):
            await self.world.ledger.requests.ask(RequestKind.VERIFY, repair=True)

    async def _in_turn(self) -> None:
        while True:
            await asyncio.sleep(self.random.uniform(1, _LOOK))
            if self._is_ours() and self.vandal and self.random.random() < 0.3:
                await self._vandalise()
            await asyncio.sleep(self.random.uniform(1, _LOOK))
            if self._is_ours() or self.truth.phase == "ROLLED_BACK":
                await self._mend()

    def _is_ours(self) -> bool:
        """Tell whether the target is ours to write and no switch is under way: only then is a vandal found in time."""
        return self.truth.served == Side.SOURCE and not self.truth.step and self.truth.phase in {"VERIFY", "READY"}

    async def _vandalise(self) -> None:
        ACTOR.set(Actor(Kind.INTRUDER, "vandal"))
        items = await self.world.scanned(self.world.plan.target.name)
        standing = {self.world.plan.target_key(item): item for item in items if STAMP in item}
        if not standing:
            return
        lately = sorted(standing, key=lambda each: (str(standing[each][STAMP]["M"]["ver"]), each))[-_HOT:]
        self._hurt = True
        for key in self.random.sample(lately, min(len(lately), self.random.randrange(1, _AT_ONCE + 1))):
            await self._harm(key, standing[key])

    async def _harm(self, key: TargetKey, item: Item) -> None:
        match self.random.randrange(4):
            case 0 | 1:
                await self.world.delete_target(item)
                return
            case 2:
                harmed = {**item, "note": text("was here")}
            case _:
                harmed = self._forged(item)
        self._altered.append(key)
        await self.world.put_target(harmed)

    def _forged(self, item: Item) -> Item:
        """Return an item that claims, with a stamp that fits, to be another's."""
        source, forged = next(iter(self.world.plan.sources)), {**item, "note": text("mine")}
        return Stamp.fresh(forged, f"{source}/somebody/1", Version(1, 1)).put_on(forged)

    async def _mend(self) -> None:
        ACTOR.set(Actor(Kind.OPERATOR))
        while self._altered:
            await self.world.delete_target(self.world.plan.key_item(self._altered.pop()))
        if self._hurt:
            self._hurt = False
            await self.world.ledger.requests.ask(RequestKind.VERIFY, repair=True)
            if self.random.random() < 0.5:
                self.gust(self.random.uniform(8, 20))  # a repair whose reads are slow meets changes between them
        for entry in await self.world.ledger.quarantine.everything():
            if entry.lane is not Lane.REVERSE:
                facts = {"source": entry.source, "source_id": entry.source_id, "lane": entry.lane.value}
                await self.world.ledger.requests.ask(RequestKind.RETRY, **facts)

    async def stray(self, part: Part) -> None:
        """Write the legacy table, whatever the flag says; half of the time by deleting."""
        ACTOR.set(Actor(Kind.LEGACY, "stray"))
        items = await self.world.scanned(self.world.table(part.source))
        if not items:
            return
        item = self.random.choice(sorted(items, key=repr))
        table = self.world.table(part.source)
        if self.random.random() < 0.5:
            await self.world.database.write(Put(table, {**item, "note": text("stray")}))
        else:
            key = self.world.plan.sources[part.source].definition.key_of(item)
            await self.world.database.write(Delete(table, key))
