"""Flag and phase at every step of a switch: nobody may write between the fence and the unfence (protocol §8)."""

import asyncio

import pytest

from domain.phases import Phase, Side
from ledger.requests import RequestKind, RequestState
from tests.crew import Crew
from tests.examples import ADA, BOB
from tests.seams import journal_step
from tests.world import Venue, World

pytestmark = pytest.mark.looptime

STEPS = ("fence", "drain", "verify", "settle", "mark", "switch", "unfence")
Shown = tuple[Side, bool, Phase]


async def switchable(twin: Venue, kind: RequestKind) -> tuple[World, Crew]:
    """Return a migration that may be cut over, or rolled back."""
    world = await twin.world("tyler-setup", "users")
    await world.put("users", ADA, BOB)
    crew = await world.lead()
    async with crew.working():
        await world.reach(Phase.READY)
        if kind is RequestKind.ROLLBACK:
            assert (await world.ask(crew, RequestKind.CUTOVER)).state is RequestState.DONE

            async def is_compared() -> bool:
                return await world.ledger.evidence.get(f"reconcile/{Side.TARGET}") is not None

            await world.until(is_compared)
    return world, crew


async def shown(world: World) -> Shown:
    state = await world.ledger.migration.state()
    return state.flag.serving, state.flag.writable, state.phase


@pytest.mark.parametrize(
    ("kind", "began", "under_way", "ended"),
    [
        (RequestKind.CUTOVER, Phase.READY, Phase.CUTOVER, Phase.BAKE),
        (RequestKind.ROLLBACK, Phase.BAKE, Phase.BAKE, Phase.ROLLED_BACK),
    ],
)
async def test_between_fence_and_unfence_neither_side_may_be_written(
    twin: Venue, kind: RequestKind, began: Phase, under_way: Phase, ended: Phase
) -> None:
    """Each step is in the journal before it is taken, so the flag shows the step before."""
    world, crew = await switchable(twin, kind)
    to = Side.TARGET if kind is RequestKind.CUTOVER else Side.SOURCE
    seams = {step: crew.database.hold(journal_step(step), answered=True) for step in STEPS}
    seen: dict[str, Shown] = {}
    async with crew.working():
        request = await world.ledger.requests.ask(kind, max_blocked_ms=60_000)
        crew.bell.ring()
        for step, seam in seams.items():
            await seam.reached.wait()
            seen[step] = await shown(world)
            seam.release()

        async def is_over() -> bool:
            return (await world.ledger.requests.get(request)).over

        async with asyncio.timeout(5):
            while not await is_over():
                await asyncio.sleep(0.05)
        assert await shown(world) == (to, True, ended) or (await shown(world))[2] is Phase.READY
    assert seen == {
        "fence": (to.other, True, began),
        **dict.fromkeys(("drain", "verify", "settle", "mark", "switch"), (to.other, False, under_way)),
        "unfence": (to, False, under_way),
    }


@pytest.mark.parametrize("kind", [RequestKind.CUTOVER, RequestKind.ROLLBACK])
async def test_the_fence_is_held_for_as_long_as_an_application_may_take_to_see_it(
    twin: Venue, kind: RequestKind
) -> None:
    """The flag's staleness, and then the longest request that began just before: 1 s and 2 s."""
    world, crew = await switchable(twin, kind)
    fenced, drained = (crew.database.hold(journal_step(step)) for step in ("fence", "drain"))
    async with crew.working():
        await world.ledger.requests.ask(kind)
        crew.bell.ring()
        await fenced.reached.wait()
        fenced.release()
        began = twin.clock.monotonic()
        await drained.reached.wait()
        assert twin.clock.monotonic() - began == pytest.approx(3.0)
        drained.release()
