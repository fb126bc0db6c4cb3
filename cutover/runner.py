"""Move the phase when the evidence allows it, and carry out what the operator asks (protocol §8).

Every round: take back a switch that a crash left open (once, at the start), gather facts, enter the next phase if
`transitions` says so, answer requests. A cutover itself is `sequence.SwitchSequence`.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from cutover.facts import WORKER, gather
from cutover.gates import Facts, Gate, Limits, completion_gates, cutover_gates, recapture_gates, rollback_gates
from cutover.judgement import overridden
from cutover.recapture import recapture
from cutover.sequence import SwitchPorts, SwitchResult, SwitchSequence, take_back
from cutover.transitions import may_abort, next_phase
from domain.errors import ConditionFailed, RefusedError, TransientError
from domain.phases import Phase, Side
from dynamo.ports import Database
from ledger.requests import Request, RequestKind, RequestState

_HEARTBEAT = 5.0
"""Seconds between signs of life in the ledger."""

_SETTLE_AGAIN = 5.0
"""Seconds between tries to settle what a switch has left."""

_PREVIEWED = 300.0
"""Seconds between looks whether every actuator can be reached."""

_SIDES = {RequestKind.CUTOVER: Side.TARGET, RequestKind.ROLLBACK: Side.SOURCE}
_ENDS = {RequestKind.COMPLETE: Phase.DONE, RequestKind.ABORT: Phase.ABORTED}
_ASKED = (*_SIDES, *_ENDS, RequestKind.RECAPTURE)


@dataclass(frozen=True, slots=True)
class DirectorPorts:
    """What directing works with; ``poll``: seconds between rounds, which the bell shortens."""

    switch: SwitchPorts
    database: Database
    limits: Limits
    stopping: asyncio.Event
    poll: float = 1.0


class Director:
    """The one who moves the phase."""

    def __init__(self, ports: DirectorPorts) -> None:
        """Nothing is moved before `run`."""
        self._ports = ports
        self._ledger = ports.switch.ledger
        self._clock = ports.switch.clock
        self._alive = float("-inf")
        self._began = self._clock.monotonic()

    async def run(self) -> None:
        """Direct until the migration is over or the process is told to stop."""
        await self._recover()
        async with asyncio.TaskGroup() as group:
            settling = group.create_task(self._keep_settled())
            await self._direct()
            settling.cancel()

    async def _direct(self) -> None:
        """Go round by round."""
        while not self._ports.stopping.is_set():
            await self._show_life()
            facts = await gather(self._ledger, None, self._ports.switch.plan, self._clock)
            if facts.phase in _ENDS.values():
                return
            await self._advance(facts)
            for kind in _ASKED:
                for request in await self._ledger.requests.waiting(kind):
                    await self._carry_out(request)
            await self._ports.switch.bell.wait(self._ports.poll)

    async def _recover(self) -> None:
        """After a crash: a switch is taken back unless its unfence took place, and its asker is told which."""
        switch = await self._ledger.switches.current()
        try:
            if switch is not None and switch.is_open:
                await self._ports.switch.acting.lift_fences(switch)
        finally:
            await take_back(self._ledger, "the worker was restarted")
        for kind in _ASKED:
            for request in await self._ledger.requests.waiting(kind):
                if request.state is RequestState.TAKEN:
                    done = await self._took_place(request)
                    why = "it took place" if done else "the worker was restarted; the earlier state is back"
                    await self._ledger.requests.answer(request, done=done, switched=done, why=why)

    async def _keep_settled(self) -> None:
        """Bring what actuators owe to its end, as often as it takes; look now and then whether they can be reached."""
        acting, looked, owed = self._ports.switch.acting, float("-inf"), False
        while True:
            with suppress(TransientError):  # a switch that is under way need not end for a look that failed
                trouble, now = await acting.settle(), self._clock.monotonic()
                if trouble or owed or now - looked >= _PREVIEWED:
                    owed = bool(trouble)  # looked at once more when it is settled, for the evidence to say so
                    await acting.preview((await self._ledger.migration.state()).flag.serving.other)
                    looked = now
            await asyncio.sleep(_SETTLE_AGAIN)

    async def _took_place(self, request: Request) -> bool:
        """Tell whether what a request asked for has happened, by what stands in the ledger."""
        state = await self._ledger.migration.state()
        if request.kind in _ENDS:
            return state.phase is _ENDS[request.kind]
        if request.kind is RequestKind.RECAPTURE:
            return await self._ledger.streams.epoch(request.facts["stream"]) > int(request.facts["epoch"])
        switch = await self._ledger.switches.current()
        ours = switch is not None and switch.facts.get("request") == request.request_id
        return ours and state.flag.serving is _SIDES[request.kind]

    async def _advance(self, facts: Facts) -> None:
        following = next_phase(facts)
        if following is None:
            return
        phase, why = following
        state = await self._ledger.migration.state()
        if state.phase is not facts.phase:
            return
        try:
            await self._ledger.migration.move(state, phase, why=why)
        except ConditionFailed:
            return  # it moved meanwhile: look again
        self._ports.switch.bell.ring()

    async def _carry_out(self, request: Request) -> None:
        """Check the gates, then do it; a gate that does not pass refuses the request, and nothing is changed."""
        try:
            request = await self._ledger.requests.take(request)
        except ConditionFailed:
            return  # withdrawn at the last moment
        if request.kind in _SIDES:
            await self._ports.switch.acting.preview(_SIDES[request.kind])
        self._alive = float("-inf")  # the gates must know whether writes may still land *now*
        await self._show_life()
        if not await self._passes(request):
            return
        try:
            await self._work(request.kind)(request)
        except RefusedError as refusal:
            request = await self._ledger.requests.get(request)
            await self._ledger.requests.answer(request, done=False, why=str(refusal))
        self._ports.switch.bell.ring()

    async def _passes(self, request: Request) -> bool:
        """Tell whether every gate passes, or was overridden, which the history tells; if not, refuse the request."""
        overrides = request.facts.get("overrides", {})
        try:
            gates = overridden(self._gates(request.kind, await self._facts()), overrides)
        except RefusedError as refusal:
            await self._ledger.requests.answer(request, done=False, why=str(refusal))
            return False
        refusals = [gate.document() for gate in gates if not gate.passes]
        if refusals:
            why = "; ".join(f"{gate['name']}: {gate['value']}, wanted {gate['limit']}" for gate in refusals)
            await self._ledger.history.add("refused", what=request.kind, gates=refusals)
            why = f"refused by its gates, nothing was changed: {why}"
            await self._ledger.requests.answer(request, done=False, why=why, gates=refusals)
            self._ports.switch.bell.ring()
        elif used := [gate.document() for gate in gates if gate.override]:
            await self._ledger.history.add("overridden", what=request.kind, by=request.facts.get("by"), gates=used)
        return not refusals

    def _work(self, kind: RequestKind) -> Callable[[Request], Awaitable[None]]:
        if kind is RequestKind.RECAPTURE:
            return self._recapture
        return self._switch if kind in _SIDES else self._end

    async def _switch(self, request: Request) -> None:
        """Cut over or roll back."""

        async def report(step: str, blocked: float) -> None:
            nonlocal request
            request = await self._ledger.requests.tell(request, step=step, blocked_ms=round(blocked * 1000))

        sequence = SwitchSequence(self._ports.switch, _SIDES[request.kind], report, request_id=request.request_id)
        max_blocked = request.facts.get("max_blocked_ms", int(self._ports.switch.settings.max_blocked * 1000)) / 1000
        result = await self._unless_stopped(sequence, max_blocked)
        steps = {step: round(seconds * 1000) for step, seconds in result.steps.items()}
        outcome = {
            "switched": result.switched,
            "why": result.why,
            "blocked_ms": round(result.blocked * 1000),
            "verified": result.verified,
            "steps": steps,
            "unsettled": list(result.unsettled),
            "overrides": dict(request.facts.get("overrides", {})),
        }
        await self._ledger.history.add(request.kind, **outcome)
        await self._ledger.evidence.put(f"switch/{request.kind}", outcome)
        if result.switched and not self._ports.stopping.is_set():
            await self._ports.switch.acting.preview(_SIDES[request.kind].other)  # the way back may be asked for at once
        await self._ledger.requests.answer(request, done=result.switched, **outcome)

    async def _unless_stopped(self, sequence: SwitchSequence, max_blocked: float) -> SwitchResult:
        """Run a switch; when the process is told to stop in the middle, let it take itself back first."""
        switching = asyncio.create_task(sequence.run(max_blocked=max_blocked))
        told = asyncio.create_task(self._ports.stopping.wait())
        try:
            await asyncio.wait({switching, told}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            told.cancel()
            switching.cancel()  # nothing to it when it is over
            await asyncio.gather(switching, return_exceptions=True)  # what failed elsewhere is told there, not twice
        if switching.cancelled() and sequence.result is not None:
            return sequence.result  # what became of it, even if it was told to stop in its very last step
        return switching.result()

    async def _recapture(self, request: Request) -> None:
        """Begin a new epoch of a stream; the followers, and whoever has to copy again, see it in the ledger."""
        facts = request.facts
        stream = await recapture(
            self._ledger,
            self._ports.database,
            facts["stream"],
            epoch=facts["epoch"],
            why=str(facts.get("reason", "asked for")),
        )
        phase = (await self._ledger.migration.state()).phase
        if phase is Phase.BAKE:
            await self._ledger.requests.ask(
                RequestKind.VERIFY
            )  # what is owed to the legacy tables is found by comparing
        await self._ledger.requests.answer(request, done=True, why=phase.value, stream=stream.name, epoch=stream.epoch)

    async def _end(self, request: Request) -> None:
        """Complete or abort: the last move of the phase; nobody settles anything after it."""
        unsettled = await self._ports.switch.acting.settle()
        if unsettled:
            why = f"the last switch is not settled: {'; '.join(unsettled)}"
            await self._ledger.requests.answer(request, done=False, why=why)
            return
        state = await self._ledger.migration.state()
        phase = _ENDS[request.kind]
        try:
            await self._ledger.migration.move(state, phase, why=str(request.facts.get("reason", "asked for")))
        except ConditionFailed:
            await self._ledger.requests.answer(request, done=False, why="the phase moved on meanwhile: ask again")
            return
        await self._ledger.requests.answer(request, done=True, why=phase.value)

    def _gates(self, kind: RequestKind, facts: Facts) -> list[Gate]:
        limits = self._ports.limits
        if kind is RequestKind.CUTOVER:
            return cutover_gates(facts, limits)
        if kind is RequestKind.ROLLBACK:
            return rollback_gates(facts, limits)
        if kind is RequestKind.COMPLETE:
            return completion_gates(facts, limits)
        if kind is RequestKind.RECAPTURE:
            return recapture_gates(facts)
        value, hint = may_abort(facts.phase), "after the switch there is `tableturn rollback`"
        return [Gate("before-the-switch", value, facts.phase, "a phase before CUTOVER", hint)]

    async def _facts(self) -> Facts:
        return await gather(self._ledger, self._ports.database, self._ports.switch.plan, self._clock)

    async def _show_life(self) -> None:
        """Write down that the worker lives, and whether writes of a worker before it may still land."""
        now = self._clock.monotonic()
        if now - self._alive >= _HEARTBEAT:
            settled = self._ports.switch.guard.quiet_since(float("-inf"))
            leading = {"epoch": self._ports.switch.guard.epoch, "leading_ms": int((now - self._began) * 1000)}
            await self._ledger.evidence.put(WORKER, {"settled": settled, **leading})
            self._alive = now
