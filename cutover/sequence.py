"""The one supervised sequence of a cutover, and of a rollback, which is the same with the sides swapped (§8, §9).

Two outcomes and no third: the other side serves and may be written, or the exact earlier state is back. The unfence is
the point of no return; it settles flag, phase, marks, spans and journal in one transaction.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import TypeAlias

from cutover.acting import Acting
from cutover.actuators import Moment
from cutover.marking import Marker
from domain.clock import Clock, credible
from domain.cuts import Cut, Span
from domain.errors import ConditionFailed, RefusedError, TransientError, first_of
from domain.phases import Phase, Side
from domain.tables import KeyAttribute
from dynamo.ports import Action
from ledger.book import Ledger
from ledger.hints import Bell
from ledger.lease import LeaseGuard
from ledger.migration import State, StateChange
from ledger.requests import Request, RequestKind
from ledger.streams import StreamRow
from ledger.switches import Switch
from mapping.plan import Plan

_POLL = 0.1
"""Seconds between looks at what a step waits for; the bell shortens them."""

_NEAR_MS = 5_000
"""Milliseconds within which every stream has to be seen to its tip, so that the lag of all counts as near zero."""

_LOOK_MS = 3_000
"""… and that a look at what changed is waited for, where there may be none at all."""

_ROUNDS = 10
"""Rounds of taking back against a transaction that may still land."""

Marks: TypeAlias = dict[str, str]
"""Mark ids by stream."""

Report = Callable[[str, float], Awaitable[None]]
"""Told each step as it begins, with the seconds since writes were blocked."""


@dataclass(frozen=True, slots=True)
class SwitchSettings:
    """Seconds: how stale an application's view of the flag may be, its longest request, and writes blocked at most.

    ``approach``: how long what comes before the fence may take, while nothing is blocked. ``verify``: how long a full
    comparison under the fence may take; else what changed is compared (§8.3).
    """

    staleness: float = 1.0
    longest_request: float = 2.0
    max_blocked: float = 10.0
    approach: float = 300.0
    verify: float = 1.0


@dataclass(frozen=True, slots=True)
class SwitchPorts:
    """What a switch works with."""

    plan: Plan
    ledger: Ledger
    marker: Marker
    guard: LeaseGuard
    clock: Clock
    bell: Bell
    settings: SwitchSettings
    acting: Acting


@dataclass(frozen=True, slots=True)
class SwitchResult:
    """How it ended: switched or taken back, why, and for how long writes were blocked (seconds, by step).

    ``steps``: when each began, in seconds since the fence, those before it since the beginning. ``verified``: what was
    compared under the fence, everything or what changed; empty before that. ``unsettled``: what actuators still owe.
    """

    switched: bool
    why: str
    blocked: float
    steps: dict[str, float]
    verified: str
    unsettled: tuple[str, ...] = ()


class SwitchSequence:
    """Carries one switch out, step by step; each step is in the journal before it is taken."""

    def __init__(self, ports: SwitchPorts, to: Side, report: Report, *, request_id: str = "") -> None:
        """``to`` is the side that shall serve; ``request_id`` stands in the journal, for an asker after a crash."""
        self._request_id = request_id
        self._ports = ports
        self._ledger = ports.ledger
        self._to = to
        self._report = report
        self._began = ports.clock.monotonic()
        self._steps: dict[str, float] = {}
        self._journal: Switch | None = None
        self._asked: Request | None = None
        self._within_ms = self._fenced_ms = 0
        self._verified = ""
        self._is_blocked = False
        self.result: SwitchResult | None = None

    async def run(self, *, max_blocked: float) -> SwitchResult:
        """Switch, or take everything back when a step fails or ``max_blocked`` seconds pass before the unfence."""
        await self._check_settled()
        state = await self._ledger.migration.state()
        facts = {"request": self._request_id, **self._ports.acting.facts()}
        self._journal = await self._ledger.switches.begin(
            Switch(secrets.token_hex(6), self._to, state.phase, "begin", True, {}, {}, facts)
        )
        try:
            self._within_ms = int(min(max_blocked / 2, self._ports.settings.verify) * 1000)
            self.result = await self._to_an_outcome(max_blocked)
        finally:
            if self.result is None:  # stopped, fenced, or broken: whatever it was goes on after the state is back
                self.result = await self._failed("the worker stopped in the middle")
            await self._ports.marker.clear()
        return self.result

    async def _check_settled(self) -> None:
        """Raise RefusedError while the last switch is not settled: what stood before it could not be told any more."""
        unsettled = await self._ports.acting.settle()
        if unsettled:
            message = f"the last switch is not settled: {'; '.join(unsettled)}"
            raise RefusedError(message, hint="nothing was changed; mend that, the worker tries again by itself")

    async def _to_an_outcome(self, max_blocked: float) -> SwitchResult:
        late = f"preparing took longer than {self._ports.settings.approach} s; writes were never blocked"
        try:
            async with asyncio.timeout(self._ports.settings.approach):
                await self._approach()
            late = f"writes were blocked for {max_blocked} s: the deadline passed"
            async with asyncio.timeout(max_blocked):
                await self._steps_in_order()
        except TimeoutError:
            return await self._failed(late)
        except (RefusedError, TransientError) as error:
            return await self._failed(str(error))
        return self._ended("switched", switched=True)

    async def _approach(self) -> None:
        """What needs no fence: slow actuators, then wait until little is left to drain."""
        async with self._step("prepare"):
            await self._ports.acting.carry_out(self._switch, Moment.PREPARE)
        async with self._step("approach"):
            await self._come_near()

    async def _steps_in_order(self) -> None:
        drained = await self._streams(self._to.other)
        opened = await self._streams(self._to)
        self._began = self._ports.clock.monotonic()
        self._is_blocked = True
        async with self._step("fence"):
            await self._fence()
        async with self._step("drain", drain=_new_marks(drained)):
            cuts = await self._mark(drained, self._switch.drain_marks)
        async with self._step("verify"):
            await self._verify()
        async with self._step("settle"):
            await self._settle()
        async with self._step("mark", opening=_new_marks(opened)):
            cuts |= await self._mark(opened, self._switch.open_marks)
            await self._check_quarantine("before the mark: what a stray wrote there would serve")
        async with self._step("switch"):
            state = await self._turn()
        async with self._step("smoke"):
            await self._ports.acting.carry_out(self._switch, Moment.SMOKE)
        await self._begin("unfence")
        await self._unfence(state, cuts)

    async def _come_near(self) -> None:
        """Wait until every stream that will be drained was seen to a tip of a moment ago: little is left to drain.

        Not until all of them lag little at once: each says how far it sees at moments of its own. A look at what has
        changed is waited for as well, for a while: what it has seen, the verification need not see again.
        """
        self._ports.bell.presses = True
        first = began = self._ports.clock.wall_ms()
        while True:
            now = self._ports.clock.wall_ms()
            streams = await self._streams(self._to.other)
            seen = [credible(await self._ledger.streams.through_ms(each), now) for each in streams]
            if min(seen, default=0) >= began:
                if now - began <= _NEAR_MS and (now - first >= _LOOK_MS or await self._verified_ms() >= began):
                    return
                began = began if now - began <= _NEAR_MS else now
            await self._ports.bell.wait(_POLL)

    async def _verified_ms(self) -> int:
        found = await self._ledger.evidence.get(f"reconcile/{self._to.other}") or {}
        return int(found.get("verified_through_ms", 0))

    async def _fence(self) -> None:
        """Close the serving side for writes; it holds once every application has had time to see it."""
        state = await self._ledger.migration.state()
        phase = Phase.CUTOVER if self._to is Side.TARGET else state.phase
        await self._ledger.migration.move(state, phase, why="fence", change=StateChange(writable=False))
        await asyncio.sleep(self._ports.settings.staleness + self._ports.settings.longest_request)
        await self._ports.acting.carry_out(self._switch, Moment.FENCE)  # now: sooner it would meet writes under way
        self._fenced_ms = self._ports.clock.wall_ms()
        for stream in await self._streams(self._to):
            self._ports.bell.mark(stream.name)  # up to here it has to be seen before anything is verified

    async def _mark(self, streams: list[StreamRow], marks: dict[str, str]) -> dict[str, Cut]:
        """Cut every stream of a side; on return each of its shards is applied up to its mark."""
        try:
            async with asyncio.TaskGroup() as group:
                cuts = {
                    stream.name: group.create_task(
                        self._ports.marker.cut(stream, self._key(stream), marks[stream.name])
                    )
                    for stream in streams
                }
        except ExceptionGroup as several:
            raise first_of(several) from several
        return {name: task.result() for name, task in cuts.items()}

    async def _verify(self) -> None:
        """Compare both sides, now that nothing moves; the reconciler does it, asked through the ledger.

        All of them where that took no longer, last time, than it may take now, else what changed lately.
        """
        request = await self._ledger.requests.ask(
            RequestKind.VERIFY, fenced=True, within_ms=self._within_ms, since_ms=self._fenced_ms
        )
        self._asked = request
        self._ports.bell.ring()
        while not request.over:
            await self._ports.bell.wait(_POLL)
            request = await self._ledger.requests.get(request)
        self._verified = str(request.answer.get("extent", ""))
        mismatches = request.answer.get("mismatches", "nobody knows how many")  # somebody may have answered by hand
        if mismatches != 0:
            message = f"verification under the fence found {mismatches} mismatches"
            raise RefusedError(message, hint="see `tableturn status`, then repair")
        await self._check_quarantine(f"while the {self._to.other} was drained")

    async def _check_quarantine(self, when: str) -> None:
        """Raise RefusedError when something went to quarantine under the fence, such as a stray's write."""
        waiting = await self._ledger.quarantine.everything()
        if waiting:
            message = f"{len(waiting)} items went to quarantine {when}"
            raise RefusedError(message, hint="see `tableturn quarantine list`")

    async def _settle(self) -> None:
        """Wait until no write of ours can still land (§3 c), and until the last tombstone is purged."""
        await self._ports.guard.quiet()
        self._ports.bell.ring()
        while self._to is Side.TARGET and await self._ledger.tombstones.count(self._ports.plan.sources, at_most=1):
            await self._ports.bell.wait(_POLL)

    async def _turn(self) -> State:
        """Let the other side serve, not writable yet, and tell everybody who does not read the flag."""
        state = await self._ledger.migration.state()
        turned = StateChange(serving=self._to, writable=False)
        state = await self._ledger.migration.move(state, state.phase, why="switch", change=turned)
        await self._ports.acting.carry_out(self._switch, Moment.SWITCH)
        return state

    async def _unfence(self, state: State, cuts: dict[str, Cut]) -> None:
        """Open the other side: the point of no return, one transaction."""
        actions: list[Action] = [self._ledger.switches.close_action(self._switch)]
        for stream in await self._streams(self._to.other):
            actions += await self._bound(stream, self._switch.drain_marks[stream.name], cuts, opens=False)
        for stream in await self._streams(self._to):
            actions += await self._bound(stream, self._switch.open_marks[stream.name], cuts, opens=True)
        phase = Phase.BAKE if self._to is Side.TARGET else Phase.ROLLED_BACK
        change = StateChange(writable=True, rollbacks=int(self._to is Side.SOURCE))
        await self._ledger.migration.move(state, phase, why="unfence", also=tuple(actions), change=change)
        self._ports.bell.ring()

    async def _bound(self, stream: StreamRow, mark_id: str, cuts: dict[str, Cut], *, opens: bool) -> Sequence[Action]:
        """Return the writes that end the application's last span of a stream at the mark, or begin a new one there."""
        mark = await self._ledger.marks.get(mark_id)
        if mark is None:
            message = f"the mark of {stream.name} is gone from the ledger"
            raise RefusedError(message)
        spans = await self._ledger.marks.spans(stream.name)
        if opens:
            opened = Span(opened=cuts[stream.name])
            return self._ledger.marks.keep_actions(mark, stream.epoch, (len(spans), opened))
        ended = replace(spans[-1], closed=cuts[stream.name])
        return self._ledger.marks.keep_actions(mark, stream.epoch, (len(spans) - 1, ended))

    async def _failed(self, why: str) -> SwitchResult:
        """Take everything back, unless the unfence took place although its answer was lost."""
        try:
            if not await self._took_place():
                await self._ports.acting.lift_fences(self._switch)
        finally:  # whatever befalls it, or is told to hurry: applications do not wait for it
            switched = await take_back(self._ledger, why)
        await self._withdraw()
        self._ports.bell.ring()
        unsettled = await self._ports.acting.settle()
        return self._ended("switched" if switched else why, switched=switched, unsettled=unsettled)

    async def _took_place(self) -> bool:
        """Tell whether the journal is closed: the unfence closes it."""
        switch = await self._ledger.switches.current()
        return switch is None or not switch.is_open

    def _ended(self, why: str, *, switched: bool, unsettled: Sequence[str] = ()) -> SwitchResult:
        blocked = self._blocked() if self._is_blocked else 0.0
        return SwitchResult(switched, why, blocked, self._steps, self._verified, tuple(unsettled))

    async def _withdraw(self) -> None:
        """Let nobody go on with a verification that was asked for in vain."""
        if self._asked is None:
            return
        request = await self._ledger.requests.get(self._asked)
        if not request.over:
            with suppress(ConditionFailed):  # answered at this moment
                await self._ledger.requests.answer(request, done=False, why="the switch was taken back")

    @asynccontextmanager
    async def _step(
        self, step: str, *, drain: Marks | None = None, opening: Marks | None = None
    ) -> AsyncIterator[None]:
        """Write a step down before it is taken, with the marks that it will put, and after it."""
        journal = self._switch
        self._journal = replace(
            journal, drain_marks=drain or journal.drain_marks, open_marks=opening or journal.open_marks
        )
        await self._begin(step)
        yield
        self._journal = await self._ledger.switches.save(replace(self._switch, is_taken=True))

    async def _begin(self, step: str) -> None:
        """Write the next step into the journal and tell whoever watches."""
        self._journal = await self._ledger.switches.save(replace(self._switch, step=step, is_taken=False))
        self._steps[step] = round(self._blocked(), 3)
        await self._report(step, self._blocked() if self._is_blocked else 0.0)

    async def _streams(self, side: Side) -> list[StreamRow]:
        return [stream for stream in await self._ledger.streams.all() if stream.side is side]

    def _key(self, stream: StreamRow) -> tuple[KeyAttribute, ...]:
        plan = self._ports.plan
        return plan.target.key if stream.side is Side.TARGET else plan.sources[stream.name].definition.key

    def _blocked(self) -> float:
        return self._ports.clock.monotonic() - self._began

    @property
    def _switch(self) -> Switch:
        if self._journal is None:
            message = "no switch was begun"
            raise RefusedError(message)
        return self._journal


async def take_back(ledger: Ledger, why: str) -> bool:
    """Put the exact earlier state back, if a switch is open; tell whether it had already taken place.

    The flag comes first, so that applications may write again; readers go on only then (protocol §8). Called again
    after a crash it does what is left to do.
    """
    switched = False
    for _ in range(_ROUNDS):
        switch = await ledger.switches.current()
        if switch is None or not switch.is_open:
            switched = switch is not None and (await ledger.migration.state()).flag.serving is switch.to
            break
        state = await ledger.migration.state()
        earlier = StateChange(serving=switch.to.other, writable=True)
        told = ledger.history.action("taken-back", to=switch.to, step=switch.step, why=why)
        closing = (ledger.switches.close_action(switch), told)
        try:
            await ledger.migration.move(state, switch.came_from, why=f"taken back: {why}", also=closing, change=earlier)
        except ConditionFailed:
            continue
    for mark in await ledger.marks.pending():
        await ledger.marks.drop(mark.mark_id)
    return switched


def _new_marks(streams: list[StreamRow]) -> dict[str, str]:
    return {stream.name: secrets.token_hex(8) for stream in streams}
