"""A migration in one process, over the twin or DynamoDB Local: the base of the engine tests and of the simulation.

    venue = Venue.twin() | Venue.local(database, prefix)
    world = await venue.world("tyler-setup")       # legacy tables, streams awake, `init` done: phase CAPTURE
    await world.put("users", ADA)                  # what the applications do, on either side
    crew = await world.lead()                      # a worker (`tests.crew`): as a whole, or engine by engine
    async with crew.working():
        await world.reach(Phase.READY)
        answer = await world.ask(crew, RequestKind.CUTOVER)

`ready` does all of this up to READY.
What a side holds is read by plain scans, and what the target should hold comes from the source tables as they stand.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import cache
from pathlib import Path

from backfill.walk import CopySettings
from cutover.sequence import SwitchSettings
from domain.clock import Clock
from domain.items import STAMP, AttributeValue, Item, TargetKey, mark_id
from domain.phases import Phase, Side
from domain.stamps import Stamp, is_tombstone
from domain.tables import TableDefinition, ViewType
from dynamo.memory import MemoryDatabase
from dynamo.ports import Database, Delete, Put, ScanRequest, ShardPlace
from dynamo.weather import FAIR_WEATHER, Weather
from ledger.book import Ledger, operator_ledger
from ledger.lease import LeaseTimes
from ledger.requests import Request, RequestKind
from ledger.shapes import SHAPES
from mapping.plan import Plan, load_plan
from reconcile.manner import CompareSettings
from reconcile.rechecks import Patience
from service.initialising import InitOptions, initialise
from service.planevidence import EVIDENCE, ProvenPlan
from sync.followers import Pace
from tests.crew import Crew, Place, Tempo

PLANS = Path(__file__).resolve().parents[1] / "plans"
_BEGAN_MS = 1_795_438_000_000
"""Wall time at the twin's zero: within the times of the legacy sample."""

_PATIENCE_S = 20.0
"""Seconds, real or virtual, until a condition that does not come is a failure."""

_LOOK, _VIRTUAL_LOOK = 0.05, 0.25
"""Seconds between looks at a condition, in real and in virtual time."""

AT_ONCE = Tempo(
    lease=LeaseTimes(lease=30),
    pace=Pace(tip=0.1, shards=1.0, mark=0.05, idle_checkpoint=0.5),
    switch=SwitchSettings(staleness=0, longest_request=0),
    compare=CompareSettings(segments=1, patience=Patience(rounds=10, pause=0.1)),
)
"""For real time: no waiting for applications, which are the test itself and obey at once."""


UNHURRIED = Tempo(pace=Pace(tip=1.0, mark=0.25))
"""For virtual time: the product's own times, but fewer looks at the tip, which cost computing and show nothing."""


class LoopClock:
    """The event loop's clock, so that virtual time is everybody's time."""

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    def wall_ms(self) -> int:
        return _BEGAN_MS + int(self.monotonic() * 1000)


class MachineClock:
    """The machine's clocks, for a database that has its own time."""

    def monotonic(self) -> float:
        return time.monotonic()

    def wall_ms(self) -> int:
        return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Venue:
    """A database to play in; ``twin`` is it again where it is the one in memory, for what only that can do."""

    database: Database
    clock: Clock
    tempo: Tempo
    prefix: str
    twin: MemoryDatabase | None = None

    @classmethod
    def in_memory(cls, *, shards: int = 3, weather: Weather = FAIR_WEATHER, tempo: Tempo | None = None) -> "Venue":
        """Return a fresh twin with several open shards per stream, under the loop's clock."""
        clock = LoopClock()
        twin = MemoryDatabase(clock, shards=shards, weather=weather)
        return cls(twin, clock, tempo or UNHURRIED, "twin", twin)

    @classmethod
    def on(cls, database: Database, prefix: str) -> "Venue":
        """Return a venue on a database that is really there; the prefix keeps its tables apart."""
        return cls(database, MachineClock(), AT_ONCE, prefix)

    async def world(self, plan: str, *only: str, initialised: bool = True) -> "World":
        """Create the plan's legacy tables, wake their streams, and initialise the migration.

        ``only`` names the sources that play a part; the plan is cut down to them, which saves tables and polls.
        """
        world = World(self, plan_named(plan, self.prefix, only))
        await world.build()
        if initialised:
            await world.initialise()
        return world


@cache
def plan_named(name: str, prefix: str, only: tuple[str, ...] = ()) -> Plan:
    """Load one of the plans that ship with the product, or the part of it that concerns some of its sources."""
    plan = load_plan(PLANS / f"{name}.yaml", variables={"SECRETS_PREFIX": prefix, "DESK": prefix})
    if not only:
        return plan
    queries = {each: query for each, query in plan.queries.items() if query.source in only}
    return replace(plan, sources={each: plan.sources[each] for each in only}, companions=(), queries=queries)


@dataclass(slots=True)
class World:
    """One migration and its two sides. ``ledger`` is the operator's."""

    venue: Venue
    plan: Plan
    _crews: list[Crew] = field(default_factory=list)

    @property
    def database(self) -> Database:
        return self.venue.database

    @property
    def twin(self) -> MemoryDatabase:
        """The twin; only tests that run on nothing else ask for it."""
        assert self.venue.twin is not None
        return self.venue.twin

    @property
    def ledger_table(self) -> str:
        return f"{self.plan.target.name}-tableturn"

    @property
    def ledger(self) -> Ledger:
        return operator_ledger(self.database, self.ledger_table, self.venue.clock, who="operator")

    # ---- setting the scene ------------------------------------------------------------------------------------------

    async def build(self) -> None:
        """Create the legacy tables, streams on, and put and delete a sentinel in each (emulators.md §1a)."""
        async with asyncio.TaskGroup() as group:
            for source in self.plan.sources.values():
                group.create_task(self._build(source.definition))

    async def _build(self, definition: TableDefinition) -> None:
        await self.database.create_table(definition)
        await self.database.enable_stream(definition.name, ViewType.NEW_AND_OLD_IMAGES)
        sentinel: Item = {part.name: {part.type: "sentinel" if part.type == "S" else "0"} for part in definition.key}
        await self.database.write(Put(definition.name, sentinel))
        await self.database.write(Delete(definition.name, sentinel))

    async def initialise(self) -> None:
        """Do what ``tableturn init`` does, of a plan that was proved; how that is done, `tests/acceptance` shows."""
        options = InitOptions(create_targets=True, enable_streams=True)
        await initialise(
            self.database, self.plan, self.venue.clock, options, ledger_name=self.ledger_table, who="operator"
        )
        proved = ProvenPlan("", "pass", self.venue.clock.wall_ms(), {})
        await self.ledger.evidence.put(EVIDENCE, proved.facts())

    def crew(self, name: str | None = None, *, tempo: Tempo | None = None) -> Crew:
        """Return a worker that does not lead yet."""
        place = Place(self.database, self.plan, self.ledger_table, self.venue.clock, tempo or self.venue.tempo)
        self._crews.append(Crew(place, name or f"crew-{len(self._crews)}"))
        return self._crews[-1]

    async def lead(self, *, tempo: Tempo | None = None, wait: bool = False) -> Crew:
        """Return a worker that leads."""
        return await self.crew(tempo=tempo).lead(wait=wait)

    async def bury(self) -> None:
        """Free the lease of a crew that crashed with nothing in flight, so that nobody has to wait for it."""
        rows = self.ledger.rows
        row = await rows.get("leases", "leader")
        assert row is not None
        await rows.put("leases", "leader", {**row.fields, "owner": "", "clean": True}, revision=row.revision)

    async def rewind(self, crew: Crew, source: str) -> None:
        """Set a stream's checkpoints back to the beginning, so that everything is delivered again."""
        for shard in (await self.ledger.streams.shards(source)).values():
            await crew.ledger.streams.save(replace(shard, checkpoint=None, ended=False))

    def at_pace(self, pace: Pace) -> Tempo:
        """Return the venue's tempo with another pace of the followers."""
        return replace(self.venue.tempo, pace=pace)

    def one_item_a_page(self) -> Tempo:
        """Return the venue's tempo with pages of one item, in two segments."""
        return replace(self.venue.tempo, copying=CopySettings(least_segments=2, page_items=1))

    # ---- what the applications do -----------------------------------------------------------------------------------

    def table(self, source: str) -> str:
        """Return the real name of a legacy table."""
        return self.plan.sources[source].definition.name

    async def put(self, source: str, *items: Item) -> None:
        """Put legacy items, as the legacy application does: whole, without condition."""
        for item in items:
            await self.database.write(Put(self.table(source), item))

    async def delete(self, source: str, item: Item) -> None:
        """Delete a legacy item; its key is enough."""
        await self.database.write(Delete(self.table(source), self.plan.sources[source].definition.key_of(item)))

    async def put_target(self, *items: Item) -> None:
        """Put target items, as the new application does."""
        for item in items:
            await self.database.write(Put(self.plan.target.name, item))

    async def delete_target(self, *items: Item) -> None:
        """Delete target items; their keys are enough."""
        for item in items:
            await self.database.write(Delete(self.plan.target.name, self.plan.target.key_of(item)))

    async def get(self, source: str, item: Item) -> Item | None:
        """Read a legacy item by its key."""
        return await self.database.get_item(self.table(source), self.plan.sources[source].definition.key_of(item))

    async def get_target(self, pk: str, sk: str) -> Item:
        """Read a target item that is there, stamp and all."""
        found = await self.database.get_item(self.plan.target.name, self.plan.key_item(TargetKey(pk, sk)))
        assert found is not None, f"nothing stands at {pk} / {sk}"
        return found

    # ---- what stands where ------------------------------------------------------------------------------------------

    async def scanned(self, table: str) -> list[Item]:
        """Return everything in a table."""
        items: list[Item] = []
        request = ScanRequest(table)
        while True:
            page = await self.database.scan_page(request)
            items += page.items
            if page.last_key is None:
                return items
            request = ScanRequest(table, start=page.last_key)

    async def sources(self) -> dict[str, Item]:
        """Return every legacy item by source id; a mark that was left behind is a failure."""
        found: dict[str, Item] = {}
        for name, source in self.plan.sources.items():
            items = await self.scanned(source.definition.name)
            assert not [item for item in items if mark_id(source.definition.key_of(item)) is not None], name
            found |= {self.plan.source_id(name, item): readable(item) for item in items}
        return found

    async def standing(self) -> dict[TargetKey, Item]:
        """Return every target item as it stands, tombstones included; a mark that was left behind is a failure."""
        items = await self.scanned(self.plan.target.name)
        assert not [item for item in items if mark_id(self.plan.target.key_of(item)) is not None]
        return {self.plan.target_key(item): item for item in items}

    async def target(self) -> dict[TargetKey, Item]:
        """Return every live target item without its stamp."""
        return {key: readable(item) for key, item in (await self.standing()).items() if not is_tombstone(item)}

    async def tombstones(self) -> set[TargetKey]:
        """Return where tombstones stand."""
        return {key for key, item in (await self.standing()).items() if is_tombstone(item)}

    async def expected(self) -> dict[TargetKey, Item]:
        """Return what the target should hold: every legacy item as it stands, translated."""
        found: dict[TargetKey, Item] = {}
        for name, source in self.plan.sources.items():
            for item in await self.scanned(source.definition.name):
                translated = self.plan.translate(name, item).items
                found |= {key: readable(each) for key, each in translated.items()}
        return found

    async def records(self) -> int:
        """Return how many records all streams hold."""
        return sum(len(places) for stream in (await self._records()).values() for places in stream.values())

    async def ledger_rows(self) -> dict[tuple[str, str], Item]:
        """Return the ledger but for history, requests, signs of life and evidence: what a refusal must not change."""
        ignored = ("history", "requests/", "leases", "evidence", "shards/")
        rows = await self.scanned(self.ledger_table)
        return {(row["PK"]["S"], row["SK"]["S"]): row for row in rows if not row["PK"]["S"].startswith(ignored)}

    # ---- waiting ----------------------------------------------------------------------------------------------------

    async def until(self, condition: Callable[[], Awaitable[bool]], *, seconds: float = _PATIENCE_S) -> None:
        """Wait for a condition."""
        async with asyncio.timeout(seconds):
            while not await condition():
                self._hurry()
                await asyncio.sleep(_VIRTUAL_LOOK if self.venue.twin else _LOOK)

    def _hurry(self) -> None:
        """Save polls where time is real; under virtual time the engines keep their own."""
        for crew in () if self.venue.twin else self._crews:
            crew.bell.ring()

    async def reach(self, phase: Phase) -> None:
        """Wait for a phase."""

        async def is_there() -> bool:
            return (await self.ledger.migration.state()).phase is phase

        await self.until(is_there)

    async def caught_up(self, side: Side = Side.SOURCE) -> None:
        """Wait until every record that is in the streams of a side by now is behind its shard's checkpoint."""
        tips = {
            stream: {shard: places[-1] for shard, places in shards.items() if places}
            for stream, shards in (await self._records()).items()
            if (stream == "target") is (side is Side.TARGET)
        }

        async def is_there() -> bool:
            for stream, shards in tips.items():
                rows = await self.ledger.streams.shards(stream)
                behind = [
                    shard
                    for shard, tip in shards.items()
                    if shard not in rows or (not rows[shard].ended and (rows[shard].checkpoint or 0) < tip)
                ]
                if behind:
                    return False
            return True

        await self.until(is_there)

    async def ask(self, crew: Crew, kind: RequestKind, **facts: object) -> Request:
        """Ask the crew for something through the ledger, and wait for its answer."""
        request = await self.ledger.requests.ask(kind, **facts)
        crew.bell.ring()

        async def is_over() -> bool:
            return (await self.ledger.requests.get(request)).over

        await self.until(is_over, seconds=90)
        return await self.ledger.requests.get(request)

    async def _records(self) -> dict[str, dict[str, list[int]]]:
        """Return the sequence numbers of the records of items, by stream and shard."""
        found: dict[str, dict[str, list[int]]] = {}
        for stream in await self.ledger.streams.all():
            shards = await self.database.describe_stream(stream.arn)
            found[stream.name] = {
                shard.shard_id: await self._sequences(ShardPlace(stream.arn, shard.shard_id)) for shard in shards
            }
        return found

    async def _sequences(self, place: ShardPlace) -> list[int]:
        found: list[int] = []
        iterator: str | None = await self.database.shard_iterator(place)
        while iterator is not None:
            page = await self.database.get_records(iterator)
            if not page.changes:
                break
            found += [change.sequence for change in page.changes if change.mark is None]
            iterator = page.next_iterator
        return found

    # ---- what must hold ---------------------------------------------------------------------------------------------

    async def settled(self, crew: Crew) -> dict[TargetKey, Item]:
        """Assert that the target is exactly the source translated, with nothing left to do; return the target.

        Every stamp fits, no tombstone stands or is listed, quarantine is empty, the reconciler finds nothing.
        """
        assert await crew.purge() == 0
        standing = await self.standing()
        assert await self.target() == await self.expected()
        for key, item in standing.items():
            stamp = Stamp.of(item)
            assert stamp is not None, key
            assert stamp.fits(item), key
        assert not await self.tombstones()
        assert await self.ledger.quarantine.everything() == []
        partitions = {row["PK"]["S"].partition("/")[0] for row in await self.scanned(self.ledger_table)}
        assert partitions <= {shape.partition("/")[0] for shape in SHAPES}, "a partition whose rows nobody checks"
        found = await crew.compare()
        assert found.mismatches == []
        return await self.target()


@asynccontextmanager
async def ready(venue: Venue, plan: str, **items: Sequence[Item]) -> AsyncIterator[tuple[World, Crew]]:
    """Yield a migration in phase READY and the crew that works on it; ``items`` are put first, by source."""
    world = await venue.world(plan, *items)
    for source, own in items.items():
        await world.put(source, *own)
    crew = await world.lead()
    async with crew.working():
        await world.reach(Phase.READY)
        yield world, crew


def readable(item: Item) -> Item:
    """Return an item without its stamp, in one spelling per value: numbers plain, sets sorted."""
    return {name: _plain(value) for name, value in item.items() if name != STAMP}


def _plain(value: AttributeValue) -> AttributeValue:
    ((kind, content),) = value.items()
    match kind:
        case "N":
            return {kind: _plain_number(content)}
        case "NS":
            return {kind: sorted(map(_plain_number, content))}
        case "SS" | "BS":
            return {kind: sorted(content)}
        case "L":
            return {kind: [_plain(each) for each in content]}
        case "M":
            return {kind: {name: _plain(each) for name, each in content.items()}}
        case _:
            return value


def _plain_number(digits: str) -> str:
    written = f"{Decimal(digits):f}"
    return (written.rstrip("0").rstrip(".") if "." in written else written) if Decimal(digits) else "0"
