"""Kill the worker before and after every write of a switch's journal, in both directions, while an application writes.

Which writes there are is learnt from a switch that nobody disturbs. After each kill the worker is started again at
once; then there must be one of two outcomes, the application writes again within `WITHIN`, and nothing that it was
told is done is missing: on the side that serves at once, on the other one before the next switch.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from statistics import median
from subprocess import Popen

from tests.acceptance.legacy import differences
from tests.acceptance.program import Done, eventually
from tests.acceptance.scene import Scene
from tests.crashes.ambush import AFTER, BEFORE, Ambush
from tests.crashes.people import Application, legacy_differences

WITHIN = 30.0
"""Seconds from the restart of the worker until the application may write again."""

COMMANDS = {"cutover": ("source", "target"), "rollback": ("target", "source")}
"""Each switch with the side that serves before it and the one that serves after it."""

BEFOREHAND = {"cutover": {"READY"}, "rollback": {"BAKE"}}
AFTERWARDS = {"cutover": {"BAKE"}, "rollback": {"ROLLED_BACK", "VERIFY", "READY"}}

_TRIES = 5
_PATIENCE = 360.0
"""Seconds: a switch may prepare for five minutes before it blocks writes."""


@dataclass(frozen=True, slots=True)
class Kill:
    """Kill at ``moment`` of the write ``name``; ``again``: kill the next worker too, at that moment of taking back."""

    command: str
    name: str
    moment: str
    again: str = ""

    def __str__(self) -> str:
        """Name it as people do."""
        return f"{self.command}: {self.moment} {self.name}" + (f", then {self.again} taking back" if self.again else "")


@dataclass(frozen=True, slots=True)
class Fall:
    """What came of a kill: the outcome, and the seconds from the restart to it and to the application's next write."""

    kill: Kill
    switched: bool
    settled: float
    writable: float
    wrong: tuple[str, ...]


@dataclass(slots=True)
class Siege:
    """One migration whose switches are struck. ``routes``: the writes of a whole switch, by command."""

    scene: Scene
    ambush: Ambush
    application: Application
    routes: dict[str, list[str]] = field(default_factory=dict)
    falls: list[Fall] = field(default_factory=list)
    missed: list[Kill] = field(default_factory=list)

    def lay(self) -> None:
        """Start the first worker, and switch there and back to learn the way."""
        self.scene.program.work()
        for command in COMMANDS:
            self.pass_undisturbed(command)

    def carry_out(self, kills: list[Kill]) -> Iterator[Fall]:
        """Strike at each of them, in the direction that is open; switch undisturbed where none is left of it."""
        left = list(kills)
        while left:
            command = "cutover" if self.scene.flag[0] == "source" else "rollback"
            kill = next((each for each in left if each.command == command), None)
            if kill is None:
                self.pass_undisturbed(command)
                continue
            left.remove(kill)
            if (fall := self.strike(kill)) is not None:
                yield fall

    def pass_undisturbed(self, command: str) -> list[str]:
        """Switch, and return the writes of the journal in their order."""
        for _ in range(_TRIES):
            self._wait_for_gates(command)
            self.ambush.lay()
            done = self.scene.program.ended(self.scene.program.begin(command))
            if done.code == 0:
                self.routes.setdefault(command, list(self.ambush.writes))
                self._serves_rightly()
                return self.routes[command]
            assert done.code == 3, done.said
        message = f"{command} was refused {_TRIES} times: {self.scene.program.done[-1].said}"
        raise AssertionError(message)

    def strike(self, kill: Kill) -> Fall | None:
        """Do one switch with its kill; None when it came to its end without that write."""
        asked = self._struck(kill)
        if asked is None:
            self.missed.append(kill)
            return None
        if kill.again:
            self._strike_again(kill)
        began = time.monotonic()
        self.scene.program.work()
        self._until("the application writes again", lambda: self.application.acknowledged > began)
        writable = time.monotonic() - began
        self._until("the journal is closed", lambda: not (self.scene.row("switch", "current") or {}).get("open"))
        settled = time.monotonic() - began
        fall = Fall(
            kill, self._outcome(kill, self.scene.program.ended(asked)), settled, writable, self._serves_rightly()
        )
        self.falls.append(fall)
        return fall

    def todo(self) -> Iterator[Kill]:
        """Yield every kill that the switches so far have shown to be possible."""
        for command in COMMANDS:
            route = self.routes[command]
            for name in route:
                yield from (Kill(command, name, moment) for moment in (BEFORE, AFTER))
            unfence = next(at for at, name in enumerate(route) if name.startswith("closed"))
            yield from (Kill(command, route[unfence - 1], AFTER, again) for again in (BEFORE, AFTER))

    # ---- on the way -------------------------------------------------------------------------------------------------

    def _wait_for_gates(self, command: str) -> None:
        """Wait until the switch could be asked for, and both sides agree while the application rests."""
        self._until(
            f"{command} can be asked for", lambda: self.scene.phase in BEFOREHAND[command] and self.scene.flag[1]
        )
        self.scene.passes(command, "--dry-run", seconds=_PATIENCE)
        with self.application.resting():
            self._until("both sides agree", lambda: not (self._differences() or legacy_differences(self.scene.legacy)))

    def _struck(self, kill: Kill) -> Popen[str] | None:
        """Ask for the switch until the kill has struck; return the asker. None when it came to its end without."""
        for _ in range(_TRIES):
            self._wait_for_gates(kill.command)
            self.ambush.lay(kill.name, kill.moment)
            asked = self.scene.program.begin(kill.command)
            self._until("it strikes", lambda: self.ambush.struck.is_set() or asked.poll() is not None)  # noqa: B023
            if self.ambush.struck.is_set():
                self.scene.program.workers[-1].process.wait(10)
                return asked
            done = self.scene.program.ended(asked)
            if done.code == 0:
                return None
            assert done.code == 3, done.said
        return None

    def _strike_again(self, kill: Kill) -> None:
        """Kill the next worker where it takes the switch back."""
        came_from, _ = COMMANDS[kill.command]
        self.ambush.lay(f"closed+flag {came_from} open", kill.again)
        worker = self.scene.program.work()
        self._until("the next worker takes back", self.ambush.struck.is_set)
        worker.process.wait(10)

    def _outcome(self, kill: Kill, asker: Done) -> bool:
        """Tell whether it was switched; flag, phase and answer must all say the same, and the right thing."""
        came_from, to = COMMANDS[kill.command]
        (serving, writable), phase = self.scene.flag, self.scene.phase
        switched = serving == to
        assert writable, f"{kill}: nobody may write"
        assert phase in (AFTERWARDS if switched else BEFOREHAND)[kill.command], f"{kill}: {serving} serves in {phase}"
        assert switched == self._is_behind_the_unfence(kill), f"{kill}: {serving} serves, it came from {came_from}"
        assert asker.code == (0 if switched else 3), f"{kill}: the asker was told {asker.code}: {asker.said}"
        return switched

    def _is_behind_the_unfence(self, kill: Kill) -> bool:
        """Tell whether the point of no return had been passed when the worker was killed."""
        route = self.routes.get(kill.command, [])
        unfence = next((at for at, name in enumerate(route) if name.startswith("closed")), None)
        place = route.index(kill.name) if kill.name in route else -1
        if unfence is None:
            return kill.name.startswith("closed") and kill.moment == AFTER
        return place > unfence or (place == unfence and kill.moment == AFTER)

    def _serves_rightly(self) -> tuple[str, ...]:
        """Return what is wrong on the side that serves, now, with the application at rest."""
        with self.application.resting():
            serves = self.scene.flag[0]
            found = self._differences() if serves == "target" else legacy_differences(self.scene.legacy)
        assert not found, f"{serves} serves, and {len(found)} items are not as they were written: {found[:5]}"
        return tuple(found)

    def _differences(self) -> list[str]:
        return differences(self.scene.legacy)

    def _until(self, what: str, look: Callable[[], object]) -> None:
        try:
            eventually(what, lambda: look() or None, seconds=_PATIENCE, pause=0.02)
        except AssertionError as error:
            worker = self.scene.program.workers[-1]
            error.add_note(f"{self.scene.phase}, {self.scene.row('switch', 'current')}\n{worker.said[-2000:]}")
            raise


def table(falls: list[Fall]) -> str:
    """Return all kills with their outcomes, and what they come to."""
    lines = [f"{'killed':64} {'outcome':10} {'settled':>9} {'writable':>9}"]
    for fall in falls:
        outcome = "switched" if fall.switched else "taken back"
        lines.append(f"{fall.kill!s:64} {outcome:10} {fall.settled:7.1f} s {fall.writable:7.1f} s")
    return "\n".join([*lines, summary(falls)])


def summary(falls: list[Fall]) -> str:
    """Return what many kills come to, in a line."""
    switched, took = sum(fall.switched for fall in falls), [fall.writable for fall in falls] or [0.0]
    return (
        f"{len(falls)} kills -9: {len(falls) - switched} taken back, {switched} switched; the application wrote again "
        f"{median(took):.1f} s (median), {max(took):.1f} s (max) after the restart; "
        f"{sum(len(fall.wrong) for fall in falls)} items lost, resurrected or stale"
    )
