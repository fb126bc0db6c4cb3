"""A lever: the smallest thing outside of the ledger that has to know which side serves. Tests jam it and hold it.

`Scene` is a migration with one for each moment of a switch.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cutover.acting import EVIDENCE
from cutover.actuators import Act, Moment
from domain.errors import TransientError
from domain.phases import Phase, Side
from ledger.book import Ledger
from ledger.requests import Request, RequestKind, RequestState
from tests.crew import Crew, Tempo
from tests.examples import ADA, BOB
from tests.seams import Matches
from tests.world import Venue, World

Shown = tuple[str, str, bool]
"""What was done with a lever, and the flag at that moment: which side served, whether it could be written."""


@dataclass
class Lever:
    """Stands at a side or elsewhere. ``faults``: errors by method, next first. ``held`` keeps `do` from ending."""

    ledger: Ledger | None = None
    at: str = "somewhere"
    faults: dict[str, list[BaseException]] = field(default_factory=dict)
    held: asyncio.Event | None = None
    seen: list[Shown] = field(default_factory=list)

    async def preview(self, to: Side) -> str:
        self._meet("preview")
        return f"from {self.at} to {to}"

    async def standing(self, to: Side) -> dict[str, Any]:
        self._meet("standing")
        return {"at": self.at}

    async def do(self, to: Side, standing: Mapping[str, Any]) -> None:
        await self._show("do")
        self._meet("do")
        if self.held is not None:
            await self.held.wait()
        self.at = to.value

    async def verify(self, to: Side) -> None:
        self._meet("verify")
        if self.at != to.value:
            raise TransientError(f"the lever stands at {self.at}")

    async def undo(self, to: Side, standing: Mapping[str, Any]) -> None:
        await self._show("undo")
        self._meet("undo")
        self.at = str(standing["at"])

    async def _show(self, what: str) -> None:
        if self.ledger is not None:
            flag = (await self.ledger.migration.state()).flag
            self.seen.append((what, flag.serving.value, flag.writable))

    def _meet(self, method: str) -> None:
        if self.faults.get(method):
            raise self.faults[method].pop(0)


FLEETING = "fence"
"""The one lever of the scene that does not stay."""


class Scene:
    """A migration that may be switched, with a lever for each moment."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.levers = {moment.value: Lever(world.ledger) for moment in Moment}

    def crew(self, *, tempo: Tempo | None = None) -> Crew:
        crew = self.world.crew(tempo=tempo)
        crew.acts = [
            Act(moment.value, moment, self.levers[moment.value], lasting=moment.value != FLEETING) for moment in Moment
        ]
        return crew

    async def lead(self, *, tempo: Tempo | None = None) -> Crew:
        return await self.crew(tempo=tempo).lead()

    @property
    def stands(self) -> dict[str, str]:
        return {name: lever.at for name, lever in self.levers.items() if name != Moment.SMOKE}

    async def flag(self) -> tuple[Side, bool]:
        flag = (await self.world.ledger.migration.state()).flag
        return flag.serving, flag.writable

    async def settled(self, stands: dict[str, str]) -> None:
        async def is_so() -> bool:
            return self.stands == stands

        await self.world.until(is_so)

    async def owed(self) -> list[str]:
        return list((await self.world.ledger.evidence.get(EVIDENCE) or {}).get("trouble", []))


BEFORE = {"prepare": "somewhere", "fence": "somewhere", "switch": "somewhere", "tidy": "somewhere"}


def after(side: Side) -> dict[str, str]:
    return {**dict.fromkeys(BEFORE, side.value), FLEETING: "somewhere"}


async def scene_on(twin: Venue) -> Scene:
    """Return it before anybody leads."""
    world = await twin.world("tyler-setup", "users")
    await world.put("users", ADA, BOB)
    return Scene(world)


async def ready(scene: Scene, kind: RequestKind = RequestKind.CUTOVER) -> Crew:
    """Lead until the switch is possible; for a rollback that is after a cutover."""
    crew = await scene.lead()
    async with crew.working():
        await scene.world.reach(Phase.READY)
        if kind is RequestKind.ROLLBACK:
            assert (await scene.world.ask(crew, RequestKind.CUTOVER)).state is RequestState.DONE
            await scene.settled(after(Side.TARGET))

            async def is_compared() -> bool:
                return await scene.world.ledger.evidence.get(f"reconcile/{Side.TARGET}") is not None

            await scene.world.until(is_compared)
    return crew


async def switch(scene: Scene, crew: Crew, kind: RequestKind = RequestKind.CUTOVER) -> Request:
    return await scene.world.ask(crew, kind)


def journal(step: str, *, taken: bool) -> Matches:
    """Match the journal's write before, or after, a step."""
    told = f"'taken': {{'BOOL': {taken}}}"
    return lambda call: call.method == "put" and call.mentions("'S': 'switch'", f"'step': {{'S': '{step}'}}", told)
