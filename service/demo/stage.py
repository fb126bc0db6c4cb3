"""What the story is told on: a database, the program, both applications, the journal and the checker, opened in order.

`open_stage` opens it and takes it down again; the methods of `Stage` are the sentences that `story` is made of.
"""

import asyncio
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final

from rich.console import Console

from cutover.facts import gather
from cutover.gates import Facts, Gate, Limits
from domain.errors import FatalError
from domain.phases import Phase, Side
from dynamo.aws import AwsDatabase, connect
from dynamo.local import endpoint_from_environment, run_local
from ledger.book import Ledger, operator_ledger
from mapping.plan import Plan, load_plan
from service.demo.checker import Checker
from service.demo.fill import clear_away
from service.demo.flag import FlagReader, FlagTimes
from service.demo.journal import Journal
from service.demo.legacy_app import LegacyApp
from service.demo.new_app import NewApp
from service.demo.program import Program, ProgramFailed, ProgramRefused
from service.demo.proof import AGES, Outcome, Switched
from service.demo.traffic import Traffic
from service.demo.writing import ONCE, Writer, WritingPorts
from service.session import ledger_name
from service.settings import ENVIRONMENT, Settings
from service.systemclock import SystemClock

_SETTINGS: Final = {
    "TABLETURN_LEASE_SECONDS": "15",
    "TABLETURN_REQUEST_SECONDS": "5",
    "TABLETURN_FLAG_STALENESS_SECONDS": "0.25",
    "TABLETURN_LONGEST_REQUEST_SECONDS": "0.75",
    "TABLETURN_BAKE_SECONDS": "0",
    "TABLETURN_MAX_BLOCKED_SECONDS": "30",  # for the gates alone: a comparison beside traffic takes far longer than one
    # under the fence, above all on a busy machine; each switch is asked for with `_MOST_BLOCKED_S`
    "TABLETURN_PREPARE_SECONDS": "30",  # a command that waits longer has failed here; refused, it is asked again
    "TABLETURN_RECONCILE_INTERVAL_SECONDS": "15",  # besides one at the beginning of each phase
    "TABLETURN_PORT": "0",
}
_TOLD: Final = 5
"""Discrepancies of one check that are told as they are found."""

_TIMES: Final = FlagTimes(staleness=0.25, longest_request=0.4, max_wait=900.0)
"""The applications give a write up a third of a second before the worker counts on it: the request may lie in the
database's queue for as long, when the machine is busy.
"""

_POLL: Final = 1.0
_BEAT: Final = 0.05
_ATTEMPTS: Final = 6
_MOST_BLOCKED_S: Final = "4.8"
"""What the demo promises: a switch that blocks writes for longer takes itself back, and is asked for again."""

_TELL: Final = 15.0
_PATIENCE: Final = 240.0


Gates = Callable[[Facts, Limits], list[Gate]]


@dataclass(frozen=True, slots=True)
class Options:
    """``rate`` in writes per second, ``seed`` of all chance; ``keep``: leave journal and logs behind."""

    rate: int = 40
    seed: int = 1
    keep: bool = False


@dataclass(frozen=True, slots=True)
class Connections:
    """``once`` is for the applications' writes, which are never sent twice; ``reads`` for everything else."""

    reads: AwsDatabase
    once: AwsDatabase


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything the story needs."""

    options: Options
    outcome: Outcome
    console: Console
    connections: Connections
    plan: Plan
    ledger: Ledger
    program: Program
    journal: Journal
    checker: Checker
    prefix: str
    limits: Limits
    began: float

    @property
    def database(self) -> AwsDatabase:
        """Return the connection that retries."""
        return self.connections.reads

    def say(self, line: str) -> None:
        """Tell what happens, with the time."""
        self.console.print(f"{time.monotonic() - self.began:6.1f} s  {line}")

    def traffic(self, side: Side) -> Traffic:
        """Return the application of a side, with a flag reader of its own."""
        flag = FlagReader(self.database, self.ledger.rows.table, times=_TIMES)
        ports = WritingPorts(self.connections.once, self.database, flag, self.journal, self.prefix)
        writer, random = Writer(ports, side), Random(f"{self.options.seed}/{side}")
        application = LegacyApp(writer, random) if side is Side.SOURCE else NewApp(writer, random)
        return Traffic(writer, application.actions(), rate=self.options.rate, random=random)

    async def until(self, what: str, gates: Gates) -> None:
        """Wait until every gate is open. Raises FatalError after a while, ProgramFailed when the worker ends."""
        began, facts, told = time.monotonic(), await self._facts(), 1
        with self.console.status(what) as line:
            while waits_for := self._closed(gates, facts):
                self.program.check_worker()
                if time.monotonic() - began > _PATIENCE:
                    message = f"waited {_PATIENCE:.0f} s in vain: {what}; {'; '.join(waits_for)}"
                    raise FatalError(message, hint=self.program.log_tail())
                if time.monotonic() - began > told * _TELL:
                    self.say(f"{what}: {'; '.join(waits_for)}")
                    told += 1
                line.update(await self._progress(what, facts))
                await asyncio.sleep(_POLL)
                before, facts = facts, await self._facts()
                if facts.phase is not before.phase:
                    self.say(f"{before.phase} → {facts.phase}")
        self.say(f"{what}: {await self._progress('done', facts)}")

    async def spell(self, seconds: float) -> None:
        """Let the applications write for a while, and look on."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            await self._facts()
            await asyncio.sleep(_POLL)

    async def switch(self, kind: str, what: str, gates: Gates) -> None:
        """Cut over or roll back; the program's own figures are kept."""
        answer = await self.ask(what, gates, kind, "--max-blocked", _MOST_BLOCKED_S)
        self.outcome.switches.append(
            Switched(kind, answer["blocked_ms"], answer.get("steps", {}), answer.get("verified", ""))
        )
        self.say(f"{kind}: writes were blocked for {answer['blocked_ms'] / 1000:.2f} s")

    async def ask(self, what: str, gates: Gates, *words: str) -> dict[str, Any]:
        """Wait for the gates, then run a command; again when it was refused or taken back.

        On a busy machine that is an outcome like any other: everything is as it was. Raises ProgramFailed.
        """
        refused: ProgramRefused | None = None
        for _ in range(_ATTEMPTS):
            await self.until(what, gates)
            try:
                return await self.program.command(*words)
            except ProgramRefused as refusal:
                refused = refusal
                self.outcome.refusals.append(refusal.message)
                self.say(refusal.message)
        message = f"`tableturn {words[0]}` was refused {_ATTEMPTS} times"
        raise ProgramFailed(message, hint=self.program.log_tail()) from refused

    async def check(self, phase: str, *, follows: bool = True) -> None:
        """Hold the serving side, and the other one if it ``follows``, against the journal."""
        flag = (await self.ledger.migration.state()).flag
        report = await self.checker.check(phase, serving=flag.serving, epoch=flag.epoch, follows=follows)
        self.outcome.reports.append(report)
        figures = report.figures
        told = f"{figures['writes']} writes, {figures['items']} items, {figures['beside']} beside them compared"
        self.say(f"check {phase}: {told}; {len(report.found)} discrepancies")
        for each in report.found[:_TOLD]:
            self.say(f"{each.kind} by {each.check} in the {each.side}: {each.item} {', '.join(each.attributes)}")

    async def watch_stalls(self) -> None:
        """Measure how late the event loop is at worst: a stalled application could send a write late."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _BEAT
            await asyncio.sleep(_BEAT)
            self.outcome.stall_ms = max(self.outcome.stall_ms, int((loop.time() - due) * 1000))

    def _closed(self, gates: Gates, facts: Facts) -> list[str]:
        """Return the gates that do not pass; a comparison from before the phase is none."""
        shut = [gate for gate in gates(facts, self.limits) if not gate.passes]
        told = [f"{gate.name} is {gate.value}, wanted {gate.limit}" for gate in shut]
        fresh = facts.phase is Phase.READY or facts.reconciled_ms(facts.serving) >= facts.since_ms
        return told if fresh else [*told, "no comparison since the phase began"]

    async def _facts(self) -> Facts:
        """Gather the facts; keep how far behind the comparison is, once all was compared in a phase that lasts."""
        facts = await gather(self.ledger, self.database, self.plan, SystemClock())
        if facts.phase in {Phase.READY, Phase.BAKE} and facts.is_compared_since(facts.serving):
            found = facts.reconciled[facts.serving]
            self.outcome.see_ages(*(facts.age_ms(int(found[f"{kind}_through_ms"])) for kind in AGES))
        return facts

    async def _progress(self, what: str, facts: Facts) -> str:
        told = [what, str(facts.phase)]
        if not facts.copied:
            segments = [await self.ledger.segments.of(name) for name in self.plan.sources]
            told.append(f"copied {sum(segment.items for parts in segments for segment in parts)}")
        lag = f"{facts.lag_ms(facts.serving) / 1000:.1f} s" if facts.through_ms else "unknown"
        return "   ".join([*told, f"{self.journal.per_second():.0f} writes/s", f"lag {lag}"])


@asynccontextmanager
async def open_stage(options: Options, outcome: Outcome, console: Console) -> AsyncIterator[Stage]:
    """Open everything, and close it in the end: worker, journal, database, folder."""
    began, prefix = time.monotonic(), f"demo-{Random().getrandbits(32):08x}"
    with _folder(options, outcome, console) as folder, _endpoint() as (endpoint, is_ours):
        environment = {**_SETTINGS, "TABLETURN_ENDPOINT_URL": endpoint, "SECRETS_PREFIX": prefix}
        told = {name: environment[variable] for name, variable in ENVIRONMENT.items() if variable in environment}
        settings = Settings.model_validate({**told, "endpoint_url": endpoint})
        plan = load_plan(settings.plan_path(), variables=environment)
        program, journal = Program(environment, folder), Journal(folder / "journal.jsonl")
        async with connect(endpoint_url=endpoint) as reads, connect(endpoint_url=endpoint, retry=ONCE) as once:
            ledger = operator_ledger(reads, ledger_name(settings, plan), SystemClock(), who="demo")
            checker, connections = Checker(reads, journal, prefix), Connections(reads, once)
            stage = Stage(
                options=options,
                outcome=outcome,
                console=console,
                connections=connections,
                plan=plan,
                ledger=ledger,
                program=program,
                journal=journal,
                checker=checker,
                prefix=prefix,
                limits=settings.limits(),
                began=began,
            )
            try:
                yield stage
            finally:
                await _close(stage, is_ours=is_ours)


async def _close(stage: Stage, *, is_ours: bool) -> None:
    await stage.program.stop_worker()
    stage.outcome.restarts = stage.program.restarts
    stage.journal.close()
    if not is_ours:
        await clear_away(stage.database, stage.prefix)


@contextmanager
def _endpoint() -> Iterator[tuple[str, bool]]:
    """Return a database, and whether it ends with the demo: the one the user named does not."""
    chosen = endpoint_from_environment()
    if chosen is not None:
        yield chosen, False
        return
    with run_local(heap_mb=768) as local:
        yield local.endpoint_url, True


@contextmanager
def _folder(options: Options, outcome: Outcome, console: Console) -> Iterator[Path]:
    """Return a folder for journal and logs; it stays when asked for, and when something went wrong."""
    folder = Path(tempfile.mkdtemp(prefix="tableturn-demo-"))
    told = False
    try:
        yield folder
        told = outcome.worker_exit == 0 and not any(report.found for report in outcome.reports)
    finally:
        if told and not options.keep:
            shutil.rmtree(folder)
        else:
            console.print(f"journal and logs: {folder}")
