"""The rollback clock over whole switches, and a bake of days: what is counted, what comes back, what grows (§9)."""

import asyncio
from collections import Counter

import pytest

from cutover.facts import gather
from cutover.gates import Facts
from domain.fates import Tally
from domain.items import AttributeValue, Item, number, text
from domain.phases import Phase, Side
from domain.tables import ViewType
from ledger.lease import LeaseTimes
from ledger.requests import RequestKind, RequestState
from service import rollbackclock
from sync.followers import Pace
from tests.crew import Crew, Tempo
from tests.examples import ADA, BOB, CYD, audit, changed
from tests.seams import transacts
from tests.world import Venue, World, ready

pytestmark = pytest.mark.looptime

_DEPTH = 30
"""Levels that the target takes; in `_target` of the legacy item it would lie two deeper, which is one too many."""

HOUR = 3600.0

LEISURELY = Tempo(lease=LeaseTimes(lease=600), pace=Pace(tip=600, shards=1200, idle_checkpoint=1200))
"""For days of virtual time: every look costs real time, and shows nothing new."""


async def at_user(world: World, name: str) -> Item:
    return await world.get_target(f"USER#{name}", "METADATA")


async def facts_of(world: World) -> Facts:
    return await gather(world.ledger, world.database, world.plan, world.venue.clock)


async def switched(world: World, crew: Crew, kind: RequestKind) -> None:
    async def passes() -> bool:
        return (await world.ask(crew, kind)).state is RequestState.DONE

    await world.until(passes, seconds=300)


async def new_application_writes(world: World) -> None:
    """One write of each fate, and Ada deactivated."""
    ada, bob, cyd = [await at_user(world, name) for name in ("ada", "bob", "cyd")]
    deactivated = changed(ada, status=text("INACTIVE"))
    await world.put_target(deactivated)
    await world.put_target(changed(deactivated, theme=text("dark"), version=number(7)))
    await world.put_target(changed(bob, status=text("SUSPENDED")))
    await world.put_target(changed(cyd, name=text("Cyd III")))
    notes: AttributeValue = {"L": []}
    for _ in range(_DEPTH):
        notes = {"L": [notes]}
    await world.put_target(changed(cyd, notes=notes))
    await world.put_target({"PK": text("TEAM#1"), "SK": text("METADATA"), "name": text("owls")})
    await world.put_target(changed(await world.get_target("USER#ada", "AUDIT#a1"), seen={"BOOL": True}))
    await world.caught_up(Side.TARGET)


async def test_every_write_since_the_switch_is_on_the_clock_by_its_fate(twin: Venue) -> None:
    items = {"users": [ADA, BOB, CYD], "audit": [audit("a1")]}
    async with ready(twin, "tyler-setup", **items) as (world, crew):
        assert (await facts_of(world)).written == Tally()
        assert rollbackclock.document(await facts_of(world)) is None
        await switched(world, crew, RequestKind.CUTOVER)
        await asyncio.sleep(120)
        await new_application_writes(world)
        clock = rollbackclock.document(await facts_of(world))
        assert clock is not None
        assert clock["fates"] == {"held": 1, "carried": 2, "overruled": 1, "stuck": 1, "beside": 1, "unmapped": 1}
        assert (clock["writes"], clock["at_risk"], clock["at_least"]) == (7, 5, False)
        assert (clock["attributes"], clock["overruled"]) == ({"theme": 1}, {"name": 1})
        assert clock["derived"] == {"status": 1, "version": 1}
        assert (clock["cannot_go_back"], clock["irreversible_items"]) == ({"no-way-back": 1}, 1)
        first, *lines = rollbackclock.told(clock)
        assert first == "rollback clock: switched 0 h 02 min ago, 7 writes since, 5 at risk"
        assert "    theme: 1" in lines
        assert "  1 could not go back (1 no-way-back); 1 items wait" in lines
        assert not [line for line in lines if "dark" in line or "Cyd" in line]
        by_label = rollbackclock.by_label(await facts_of(world), world.plan)
        assert by_label == {"other": 1, "status": 1, "version": 1, "name": 1}


async def test_who_was_deactivated_stays_so_and_what_only_the_new_application_knows_comes_back(twin: Venue) -> None:
    async with ready(twin, "tyler-setup", users=[ADA, BOB]) as (world, crew):
        await switched(world, crew, RequestKind.CUTOVER)
        ada = await at_user(world, "ada")
        profile = {"M": {**ada["profile"]["M"], "avatar": text("owl")}}
        theirs = {"theme": text("dark"), "version": number(7), "profile": profile}
        await world.put_target(changed(ada, status=text("INACTIVE"), **theirs))
        await world.put_target(changed(await at_user(world, "bob"), status=text("SUSPENDED")))
        await world.caught_up(Side.TARGET)
        await switched(world, crew, RequestKind.ROLLBACK)
        legacy = await world.sources()
        assert [legacy[f"users/{name}"]["isActive"] for name in ("ada", "bob")] == [{"BOOL": False}] * 2
        assert not theirs.keys() & legacy["users/ada"].keys(), "the legacy application does not see them"
        assert rollbackclock.document(await facts_of(world)) is None
        await world.put("users", changed(legacy["users/ada"], lastLogin=number(9)))
        await world.caught_up()
        await world.reach(Phase.READY)
        await switched(world, crew, RequestKind.CUTOVER)
        again = await at_user(world, "ada")
        assert {name: again[name] for name in theirs} == theirs
        assert (again["status"], again["lastLogin"]) == (text("INACTIVE"), number(9))
        assert (await at_user(world, "bob"))["status"] == text("SUSPENDED")
        await world.put_target(changed(again, lastLogin=number(10)))
        await world.caught_up(Side.TARGET)
        assert (await facts_of(world)).written == Tally(1, {"held": 1}), "it begins anew with every cutover"


async def test_after_a_gap_the_clock_says_at_least(twin: Venue) -> None:
    async with ready(twin, "tyler-setup", users=[ADA, BOB]) as (world, crew):
        await switched(world, crew, RequestKind.CUTOVER)
        await world.put_target(changed(await at_user(world, "ada"), theme=text("dark")))
        await world.caught_up(Side.TARGET)
        await world.twin.disable_stream(world.plan.target.name)

        async def is_lost() -> bool:
            return bool((await world.ledger.streams.get("target")).gap)

        await world.until(is_lost)
        assert (await facts_of(world)).written_at_least
        stream = await world.ledger.streams.get("target")
        await world.twin.enable_stream(stream.table, ViewType.NEW_AND_OLD_IMAGES)
        answer = await world.ask(crew, RequestKind.RECAPTURE, stream="target", epoch=stream.epoch)
        assert answer.state is RequestState.DONE, answer.answer
        await world.put_target(changed(await at_user(world, "bob"), theme=text("dark")))
        await world.caught_up(Side.TARGET)
        facts = await facts_of(world)
        assert (facts.written.fates, facts.written.own) == ({"carried": 2}, {"theme": 2})
        assert facts.written_at_least


class Bake:
    """Days of it: users log in by the new application, shards split and are trimmed, leaders die."""

    def __init__(self, world: World, users: int) -> None:
        self.world = world
        self.users = users
        self.writes = self.themes = 0
        self.tips: dict[str, list[int]] = {}

    async def half_a_day(self, part: int) -> None:
        """Let one leader follow the streams for twelve hours, and die over a write; the next works for a moment."""
        crew = await self.world.crew(f"leader-{part}", tempo=LEISURELY).lead(wait=True)
        working = asyncio.create_task(crew.follow_until_crash(patience=24 * HOUR))
        for hour in range(12):
            for each in range(6):
                await self.write((hour * 5 + each) % self.users, themed=each == 0)
            await asyncio.sleep(HOUR)
            if hour % 4 == 3:
                await self.reshard()
            await self.trim()
        crew.database.crash(transacts("echoes/"), answered=bool(part % 2))
        await self.write(part % self.users, themed=False)
        await working
        crew = await self.world.lead(wait=True)
        async with crew.working():
            await asyncio.sleep(10)
        await crew.retire()

    async def write(self, user: int, *, themed: bool) -> None:
        self.writes += 1
        item = changed(await at_user(self.world, f"user-{user}"), lastLogin=number(self.writes))
        if themed:
            self.themes += 1
            item["theme"] = text(f"theme-{self.writes}")
        await self.world.put_target(item)

    async def reshard(self) -> None:
        for table in (self.world.plan.target.name, self.world.table("users")):
            first, *others = self.world.twin.open_shards(table)
            change = self.world.twin.split_shard if len(others) < 4 else self.world.twin.roll_shard
            change(table, first)
            self.world.twin.roll_shard(table, others[0])

    async def trim(self) -> None:
        """Take away what is older than a day."""
        for stream in await self.world.ledger.streams.all():
            rows = await self.world.ledger.streams.shards(stream.name)
            tips = self.tips.setdefault(stream.name, [])
            tips.append(max(shard.checkpoint or 0 for shard in rows.values()))
            if len(tips) > 24:
                self.world.twin.trim(stream.table, tips[-24])

    async def rows(self) -> Counter[str]:
        """Count the ledger's rows by kind."""
        rows = await self.world.scanned(self.world.ledger_table)
        return Counter(row["PK"]["S"].partition("/")[0] for row in rows)


async def test_three_and_a_half_days_of_bake(twin: Venue) -> None:
    """The clock is exact to the write, echoes are not awaited for ever, and the ledger grows by shards only."""
    users = [changed(ADA, id=text(f"user-{count}"), email=text(f"{count}@example.com")) for count in range(8)]
    async with ready(twin, "tyler-setup", users=users) as (world, crew):
        await switched(world, crew, RequestKind.CUTOVER)
    await crew.retire()
    bake, grown = Bake(world, len(users)), list[Counter[str]]()
    for part in range(7):
        await bake.half_a_day(part)
        grown.append(await bake.rows())
        if part == 5:
            await world.put("users", changed(users[3], name=text("Somebody")))
    crew = await world.lead(wait=True)
    async with crew.working():
        await world.caught_up(Side.TARGET)
        await world.caught_up()
        facts = await facts_of(world)
        assert (facts.written.writes, facts.written.own) == (bake.writes, {"theme": bake.themes})
        assert not facts.written_at_least
        assert facts.now_ms - facts.since_ms > 3.5 * 24 * HOUR * 1000
        assert facts.strays == {"users": 1}, "three days into the bake somebody ignored the flag"
        (stray,) = await world.ledger.quarantine.everything()
        facts_asked = {"source": "users", "source_id": stray.source_id, "lane": stray.lane.value}
        assert (await world.ask(crew, RequestKind.RETRY, **facts_asked)).state is RequestState.DONE

        async def all_seen() -> bool:
            return not [name for name in range(8) if (await world.ledger.echoes.get(f"users/user-{name}")).awaited]

        await world.until(all_seen)
        first, last = grown[1], await bake.rows()
        assert {kind: last[kind] - first[kind] for kind in last if last[kind] != first[kind]}.keys() <= {
            "shards", "history", "requests", "marks", "cuts"
        }  # fmt: skip
        assert last["echoes"] == 8
        await switched(world, crew, RequestKind.ROLLBACK)
