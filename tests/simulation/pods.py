"""Two containers that compete for the lease: each runs a worker, is killed, stopped or paused, and comes back."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from random import Random

from domain.errors import FencedError, RefusedError, TableturnError, TransientError
from service.supervisor import gravest
from tests.crew import Crew, Tempo
from tests.seams import Crashed
from tests.simulation.actors import ACTOR, Actor, Kind
from tests.world import World

_RESTART = 1.0, 4.0
"""Seconds until a container is started again."""


@dataclass(slots=True)
class Pod:
    """One container. ``ends`` counts how its workers ended; a fatal end is kept for whoever runs the story."""

    name: str
    world: World
    tempo: Tempo
    random: Random
    ends: Counter[str]
    crew: Crew | None = None
    leads: bool = False
    fatal: BaseException | None = None
    _told: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, over: asyncio.Event) -> None:
        """Run workers one after another until all is over."""
        count = 0
        while not over.is_set() and self.fatal is None:
            count += 1
            name = f"{self.name}.{count}"
            ACTOR.set(Actor(Kind.WORKER, name))
            self.crew, self._told = self.world.crew(name, tempo=self.tempo), asyncio.Event()
            try:
                await self._work(self.crew, over)
            except (TableturnError, BaseExceptionGroup, Crashed) as error:
                self._ended(gravest(error))
            self.leads = False
            await asyncio.sleep(self.random.uniform(*_RESTART))

    async def _work(self, crew: Crew, over: asyncio.Event) -> None:
        """Wait for the lease, lead until told to stop, and give it back."""
        leading = asyncio.create_task(crew.lead(wait=True))
        ending = asyncio.create_task(over.wait())
        told = asyncio.create_task(self._told.wait())
        await asyncio.wait({leading, ending, told}, return_when=asyncio.FIRST_COMPLETED)
        try:
            if leading.done():
                await leading
                self.leads = True
                async with crew.working():
                    await asyncio.wait({ending, told}, return_when=asyncio.FIRST_COMPLETED)
                self.ends["stopped"] += 1
        finally:
            for task in (leading, ending, told):
                task.cancel()
            await crew.retire()

    def _ended(self, cause: BaseException) -> None:
        self.ends[type(cause).__name__] += 1
        if isinstance(cause, Crashed | FencedError | TransientError | RefusedError):
            return
        self.fatal = cause

    def crash(self) -> None:
        """Kill -9: nothing that this worker still does reaches anybody; what it has sent lands all the same."""
        if self.crew is not None:
            self.crew.database.crashed = True
            self.crew.database.awake.set()

    def stop(self) -> None:
        """Tell the worker to stop, as SIGTERM does."""
        self._told.set()

    async def pause(self, seconds: float) -> None:
        """Stop the process and let it go on later, as if nothing had happened."""
        crew = self.crew
        if crew is None:
            return
        crew.database.awake.clear()
        try:
            await asyncio.sleep(seconds)
        finally:
            crew.database.awake.set()


@dataclass(slots=True)
class Fleet:
    """All pods."""

    pods: list[Pod]

    @property
    def leader(self) -> Pod | None:
        """Return the pod that leads, or believes so."""
        return next((pod for pod in self.pods if pod.leads), None)

    async def leaving(self, actor: Actor) -> None:
        """Hold back what a stopped process would send until it goes on; raises Crashed for one that is gone."""
        crew = next((pod.crew for pod in self.pods if pod.crew is not None and pod.crew.name == actor.name), None)
        if crew is None:
            return
        await crew.database.awake.wait()
        if crew.database.crashed:
            raise Crashed

    def fatal(self) -> Iterator[BaseException]:
        """Yield what ended a pod for good."""
        for pod in self.pods:
            if pod.fatal is not None:
                yield pod.fatal
                pod.fatal = None


def at_pace(tempo: Tempo, random: Random) -> Tempo:
    """Draw how big pages are, of records and of items."""
    pace = replace(tempo.pace, page=random.choice([3, 10, 1000]))
    copying = replace(tempo.copying, page_items=random.choice([1, 3, 10]), segments_at_once=random.choice([1, 8]))
    return replace(tempo, pace=pace, copying=copying)
