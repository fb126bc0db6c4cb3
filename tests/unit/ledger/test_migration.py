"""The phase moves along its table, whoever asks."""

import pytest

from domain.errors import ConditionFailed
from domain.phases import FOLLOWERS, Phase
from tests.world import Venue, World

pytestmark = pytest.mark.looptime


async def _world() -> World:
    return await Venue.in_memory().world("tyler-setup", "users")


@pytest.mark.parametrize("phase", sorted(set(Phase) - FOLLOWERS[Phase.CAPTURE] - {Phase.CAPTURE}))
async def test_a_phase_that_may_not_follow_is_refused_and_nothing_is_changed(phase: Phase) -> None:
    world = await _world()
    state = await world.ledger.migration.state()
    with pytest.raises(ConditionFailed, match=f"{phase} may not follow CAPTURE"):
        await world.ledger.migration.move(state, phase, why="a mistake")
    assert await world.ledger.migration.state() == state


async def test_a_phase_that_may_follow_does() -> None:
    world = await _world()
    moved = await world.ledger.migration.move(await world.ledger.migration.state(), Phase.ABORTED, why="given up")
    assert moved.phase is Phase.ABORTED
