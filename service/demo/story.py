"""The demo from beginning to end: a whole migration under live traffic, with the real program, checked at every turn.

    set the scene → legacy traffic → plan → init → run → READY → cutover → new traffic → rollback → legacy traffic
                  → READY → cutover → new traffic → complete → stop → everything at rest

Read `_migrate`. Both applications run all the time; which of them writes, the flag decides.
"""

import asyncio
import json
import sys
import time
from random import Random
from typing import Final

from rich.console import Console

from cutover.gates import completion_gates, cutover_gates, rollback_gates
from domain.errors import FatalError, TableturnError
from domain.phases import Side
from service.demo.fill import set_scene, wake_streams
from service.demo.proof import Outcome, show
from service.demo.stage import Options, Stage, open_stage
from service.supervisor import gravest

_SPELL: Final = 8.0
"""Seconds of traffic after each switch, at least."""


def main(*, json_output: bool, rate: int, seed: int, keep: bool = False) -> int:
    """Tell the story; print the proof, as one JSON document if asked; return the exit code."""
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    try:
        outcome = asyncio.run(tell(Options(rate, seed, keep), console))
    except KeyboardInterrupt:
        console.print("interrupted; nothing is left running")
        return 1
    if json_output:
        json.dump(outcome.document(), sys.stdout, indent=2, ensure_ascii=False)
        sys.stdout.write("\n")
    else:
        show(outcome, Console(width=110, highlight=False))
    return 0 if outcome.passed else 1


async def tell(options: Options, console: Console) -> Outcome:
    """Do it all; what goes wrong stands in the outcome."""
    outcome, began = Outcome(options.seed, options.rate), time.monotonic()
    try:
        async with open_stage(options, outcome, console) as stage:
            await _play(stage)
    except (TableturnError, BaseExceptionGroup) as error:
        cause = gravest(error)
        if not isinstance(cause, TableturnError):
            raise
        outcome.failure = f"{cause.message}\n{cause.hint}"
    outcome.seconds = time.monotonic() - began
    return outcome


async def _play(stage: Stage) -> None:
    """Run both applications around the migration, then look once more when nothing moves."""
    stage.outcome.filled = await set_scene(stage.database, stage.prefix, stage.journal, Random(stage.options.seed))
    stage.say(f"five legacy tables, {stage.outcome.filled} items")
    applications = [stage.traffic(side) for side in Side]
    began = time.monotonic()
    try:
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(stage.watch_stalls())
            for application in applications:
                group.create_task(application.run())
            await _migrate(stage)
            for application in applications:
                application.stop()
            watching.cancel()
    finally:
        stage.outcome.traffic_seconds = time.monotonic() - began
        stage.outcome.take(stage.journal)
    await stage.check("at rest", follows=False)


async def _migrate(stage: Stage) -> None:
    """The migration as an operator does it, with commands of the program only."""
    report = str(stage.program.folder / "plan.json")
    proof = await stage.program.command("plan", "--report", report)
    stage.say(f"plan: {proof['verdict']}")
    enabled = await stage.program.command("init", "--report", report, "--create-targets", "--enable-streams")
    for step in enabled["steps"]:
        stage.say(f"init: {step}")
    await wake_streams(stage.database, stage.prefix)
    await stage.program.start_worker()
    await stage.until("copy and catch up", cutover_gates)
    await stage.check("before the cutover")
    await stage.switch("cutover", "ready", cutover_gates)
    await stage.check("after the cutover")
    await stage.spell(_SPELL)
    await stage.switch("rollback", "reverse keeps up", rollback_gates)
    await stage.check("after the rollback", follows=False)
    await stage.spell(_SPELL)
    await stage.until("ready again", cutover_gates)
    await stage.check("before the second cutover")
    await stage.switch("cutover", "ready", cutover_gates)
    await stage.check("after the second cutover")
    await stage.spell(_SPELL)
    await stage.ask("bake", completion_gates, "complete", "--reason", "the demo is over")
    stage.outcome.worker_exit = await stage.program.stop_worker()
    stage.say(f"complete; the worker ended with code {stage.outcome.worker_exit}")
    if stage.outcome.worker_exit != 0:
        message = f"the worker did not end cleanly: code {stage.outcome.worker_exit}"
        raise FatalError(message, hint=stage.program.log_tail())
