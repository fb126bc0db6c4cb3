"""What outside of the ledger has to know which side serves: each can say what it would do, do it, check it, undo it.

The flag is what flips (operations: "How the application learns of the switch"); actuators stand beside it. Those of
`Moment.PREPARE` are slow and come before any write is blocked; a smoke test is an actuator that has nothing to undo.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, TypeAlias

from domain.phases import Side

Standing: TypeAlias = Mapping[str, Any]
"""What stood before, as far as `Actuator.undo` must bring it back: text, whole numbers, truth, nothing, lists, maps.

It is written into the ledger before anything is done, and shown to nobody.
"""


class Moment(StrEnum):
    """When an actuator acts; the words are those of the switch file."""

    PREPARE = "prepare"
    """Before the fence: no second without writes depends on it."""
    FENCE = "fence"
    """With the fence: it keeps writers out who do not obey the flag."""
    SWITCH = "switch"
    """Between switch and unfence; the smoke test follows it."""
    SMOKE = "smoke"
    """Last before the unfence; nothing but a look, so there is nothing to undo."""
    TIDY = "tidy"
    """After the unfence: tried until it is done, never undone."""


class Actuator(Protocol):
    """Each method may be called again, after a crash too; each raises RefusedError naming cause and way out.

    TransientError is for what may pass by itself. ``to`` is the side that shall serve.
    """

    async def preview(self, to: Side) -> str:
        """Return in one line what `do` would change as things stand, secrets masked; change nothing.

        Raises RefusedError when it could not be done: nobody there, not allowed, does not exist.
        """

    async def standing(self, to: Side) -> dict[str, Any]:
        """Return what stands now of what `do` will change."""

    async def do(self, to: Side, standing: Standing) -> None:
        """Change it. ``standing`` is what stood before the first try."""

    async def verify(self, to: Side) -> None:
        """Return when it took, asked of the thing itself; raise RefusedError when it did not."""

    async def undo(self, to: Side, standing: Standing) -> None:
        """Bring back exactly what stood; nothing happens where `do` was never carried out."""


class Traceless:
    """What nothing stands before, whose `do` tells whether it took, and that has nothing to undo."""

    async def standing(self, _to: Side, /) -> dict[str, Any]:
        """Nothing."""
        return {}

    async def verify(self, _to: Side, /) -> None:
        """`do` has told."""

    async def undo(self, _to: Side, _standing: Standing, /) -> None:
        """Nothing."""


@dataclass(frozen=True, slots=True)
class Act:
    """One actuator in its place. ``lasting``: it stays after a switch; else it is undone in the end, whatever it is."""

    name: str
    moment: Moment
    actuator: Actuator
    lasting: bool = True
