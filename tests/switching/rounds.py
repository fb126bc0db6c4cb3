"""Cut over and roll back in turn, under the traffic of both applications, and hold both sides against the journal.

The stage is the demo's: its database, its applications, its checker. What is asked of it here is only more of the same:
one migration, many switches, each of them measured twice and checked.
"""

import asyncio
import os
from collections.abc import Callable
from random import Random
from typing import Final

from rich.console import Console

from cutover.facts import PROOF
from cutover.gates import cutover_gates, rollback_gates
from domain.phases import Side
from service.demo.checker import Report
from service.demo.demands import Kind
from service.demo.fill import set_scene, wake_streams
from service.demo.proof import Outcome, silences
from service.demo.stage import Options, Stage, open_stage
from service.planevidence import ProvenPlan
from service.systemclock import SystemClock
from tests.switching.measures import Measured, Round

SPELL: Final = 2.0
"""Seconds of traffic on each side, at least, besides those of the checks and of the gates."""

_GATES: Final = {"cutover": cutover_gates, "rollback": rollback_gates}

Told = Callable[[Round], None]


async def campaign(options: Options, cutovers: int, console: Console, told: Told) -> Measured:
    """Do so many cutovers, each with its rollback; ``told`` hears of each round. Raises what the demo raises."""
    outcome = Outcome(options.seed, options.rate)
    measured = Measured(seed=options.seed, rate=options.rate, cutovers=cutovers)
    async with open_stage(options, outcome, console) as stage:
        await set_scene(stage.database, stage.prefix, stage.journal, Random(options.seed))
        applications = [stage.traffic(side) for side in Side]
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(stage.watch_stalls())
            for application in applications:
                group.create_task(application.run())
            await _migrate(stage, cutovers, measured, told)
            for application in applications:
                application.stop()
            watching.cancel()
        await stage.check("at rest", follows=False)
        outcome.worker_exit = await stage.program.stop_worker()
    measured.take(stage.journal, outcome)
    return measured


async def _migrate(stage: Stage, cutovers: int, measured: Measured, told: Told) -> None:
    await stage.program.command("init", "--create-targets", "--enable-streams")
    await stage.ledger.evidence.put(PROOF, ProvenPlan("", "pass", SystemClock().wall_ms(), {}).facts())
    await wake_streams(stage.database, stage.prefix)
    await stage.program.start_worker()
    for number in range(1, cutovers + 1):
        for kind in _GATES:
            measured.rounds.append(await _round(stage, number, kind))
            told(measured.rounds[-1])
    await stage.until("ready again", cutover_gates)
    await stage.check("in the end")


async def _round(stage: Stage, number: int, kind: str) -> Round:
    """One switch: both sides checked before a cutover and after it; after a rollback the target is mended first."""
    outcome, journal = stage.outcome, stage.journal
    refused, checked = len(outcome.refusals), len(outcome.reports)
    if kind == "cutover":
        await stage.until(f"{kind} {number}", cutover_gates)
        await stage.check(f"before {kind} {number}")
    await stage.switch(kind, f"{kind} {number}", _GATES[kind])
    await stage.spell(SPELL)
    await stage.check(f"after {kind} {number}", follows=kind == "cutover")
    gaps = silences([entry for entry in journal.entries if entry.kind != "fill"])
    switched = outcome.switches[-1]
    return Round(
        number=number,
        kind=kind,
        blocked_ms=switched.blocked_ms,
        silent_ms=gaps[-1],
        steps=switched.steps,
        verified=switched.verified,
        refusals=tuple(outcome.refusals[refused:]),
        found=_counted(outcome.reports[checked:]),
        load=round(os.getloadavg()[0], 2),
    )


def _counted(reports: list[Report]) -> dict[str, int]:
    """Add up what the checks of a round compared and found; ``stale`` is what is not as the last write left it."""
    found = {kind: sum(report.count(kind) for report in reports) for kind in Kind}
    return {
        "writes": sum(report.figures["writes"] for report in reports),
        "items": sum(report.figures["items"] for report in reports),
        "lost": found.pop(Kind.LOST),
        "resurrected": found.pop(Kind.RESURRECTED),
        "stale": sum(found.values()),
    }
