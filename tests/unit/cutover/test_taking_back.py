"""Taking a switch back by itself: the exact earlier state, once, against what may still land (protocol §8)."""

import asyncio

import pytest

from cutover.sequence import take_back
from domain.errors import ConditionFailed
from domain.phases import Phase, Side
from ledger.marks import MarkState
from ledger.migration import StateChange
from ledger.switches import Switch
from tests.crew import Crew
from tests.seams import transacts
from tests.world import Venue, World

pytestmark = pytest.mark.looptime


async def switching(to: Side = Side.TARGET, *, serving: Side, phase: Phase) -> tuple[World, Crew]:
    """Return a migration in the middle of a switch: the flag closed, a mark announced, the journal open."""
    world = await Venue.in_memory().world("tyler-setup", "users")
    crew = await world.lead()
    came_from = Phase.READY if to is Side.TARGET else Phase.BAKE
    await crew.ledger.switches.begin(Switch("s1", to, came_from, "switch", True, {}, {}, {}))
    await crew.ledger.marks.announce("m1", "users")
    await crew.enter(phase, StateChange(serving=serving, writable=False))
    return world, crew


async def is_back(world: World, *, serving: Side, phase: Phase) -> None:
    state = await world.ledger.migration.state()
    assert (state.phase, state.flag.serving, state.flag.writable) == (phase, serving, True)
    journal = await world.ledger.switches.current()
    assert journal is not None
    assert not journal.is_open
    mark = await world.ledger.marks.get("m1")
    assert mark is not None
    assert mark.state is MarkState.DROPPED


@pytest.mark.parametrize("serving", list(Side))
@pytest.mark.parametrize("refusals", [0, 1, 9])
async def test_before_the_unfence_all_is_as_it_was_whatever_the_flag_showed(serving: Side, refusals: int) -> None:
    """Somebody's transaction may land in between: then it is looked at again, ten times at most."""
    world, crew = await switching(serving=serving, phase=Phase.CUTOVER)
    for _ in range(refusals):
        crew.database.fail(transacts("taken back"), ConditionFailed("the state moved"))
    assert await take_back(crew.ledger, "the deadline passed") is False
    await is_back(world, serving=Side.SOURCE, phase=Phase.READY)
    assert "taken back: the deadline passed" in {each.get("why") for each in await world.ledger.history.all()}


async def test_a_rollback_that_is_taken_back_leaves_the_target_serving() -> None:
    world, crew = await switching(Side.SOURCE, serving=Side.SOURCE, phase=Phase.BAKE)
    assert await take_back(crew.ledger, "why") is False
    await is_back(world, serving=Side.TARGET, phase=Phase.BAKE)


async def test_taking_back_again_changes_nothing() -> None:
    world, crew = await switching(serving=Side.SOURCE, phase=Phase.CUTOVER)
    await take_back(crew.ledger, "why")
    before = await world.ledger_rows()
    assert await take_back(crew.ledger, "why") is False
    assert await world.ledger_rows() == before


async def test_without_any_switch_there_is_nothing_to_take_back() -> None:
    world = await Venue.in_memory().world("tyler-setup", "users")
    crew = await world.lead()
    before = await world.ledger_rows()
    assert await take_back(crew.ledger, "why") is False
    assert await world.ledger_rows() == before


async def test_a_switch_whose_unfence_took_place_is_not_taken_back() -> None:
    world, crew = await switching(serving=Side.TARGET, phase=Phase.CUTOVER)
    journal = await crew.ledger.switches.current()
    assert journal is not None
    state = await crew.ledger.migration.state()
    closing = (crew.ledger.switches.close_action(journal),)
    await crew.ledger.migration.move(state, Phase.BAKE, why="unfence", also=closing, change=StateChange(writable=True))
    assert await take_back(crew.ledger, "why") is True
    after = await world.ledger.migration.state()
    assert (after.phase, after.flag.serving, after.flag.writable) == (Phase.BAKE, Side.TARGET, True)


async def test_an_unfence_that_lands_while_it_is_taken_back_stands() -> None:
    """Between the looks at the journal and at the state: found by the simulation, it ended the worker for good."""
    world, crew = await switching(serving=Side.TARGET, phase=Phase.CUTOVER)
    journal, state = await crew.ledger.switches.current(), await crew.ledger.migration.state()
    assert journal is not None
    looking = crew.database.hold(lambda call: call.method == "get_item" and call.mentions("migration", "state"))
    taking = asyncio.create_task(take_back(crew.ledger, "the worker stopped in the middle"))
    await looking.reached.wait()
    closing = (crew.ledger.switches.close_action(journal),)
    await crew.ledger.migration.move(state, Phase.BAKE, why="unfence", also=closing, change=StateChange(writable=True))
    looking.release()
    assert await taking is True
    after = await world.ledger.migration.state()
    assert (after.phase, after.flag.serving, after.flag.writable) == (Phase.BAKE, Side.TARGET, True)
