"""The demo from beginning to end: a whole migration under live traffic, with the real program, checked at every turn.

    set the scene → legacy traffic → init → run → READY → cutover → new traffic → rollback → legacy traffic
                  → READY → cutover → new traffic → complete → stop → everything at rest

Read `tell`. Both applications run all the time; which of them writes, the flag decides.
"""

import asyncio
import json
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

from rich.console import Console

from cutover.facts import gather
from cutover.gates import Facts, Gate, Limits, completion_gates, cutover_gates, rollback_gates
from domain.errors import FatalError, TableturnError
from domain.phases import Phase, Side
from dynamo.aws import AwsDatabase, connect
from dynamo.local import endpoint_from_environment, run_local
from ledger.book import Ledger, operator_ledger
from mapping.plan import Plan, load_plan
from service.demo.checker import Checker
from service.demo.fill import clear_away, set_scene, wake_streams
from service.demo.flag import FlagReader, FlagTimes
from service.demo.journal import Journal
from service.demo.legacy_app import LegacyApp
from service.demo.new_app import NewApp
from service.demo.program import Program
from service.demo.proof import Outcome, Switched, show
from service.demo.traffic import Traffic
from service.demo.writing import ONCE, Writer, WritingPorts
from service.session import ledger_name
from service.settings import Settings
from service.supervisor import gravest
from service.systemclock import SystemClock

_SETTINGS: Final = {
    "TABLETURN_LEASE_SECONDS": "5",
    "TABLETURN_REQUEST_SECONDS": "2",
    "TABLETURN_FLAG_STALENESS_SECONDS": "0.25",
    "TABLETURN_LONGEST_REQUEST_SECONDS": "0.5",
    "TABLETURN_BAKE_SECONDS": "0",
    "TABLETURN_RECONCILE_INTERVAL_SECONDS": "5",
    "TABLETURN_PORT": "0",
}
_TIMES: Final = FlagTimes(staleness=0.25, longest_request=0.4, max_wait=900.0)
"""The applications give a write up a tenth of a second before the worker counts on it."""

_LIMITS: Final = Limits(bake_ms=0)
_POLL: Final = 0.5
_PATIENCE: Final = 120.0
_TRAFFIC_SECONDS: Final = 8.0
"""Seconds of traffic after each switch, at least."""


@dataclass(frozen=True, slots=True)
class Options:
    """``rate`` in writes per second, ``seed`` of all chance; ``keep``: leave journal and logs behind."""

    rate: int = 40
    seed: int = 1
    keep: bool = False


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything the story needs, open."""

    options: Options
    outcome: Outcome
    console: Console
    database: AwsDatabase
    once: AwsDatabase
    plan: Plan
    ledger: Ledger
    program: Program
    journal: Journal
    checker: Checker
    prefix: str

    async def until(self, what: str, holds: Callable[[Facts], bool]) -> None:
        """Wait until the facts hold. Raises FatalError when they do not in time, ProgramFailed when the worker ends."""
        began, facts = time.monotonic(), await self.facts()
        with self.console.status(what) as line:
            while not holds(facts):
                self.program.check_worker()
                if time.monotonic() - began > _PATIENCE:
                    message = f"waited {_PATIENCE:.0f} s in vain: {what} (phase {facts.phase})"
                    raise FatalError(message, hint=self.program.log_tail())
                line.update(await self._progress(what, facts))
                await asyncio.sleep(_POLL)
                facts = await self.facts()
        self.say(f"{what}: {time.monotonic() - began:.1f} s")

    async def facts(self) -> Facts:
        """Gather what the gates look at."""
        return await gather(self.ledger, self.database, self.plan, SystemClock())

    def say(self, line: str) -> None:
        """Tell what happens, with the time."""
        self.console.print(f"{self.elapsed():6.1f} s  {line}")

    def elapsed(self) -> float:
        """Return seconds since the beginning."""
        return time.monotonic() - self.outcome.seconds

    async def _progress(self, what: str, facts: Facts) -> str:
        copied = sum([sum(part.items for part in await self.ledger.segments.of(name)) for name in self.plan.sources])
        lag = facts.lag_ms(facts.serving) / 1000
        shown = f"{lag:.1f} s" if facts.through_ms else "-"
        return f"{what}   {facts.phase}   copied {copied}   written {len(self.journal.entries)}   lag {shown}"
