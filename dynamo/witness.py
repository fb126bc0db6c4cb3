"""Who sees every effect on the twin as it takes place: the ground truth that a checker holds the engines to.

What holds: called in the order of effects, within the context (`contextvars`) of whoever asked for them, before anybody
is answered. Next: `dynamo.memory_store`.
"""

from dataclasses import dataclass
from typing import Protocol

from domain.items import Item


@dataclass(frozen=True, slots=True)
class Effect:
    """One write that took place; its images are the store's own: not to be changed.

    ``place``: shard and sequence number of its stream record; None where there is no stream, or nothing changed.
    """

    table: str
    key: Item
    old: Item | None
    new: Item | None
    by_ttl: bool
    place: tuple[str, int] | None


class Witness(Protocol):
    """Must be quick and must not raise."""

    def saw(self, effect: Effect) -> None:
        """Take note of an effect."""
        ...


class NoWitness:
    """Looks away."""

    def saw(self, effect: Effect) -> None:
        """Ignore it."""


NO_WITNESS = NoWitness()
