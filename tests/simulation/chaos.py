"""What is done to the system, and when: drawn by the seed for phases and for the steps of switches, and at any time."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random

from domain.tables import ViewType
from tests.seams import Call, writes_of_a_switch
from tests.simulation.actors import ACTOR, Actor, Kind
from tests.simulation.pods import Fleet
from tests.simulation.storms import Storm
from tests.simulation.truth import Truth
from tests.world import World

_WALL_S = 1_795_438_000
"""Wall time at virtual zero (`tests.world`)."""

_A_DAY = 40.0
"""Virtual seconds that stand for the 24 hours that records are kept: longer than any pause of a worker."""

_WORST_WITHIN, _BLINK = 4.0, 0.01
"""Virtual seconds within which the worst moment comes or is not waited for, and between looks for it."""

_AMBUSHED, _JOURNALED = 0.15, 20
"""Share of switches whose leader dies at a write of the journal, and how many of them there are, about."""


@dataclass(slots=True)
class Chaos:
    """Watches the truth for the places it waits for; ``done`` counts deeds by phase or step.

    ``loses``: tables whose stream records may be lost for good, as they are to an outage of a day, or a deploy that
    forgot a stream.
    """

    world: World
    truth: Truth
    storm: Storm
    fleet: Fleet
    random: Random
    done: Counter[tuple[str, str]] = field(default_factory=Counter)
    over: bool = False
    loses: tuple[str, ...] = ()
    _there: asyncio.Event = field(default_factory=asyncio.Event)
    _was: str = ""
    _passed: dict[str, list[tuple[float, int]]] = field(default_factory=dict)

    def look(self) -> None:
        """Notice that the phase or step moved; called after every effect, so it only wakes somebody."""
        if self.truth.where != self._was:
            self._was = self.truth.where
            self._there.set()

    async def run(self) -> None:
        """Strike now and then, and at places."""
        ACTOR.set(Actor(Kind.NATURE))
        async with asyncio.TaskGroup() as group:
            group.create_task(self._at_any_time(group))
            group.create_task(self._at_places(group))

    async def _at_any_time(self, group: asyncio.TaskGroup) -> None:
        while not self.over:
            await asyncio.sleep(self.random.expovariate(1 / 16))
            if not self.over:
                await self._strike(
                    group,
                    self.random.choice([self._gust, self._gust, self._split, self._roll, self._expire, self._trim]),
                )
            if self.loses and self.random.random() < 0.06 and not self.over:
                await self._strike(group, self.random.choice([self._replace, self._forget]))
            if self.random.random() < 0.12 and not self.over:
                await self._strike(group, self.random.choice([self._crash, self._stop, self._pause]))

    async def _at_places(self, group: asyncio.TaskGroup) -> None:
        """Draw, each time the phase or step moves, whether something happens shortly after."""
        while not self.over:
            await self._there.wait()
            self._there.clear()
            where = self._was
            if where.endswith(":fence") and self.random.random() < 0.3:
                self.storm.gust(self.random.uniform(1, 5))  # what is sent now may land when the other side serves
            if where.endswith(":prepare") and self.random.random() < _AMBUSHED:
                await self._strike(group, self._ambush)
            if where == "BACKFILL" and self.random.random() < 0.2:
                await self._split(group)
            if where == "BAKE" and self.world.plan.target.name in self.loses and self.random.random() < 0.3:
                group.create_task(self._lose_of_the_target())
            if self.random.random() >= (0.12 if ":" in where else 0.35):
                continue
            deeds = [self._crash, self._pause, self._stop, self._gust, self._split, self._split, self._roll]
            deeds += [self._replace, self._forget] if self.loses else []
            group.create_task(self._later(group, self.random.choice(deeds)))

    async def _later(self, group: asyncio.TaskGroup, deed: Callable[..., Awaitable[None]]) -> None:
        if self.random.random() < 0.7:
            await asyncio.sleep(self.random.expovariate(1 / 0.5))
        await self._strike(group, deed)

    async def _strike(self, group: asyncio.TaskGroup, deed: Callable[..., Awaitable[None]]) -> None:
        if not self.over and not self.storm.calm:
            await deed(group)

    def _note(self, what: str) -> None:
        self.done[what, self.truth.where] += 1

    async def _gust(self, _: asyncio.TaskGroup) -> None:
        self.storm.gust(self.random.uniform(1, 8))

    async def _crash(self, _: asyncio.TaskGroup) -> None:
        leader = self.fleet.leader
        if leader is not None:
            self._note("crash")
            leader.crash()

    async def _ambush(self, _: asyncio.TaskGroup) -> None:
        """Crash the leader at a write of the journal, drawn: before it is sent, or before its answer is heard."""
        leader, left = self.fleet.leader, self.random.randrange(_JOURNALED)
        if leader is None or leader.crew is None:
            return

        def is_drawn(call: Call) -> bool:
            nonlocal left
            left -= writes_of_a_switch(call)
            if left >= 0:
                return False
            self._note("crash")
            return True

        leader.crew.database.crash(is_drawn, answered=self.random.random() < 0.5)

    async def _stop(self, _: asyncio.TaskGroup) -> None:
        leader = self.fleet.leader
        if leader is not None:
            self._note("stop")
            leader.stop()

    async def _pause(self, group: asyncio.TaskGroup) -> None:
        """Stop the leader, half of the time at the worst moment: a write has failed and is about to be retried."""
        if self.random.random() < 0.5:
            self.storm.gust(_WORST_WITHIN)
            await self._growth(lambda: self.storm.failed_writes)
        leader = self.fleet.leader
        if leader is not None:
            self._note("pause")
            group.create_task(leader.pause(self.random.choice([1.0, 4.0, 8.0, 20.0])))

    async def _growth(self, count: Callable[[], int]) -> None:
        """Wait for a moment worth striking at, when something has just happened once more; but not for long."""
        before = count()
        for _ in range(int(_WORST_WITHIN / _BLINK)):
            if count() > before or self.over:
                return
            await asyncio.sleep(_BLINK)

    async def _split(self, _: asyncio.TaskGroup) -> None:
        self._open_children("split", self.world.twin.split_shard)

    async def _roll(self, _: asyncio.TaskGroup) -> None:
        self._open_children("roll", self.world.twin.roll_shard)

    def _open_children(self, what: str, close: Callable[[str, str], object]) -> None:
        table = self._any_table()
        shards = self.world.twin.open_shards(table)
        if not shards or (what == "split" and len(shards) >= 6):
            return
        self._note(what)
        close(table, self.random.choice(shards))

    async def _expire(self, _: asyncio.TaskGroup) -> None:
        if self.world.twin.expire(_WALL_S + asyncio.get_running_loop().time()):
            self._note("time to live")

    async def _replace(self, group: asyncio.TaskGroup) -> None:
        """Switch a stream off, and on again under a new ARN a little later."""
        if not self.loses:
            return
        table, off = self.random.choice(self.loses), self.random.choice([0.0, 0.5, 5.0])
        self._note("stream replaced")

        async def replaced() -> None:
            await self.world.twin.disable_stream(table)
            await asyncio.sleep(off)
            await self.world.twin.enable_stream(table, ViewType.NEW_AND_OLD_IMAGES)

        group.create_task(replaced())

    async def _forget(self, _: asyncio.TaskGroup) -> None:
        """Trim a stream to its very tip, read or not."""
        if not self.loses:
            return
        self._trim_unread(self.random.choice(self.loses))

    async def _lose_of_the_target(self) -> None:
        """Lose what the new application has just written, so that only a comparison can bring it back (§5)."""
        await asyncio.sleep(self.random.uniform(2, 10))
        await self._growth(lambda: self.truth.writes)
        if self.loses and not self.over and not self.storm.calm:
            self._trim_unread(self.world.plan.target.name)

    def _trim_unread(self, table: str) -> None:
        self._note("records lost")
        self.world.twin.trim(table, 10**30)

    def _any_table(self) -> str:
        return self.random.choice([*self.truth.sources, self.world.plan.target.name])

    async def _trim(self, _: asyncio.TaskGroup) -> None:
        """Trim what everybody has read and applied, as a day's passing does."""
        for stream in await self.world.ledger.streams.all():
            if stream.gap:
                continue
            shards = await self.world.ledger.streams.shards(stream.name)
            if any(each.shard_id not in shards for each in await self.world.database.describe_stream(stream.arn)):
                continue  # one that nobody has written down yet
            places = [shard.checkpoint or 0 for shard in shards.values() if not shard.ended]
            now = asyncio.get_running_loop().time()
            passed = self._passed.setdefault(stream.table, [])
            passed.append((now, min(places, default=0)))
            old = [place for seen, place in passed if seen < now - _A_DAY and place]
            if old:
                self._note("trim")
                self.world.twin.trim(stream.table, old[-1])
