"""What becomes, in the legacy tables, of a write of the new application (protocol §9). Counted, it is a `Tally`."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

MOST_NAMES = 40
"""Attribute names that a tally tells apart, of either kind: it stands in a ledger row that is written every second."""

LONGEST_NAME = 64
"""Characters of an attribute name; DynamoDB allows 64 KB."""

OTHER = "(other)"
"""Stands for the names beyond those bounds."""


class Fate(StrEnum):
    """What becomes of one write; the worst that is true of it."""

    HELD = "held"
    CARRIED = "carried"
    OVERRULED = "overruled"
    STUCK = "stuck"
    BESIDE = "beside"
    UNMAPPED = "unmapped"


class Cause(StrEnum):
    """Why a write cannot go back."""

    TOO_LARGE = "too-large"
    NO_WAY_BACK = "no-way-back"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Tally:
    """Writes of the new application in one bake, by fate.

    ``bake``: number of the bake, from 0. ``own``, ``derived``: attribute name → writes that changed it and left it in
    `_target` only; the first are names that only the new application has, the second those that the mapping makes and
    no inverse rule brought over. ``overruled``: likewise, those that an inverse rule set to another value.
    ``causes``: `Cause` → writes that cannot go back.
    """

    bake: int = 0
    fates: Mapping[str, int] = field(default_factory=dict)
    own: Mapping[str, int] = field(default_factory=dict)
    derived: Mapping[str, int] = field(default_factory=dict)
    overruled: Mapping[str, int] = field(default_factory=dict)
    causes: Mapping[str, int] = field(default_factory=dict)

    @property
    def writes(self) -> int:
        """Return all writes, whatever their fate."""
        return sum(self.fates.values())

    @property
    def at_risk(self) -> int:
        """Return the writes that the legacy application would not see, or not wholly, after a rollback."""
        return sum(self.fates.get(fate, 0) for fate in set(Fate) - {Fate.HELD, Fate.BESIDE})

    def plus(self, later: "Tally") -> "Tally":
        """Return both together; a later bake begins anew, an earlier one is over."""
        if later.bake != self.bake:
            return max(self, later, key=lambda each: each.bake)
        return replace(
            self,
            fates=_sum(self.fates, later.fates),
            own=_sum(self.own, later.own),
            derived=_sum(self.derived, later.derived),
            overruled=_sum(self.overruled, later.overruled),
            causes=_sum(self.causes, later.causes),
        )


NOTHING_WRITTEN = Tally()


def bounded(names: Iterable[str]) -> dict[str, int]:
    """Return names counted once each, those that are too long as others."""
    return dict(Counter(name if len(name) <= LONGEST_NAME else OTHER for name in names))


def _sum(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    """Add up; a name that finds no room counts as another. Who came first stays, so that a count never shrinks."""
    total = dict(one)
    for name, count in sorted(other.items()):
        known = name in total or len(total.keys() - {OTHER}) < MOST_NAMES
        total[name if known else OTHER] = total.get(name if known else OTHER, 0) + count
    return total
