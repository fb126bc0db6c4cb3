"""Two workers of one migration: one leads, the other waits its turn, and a fenced one changes nothing (§3 c, §6)."""

import asyncio

import pytest

from apply.stamping import stamped
from cutover.facts import gather
from cutover.gates import cutover_gates
from domain.errors import FencedError, RefusedError
from domain.items import TargetKey
from domain.phases import Phase
from domain.positions import Version
from ledger.findings import Quarantined
from ledger.requests import RequestKind, RequestState
from tests.crew import Crew
from tests.examples import ADA, BOB
from tests.seams import Call
from tests.world import Venue, World

ADA_AT = TargetKey("USER#ada", "METADATA")

pytestmark = pytest.mark.looptime


def now() -> float:
    return asyncio.get_running_loop().time()


async def refused(world: World, crew: Crew) -> set[str]:
    facts = await gather(crew.ledger, world.database, world.plan, world.venue.clock)
    return {gate.name for gate in cutover_gates(facts, crew.place.tempo.limits) if not gate.passes}


def is_renewal(call: Call) -> bool:
    return call.method == "put" and call.mentions("'leases'")


async def silent(world: World) -> Crew:
    """Return a crew that leads, and whose process is gone without a word: nothing in its ledger tells so."""
    crew = await world.lead()
    crew.database.crashed = True
    return crew


async def test_a_second_worker_is_refused_while_the_first_shows_life(twin: Venue) -> None:
    world = await twin.world("tyler-setup", "users")
    first, second = await world.lead(), world.crew()
    async with first.following():
        with pytest.raises(RefusedError, match="another worker leads"):
            await second.lead()
        assert now() < first.guard.times.lease
    assert first.guard.epoch == 1


async def test_a_standby_takes_over_after_a_lease_time_of_silence_and_not_before(twin: Venue) -> None:
    """The lease lasts 10 s; the standby looks every 10/6 s, so it leads at the first look after 10 s of silence."""
    world = await twin.world("tyler-setup", "users")
    first = await silent(world)
    began = now()
    second = await world.lead(wait=True)
    lease = first.guard.times.lease
    assert now() - began == pytest.approx(lease, abs=0.001)
    assert second.guard.epoch == first.guard.epoch + 1


async def test_a_standby_waits_as_long_as_the_leader_renews(twin: Venue) -> None:
    world = await twin.world("tyler-setup", "users")
    first, second = await world.lead(), world.crew()
    async with first.following():
        waiting = asyncio.create_task(second.lead(wait=True))
        await asyncio.sleep(120)
        assert not waiting.done()
    last_renewal = now()
    await waiting
    assert now() - last_renewal <= first.guard.times.lease * (1 + 1 / 6) + 0.001


async def test_a_leader_that_cannot_renew_stops_writing_before_another_may_lead(twin: Venue) -> None:
    """Every write of the one ends before the first write of the other begins."""
    world = await twin.world("tyler-setup", "users")
    first = await world.lead()
    began = now()
    second = asyncio.create_task(world.lead(wait=True))
    stopped = began
    try:
        while True:
            await first.ledger.evidence.put("test", {"written": int(now())})
            stopped = now()
            await asyncio.sleep(0.1)
    except FencedError:
        assert stopped + first.guard.times.margin <= began + first.guard.times.lease + 0.001
    led = await second
    assert led.guard.epoch == 2
    assert now() - began >= first.guard.times.lease - 0.001


async def test_a_fenced_worker_changes_nothing(twin: Venue) -> None:
    """Even one that believes in its lease (its clock stood still): its ledger writes meet a newer epoch."""
    world = await twin.world("tyler-setup", "users")
    first = await world.lead()
    await first.enter(Phase.BACKFILL)
    await world.bury()
    second = await world.lead()
    state = await second.ledger.migration.state()
    await second.ledger.migration.move(state, Phase.CATCHUP, why="the second leads")
    await second.ledger.evidence.put("test", {"by": "second"})
    first.guard.extend(now() + 60)
    before = await world.ledger_rows()
    with pytest.raises(FencedError):
        await first.ledger.migration.move(await first.ledger.migration.state(), Phase.ABORTED, why="I still lead")
    with pytest.raises(FencedError):
        await first.ledger.evidence.put("test", {"by": "first"})
    shards = await world.ledger.streams.shards("users")
    for shard in shards.values():
        await second.ledger.streams.save(shard)
    assert await world.ledger_rows() == before
    assert await world.ledger.evidence.get("test") != {"by": "first"}


async def test_a_worker_that_lost_its_lease_stops_by_itself(twin: Venue) -> None:
    world = await twin.world("tyler-setup", "users")
    first = await world.lead()
    await world.put("users", ADA)
    with pytest.RaisesGroup(FencedError, flatten_subgroups=True):
        async with first.following():
            await world.bury()
            await world.lead()
            await asyncio.sleep(60)
    with pytest.raises(FencedError):
        await first.engines.door.put(stamped(ADA_AT, world.plan.key_item(ADA_AT), "users/ada", Version(1)))
    with pytest.raises(FencedError):
        await first.copy_page("users")


async def test_a_lease_given_back_is_taken_at_once_and_settled(twin: Venue) -> None:
    world = await twin.world("tyler-setup", "users")
    first = await world.lead()
    async with first.following():
        await world.caught_up()
    await first.retire()
    began = now()
    second = await world.lead()
    assert now() == pytest.approx(began, abs=0.001)
    assert second.guard.quiet_since(float("-inf"))


async def test_a_release_with_a_write_in_doubt_is_not_clean(twin: Venue) -> None:
    world = await twin.world("tyler-setup", "users")
    first = await world.lead()
    first.guard.doubt()
    await first.retire()
    second = await world.lead()
    assert not second.guard.quiet_since(float("-inf"))


async def test_after_an_unclean_takeover_nothing_is_settled_for_twice_the_lease_and_a_request(twin: Venue) -> None:
    """Until then no tombstone is purged, and no cutover may begin (protocol §3 c)."""
    world = await twin.world("tyler-setup", "users")
    await world.put("users", ADA, BOB)
    first = await world.lead()
    async with first.working():
        await world.reach(Phase.READY)
        await world.delete("users", BOB)
        await world.caught_up()
    first.database.crashed = True
    second = await world.lead(wait=True)
    led = now()
    settling = second.guard.times.settling
    assert settling == 2 * second.guard.times.lease + second.guard.times.request
    async with second.working():
        await world.delete("users", ADA)
        await world.caught_up()
        await asyncio.sleep(settling - (now() - led) - 1)
        assert ADA_AT in await world.tombstones()
        assert "worker" in await refused(world, second)
        answer = await world.ask(second, RequestKind.CUTOVER)
        assert answer.state is RequestState.REFUSED
        assert "worker" in answer.answer["why"]
        await asyncio.sleep(10)
        assert not await world.tombstones()
        assert "worker" not in await refused(world, second)
        assert (await world.ask(second, RequestKind.CUTOVER)).state is RequestState.DONE


async def test_a_worker_goes_on_where_the_one_before_it_stopped(twin: Venue) -> None:
    world = await twin.world("tyler-setup", "users")
    await world.put("users", ADA)
    for _ in range(4):
        crew = await world.lead()
        async with crew.working():
            await asyncio.sleep(1.5)
        await crew.retire()
    last = await world.lead()
    async with last.working():
        await world.reach(Phase.READY)
    assert set(await world.settled(last)) == {ADA_AT}


async def test_two_that_contend_for_a_free_lease_do_not_both_get_it(twin: Venue) -> None:
    world = await twin.world("tyler-setup", "users")
    crews = [world.crew() for _ in range(5)]
    tries = await asyncio.gather(*(crew.lead() for crew in crews), return_exceptions=True)
    assert sum(isinstance(each, Crew) for each in tries) >= 1
    epochs = [crew.guard.epoch for crew in crews if crew.guard.epoch]
    assert len(epochs) == len(set(epochs))


async def test_a_late_delete_of_a_fenced_worker_spares_what_the_next_one_wrote(twin: Venue) -> None:
    """A row that was deleted and written anew has the same revision: its fence tells it apart."""
    world = await twin.world("tyler-setup", "users")
    first = await world.lead()
    entry = entry_of("users/ada")
    await first.ledger.quarantine.put(entry)
    row = (await first.ledger.rows.all("quarantine/forward"))[0]
    await world.bury()
    second = await world.lead()
    await second.ledger.quarantine.clear(entry, entry.version)
    await second.ledger.quarantine.put(entry)
    late = first.ledger.rows.delete_action(row)
    with pytest.raises(RefusedError):
        await world.database.write(late)
    assert len(await world.ledger.quarantine.everything()) == 1


def entry_of(source_id: str) -> Quarantined:
    from domain.outcomes import Reason

    return Quarantined("users", source_id, str(Version(1)), Reason.REFUSED, "for a test")
