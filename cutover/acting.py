"""Carries actuators out: all of a switch are done, or all are undone; what was begun stands in the ledger first (§8).

A crash at any line leaves rows that say what was begun and what stood before; `Acting.settle` brings each to its end,
by the outcome of the switch: undone when it was taken back, tidied up when it took place. It may be called at any time.
"""

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import replace
from functools import partial
from pathlib import PurePath
from typing import TypeAlias, TypeVar

from cutover.actuators import Act, Moment
from domain.errors import (
    DataError,
    FatalError,
    FencedError,
    RefusedError,
    TableturnError,
    TransientError,
    first_of,
)
from domain.guards import WriteGuard
from domain.phases import Side
from ledger.acts import ActRow, ActState
from ledger.book import Ledger
from ledger.switches import Switch

Work: TypeAlias = Callable[[], Awaitable[None]]
T = TypeVar("T")

EVIDENCE = "actuators"
"""Kind of the evidence that tells whether each actuator can be reached, and what the last switch has left unsettled."""

_TIDY = "tidy"
"""Name, among the facts of a switch, of those that are tidied after it."""

_ASKING = 15.0
"""Seconds that a preview may take: who asks for the way back does not wait for a service that is down."""

_GRACE = 10.0
"""Seconds that an act gets to end when the switch it belongs to is given up: a call that is out cannot be recalled."""

_LIFTING = 15.0
"""Seconds that lifting the fences may keep the flag closed: writes wait behind it that a fence would still deny.

AWS lets nobody change a table's policy twice within 15 seconds (DynamoDB, "Resource-based policy considerations").
"""


class Acting:
    """The actuators of one leader."""

    def __init__(self, acts: Sequence[Act], ledger: Ledger, guard: WriteGuard) -> None:
        """``acts`` in the order in which they are shown; the guard stops a leader that has lost its lease.

        Raises FatalError when two have the same name.
        """
        self._acts = {act.name: act for act in acts}
        self._ledger = ledger
        self._guard = guard
        self._under_way: set[asyncio.Task[None]] = set()
        self._settling = asyncio.Lock()
        self._settled = ""
        self._trouble: list[str] = []
        if len(self._acts) < len(acts):
            names = ", ".join(sorted({act.name for act in acts if [each.name for each in acts].count(act.name) > 1}))
            raise FatalError(f"several actuators have the same name: {names}", hint="give each a name of its own")

    async def preview(self, to: Side) -> dict[str, str]:
        """Ask each what it would do for a switch to a side, and keep as evidence whether each can be reached."""
        acts = list(self._acts.values())
        answers = await asyncio.gather(*(_previewed(act, to) for act in acts))
        said = {act.name: would for act, (would, _) in zip(acts, answers, strict=True) if would}
        trouble = [*self._trouble, *(line for _, line in answers if line)]
        await self._ledger.evidence.put(EVIDENCE, {"to": to.value, "would": said, "trouble": trouble})
        return said

    def facts(self) -> dict[str, list[str]]:
        """Return what the journal of a switch has to know: what it owes once it took place.

        A switch file that names more afterwards changes nothing until the next switch: nobody asked for it.
        """
        return {_TIDY: [name for name, act in self._acts.items() if act.moment is Moment.TIDY]}

    async def carry_out(self, switch: Switch, moment: Moment) -> None:
        """Do and verify every act of a moment, side by side. Raises the first error; the others come to their end."""
        chosen = [act for act in self._acts.values() if act.moment is moment]
        await self._side_by_side([self._do(switch, act) for act in chosen])

    async def lift_fences(self, switch: Switch) -> None:
        """Undo the acts of the fence, within `_LIFTING` or not at all."""
        await self._still()
        begun = await self._ledger.acts.of(switch.switch_id)
        fences = [row for row in begun if row.moment == Moment.FENCE and row.state is not ActState.UNDONE]
        try:
            async with asyncio.timeout(_LIFTING):
                await self._side_by_side([self._undo(switch, row) for row in fences])
        except (RefusedError, TransientError, TimeoutError):
            return  # `settle` goes on with it

    async def settle(self) -> list[str]:
        """Bring every act of the last switch to its end; return what stands in the way, a line each."""
        async with self._settling:
            switch = await self._ledger.switches.current()
            if switch is None or switch.is_open or switch.switch_id == self._settled:
                return []
            await self._still()
            told = await asyncio.gather(*(_tried(work) for work in await self._owed(switch)))
            self._trouble = [line for line in told if line]
            self._settled = "" if self._trouble else switch.switch_id
            return self._trouble

    async def _owed(self, switch: Switch) -> list[Work]:
        """Return what is left to do of a switch that is over: undo, or where it took place tidy up."""
        rows = await self._ledger.acts.of(switch.switch_id)
        left = [row for row in rows if row.state is not ActState.UNDONE and row.moment != Moment.TIDY]
        if (await self._ledger.migration.state()).flag.serving is not switch.to:
            return [partial(self._undo, switch, row) for row in left]
        done = {row.name for row in rows if row.state is ActState.DONE}
        tidy = [self._acts[name] for name in switch.facts.get(_TIDY, ()) if name in self._acts and name not in done]
        return [
            *(partial(self._do, switch, act) for act in tidy),
            *(partial(self._undo, switch, row) for row in left if not self._stays(row)),
        ]

    async def _do(self, switch: Switch, act: Act) -> None:
        self._check_lease()
        row = await self._begun(switch, act)
        await _asked(act.name, act.actuator.do(switch.to, row.standing))
        await _asked(act.name, act.actuator.verify(switch.to))
        await self._ledger.acts.save(replace(row, state=ActState.DONE))

    async def _begun(self, switch: Switch, act: Act) -> ActRow:
        """Return the act's row; the first try writes down what stands, or nothing is done."""
        for row in await self._ledger.acts.of(switch.switch_id):
            if row.name == act.name:
                return row
        standing = await _asked(act.name, act.actuator.standing(switch.to))
        try:
            return await self._ledger.acts.save(ActRow(switch.switch_id, act.name, act.moment.value, standing=standing))
        except (DataError, TypeError) as error:  # larger than an item, or what no row may hold
            message = f"{act.name}: what stands before it cannot be written into the ledger"
            raise RefusedError(message, hint="strike it from the switch file, or split it in several") from error

    async def _undo(self, switch: Switch, row: ActRow) -> None:
        act = self._acts.get(row.name)
        if act is None:
            message = f"{row.name} acted in the last switch and has to be undone, but is no actuator any more"
            raise RefusedError(message, hint="put it back into the switch file until that is done")
        self._check_lease()
        await _asked(act.name, act.actuator.undo(switch.to, row.standing))
        await self._ledger.acts.save(replace(row, state=ActState.UNDONE))

    def _stays(self, row: ActRow) -> bool:
        """Tell whether an act remains after a switch that took place; one that nobody knows any more does."""
        act = self._acts.get(row.name)
        return act is None or act.lasting or act.moment is Moment.SMOKE

    async def _side_by_side(self, works: Sequence[Coroutine[None, None, None]]) -> None:
        """Run all to their ends, even where the caller is cancelled: a call that is out may still take effect."""
        if not works:
            return
        tasks = [asyncio.create_task(work) for work in works]
        self._under_way.update(tasks)
        for task in tasks:
            task.add_done_callback(_seen)
        await asyncio.wait(tasks)
        self._under_way.difference_update(tasks)
        for task in tasks:
            task.result()

    async def _still(self) -> None:
        """Wait until nothing that was begun is under way any more, and give up what takes too long."""
        if self._under_way:
            _, pending = await asyncio.wait(self._under_way, timeout=_GRACE)
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)
        self._under_way.clear()

    def _check_lease(self) -> None:
        """Raise FencedError when the lease is no longer ours to act upon (protocol §6)."""
        self._guard.end(self._guard.begin(), answered=True)


async def _tried(work: Work) -> str:
    """Do it; return what stood in the way."""
    try:
        await work()
    except (RefusedError, TransientError) as error:
        return str(error)
    return ""


async def _previewed(act: Act, to: Side) -> tuple[str, str]:
    """Return what an act would do, or what stands in its way."""
    try:
        async with asyncio.timeout(_ASKING):
            return await _asked(act.name, act.actuator.preview(to)), ""
    except TimeoutError:
        return "", f"{act.name}: no answer within {_ASKING:.0f} s"
    except (RefusedError, TransientError) as error:
        return "", str(error)


async def _asked(name: str, call: Coroutine[None, None, T]) -> T:
    """Return what an actuator answers. Whatever it raises names it and is a refusal, unless it may pass by itself.

    Neither a right that is missing nor a fault in one of many actuators may end the worker, who carries data meanwhile.
    """
    (found,) = await asyncio.gather(call, return_exceptions=True)
    if not isinstance(found, BaseException):
        return found
    error = first_of(found) if isinstance(found, BaseExceptionGroup) else found
    if isinstance(error, TransientError):
        raise TransientError(f"{name}: {error.message}", hint=error.hint) from error
    if isinstance(error, TableturnError) and not isinstance(error, FencedError):
        raise RefusedError(f"{name}: {error.message}", hint=error.hint) from error
    if isinstance(error, FencedError) or not isinstance(error, Exception | asyncio.CancelledError):
        raise error
    where = traceback.extract_tb(error.__traceback__)[-1:]  # its text may hold anything
    place = "".join(f" in {PurePath(each.filename).name}, line {each.lineno}" for each in where)
    raise RefusedError(f"{name}: {type(error).__name__}{place}", hint="that is a fault of this program") from error


def _seen(task: asyncio.Task[None]) -> None:
    """Look at how a task ended, so that the loop does not complain of an error that was told elsewhere."""
    if not task.cancelled():
        task.exception()
