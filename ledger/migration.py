"""Which plan this ledger belongs to, the phase, and the flag that applications read.

Invariants: the phase moves by compare-and-set along `domain.phases`; the flag's epoch grows with every change of it;
whoever moves the phase writes the history row in the same transaction.
"""

from dataclasses import dataclass, replace

from domain.clock import Clock
from domain.errors import ConditionFailed, FatalError, RefusedError
from domain.phases import FOLLOWERS, Phase, Side
from dynamo.ports import Action
from ledger.history import History
from ledger.rows import Rows

SCHEMA = 1
"""Version of the rows' layout; a ledger of another one is refused until it is upgraded."""

_PARTITION = "migration"


@dataclass(frozen=True, slots=True)
class Flag:
    """What applications obey: which side serves, whether it may be written, and the flag's epoch."""

    serving: Side = Side.SOURCE
    writable: bool = True
    epoch: int = 0


@dataclass(frozen=True, slots=True)
class StateChange:
    """What a move changes besides the phase; None leaves it. ``rollbacks`` is added."""

    serving: Side | None = None
    writable: bool | None = None
    rollbacks: int = 0


@dataclass(frozen=True, slots=True)
class State:
    """Phase and flag as read together; the revisions make `Migration.move` a compare-and-set."""

    phase: Phase
    since_ms: int
    rollbacks: int
    flag: Flag
    revision: int = 0
    flag_revision: int = 0
    fences: tuple[int, int] = (0, 0)


UNCHANGED = StateChange()


class Migration:
    """The rows ``plan``, ``state`` and ``flag`` of the partition ``migration``."""

    def __init__(self, rows: Rows, history: History, clock: Clock) -> None:
        """Wrap the rows; the clock only dates what is written."""
        self._rows = rows
        self._history = history
        self._clock = clock

    async def create(self, plan: str, plan_hash: str) -> None:
        """Write the plan's row and the first state. Raises RefusedError when a migration is there already."""
        now = self._clock.wall_ms()
        about = {"schema": SCHEMA, "plan": plan, "hash": plan_hash, "created_ms": now}
        first = State(Phase.PLANNED, now, 0, Flag())
        actions = [self._rows.put_action(_PARTITION, "plan", about, revision=0), *self._actions(first)]
        try:
            await self._rows.transact([*actions, self._history.action("initialised", plan=plan)])
        except ConditionFailed as refusal:
            message = f"ledger table {self._rows.table} already holds a migration"
            raise RefusedError(message, hint="go on with `tableturn run`, or name another --ledger") from refusal

    async def check_plan(self, plan: str, plan_hash: str) -> None:
        """Raise FatalError unless this ledger belongs to exactly this plan."""
        row = await self._rows.get(_PARTITION, "plan")
        if row is None:
            message = f"ledger table {self._rows.table} holds no migration"
            raise FatalError(message, hint="run `tableturn init` first")
        if row.fields["schema"] != SCHEMA:
            message = f"ledger {self._rows.table} has schema {row.fields['schema']}, this program speaks {SCHEMA}"
            raise FatalError(message, hint="use the version of tableturn that wrote it")
        if (row.fields["plan"], row.fields["hash"]) != (plan, plan_hash):
            message = f"ledger {self._rows.table} belongs to plan {row.fields['plan']} ({row.fields['hash'][:12]}), "
            message += f"not to {plan} ({plan_hash[:12]})"
            raise FatalError(
                message, hint="use the plan file and variables it was initialised with, or another --ledger"
            )

    async def state(self) -> State:
        """Read phase and flag. Raises FatalError when there is no migration."""
        row, flag = await self._rows.get(_PARTITION, "state"), await self._rows.get(_PARTITION, "flag")
        if row is None or flag is None:
            message = f"ledger table {self._rows.table} holds no migration"
            raise FatalError(message, hint="run `tableturn init` first")
        shown = Flag(Side(flag.fields["serving"]), flag.fields["writable"], flag.fields["epoch"])
        fields = row.fields
        return State(
            Phase(fields["phase"]),
            fields["since_ms"],
            fields["rollbacks"],
            shown,
            row.revision,
            flag.revision,
            (row.fence, flag.fence),
        )

    async def move(
        self, state: State, phase: Phase, *, why: str, also: tuple[Action, ...] = (), change: StateChange = UNCHANGED
    ) -> State:
        """Move to ``phase`` and change flag and count of rollbacks as ``change`` says, all in one transaction.

        ``also`` and the history row are part of it. Raises ConditionFailed when somebody else moved first; so it does
        for a phase that may not follow (`domain.phases.FOLLOWERS`): what the caller decided by is no longer so.
        """
        if phase is not state.phase and phase not in FOLLOWERS[state.phase]:
            message = f"{phase} may not follow {state.phase} ({why})"
            raise ConditionFailed(message)
        flag = state.flag
        wanted = replace(
            flag,
            serving=flag.serving if change.serving is None else change.serving,
            writable=flag.writable if change.writable is None else change.writable,
        )
        if wanted != flag:
            wanted = replace(wanted, epoch=flag.epoch + 1)
        since = state.since_ms if phase is state.phase else self._clock.wall_ms()
        rollbacks = state.rollbacks + change.rollbacks
        moved = replace(state, phase=phase, since_ms=since, flag=wanted, rollbacks=rollbacks)
        told = self._history.action(
            "phase" if phase is not state.phase else "flag",
            came_from=state.phase,
            to=phase,
            why=why,
            serving=wanted.serving,
            writable=wanted.writable,
        )
        await self._rows.transact([*self._actions(moved, changed_flag=wanted != flag), told, *also])
        return await self.state()

    def _actions(self, state: State, *, changed_flag: bool = True) -> list[Action]:
        fields = {"phase": state.phase.value, "since_ms": state.since_ms, "rollbacks": state.rollbacks}
        actions: list[Action] = [
            self._rows.put_action(_PARTITION, "state", fields, revision=state.revision, standing_fence=state.fences[0])
        ]
        if changed_flag:
            flag = {
                "serving": state.flag.serving.value,
                "writable": state.flag.writable,
                "epoch": state.flag.epoch,
            }
            actions.append(
                self._rows.put_action(
                    _PARTITION, "flag", flag, revision=state.flag_revision, standing_fence=state.fences[1]
                )
            )
        return actions
