"""What a record of the new application means for the legacy tables: what goes back, and its fate (protocol §9).

Pure. The fate is counted with the checkpoint (`domain.fates`, docs/adr/0013); a record that is delivered again means
the same again.
"""

from dataclasses import dataclass, replace

from domain.changes import Change
from domain.errors import DataError
from domain.fates import Cause, Fate, Tally, bounded
from domain.items import Item
from mapping.plan import NOTHING_LEFT, Pairing, Plan, Remainder
from mapping.sizes import TooLarge


@dataclass(frozen=True, slots=True)
class Weighed:
    """One record: whose it is (None: no primary item's), what goes back (None: a deletion), or why it cannot."""

    change: Change
    fate: Fate
    source_id: str | None = None
    item: Item | None = None
    fault: DataError | None = None
    remainder: Remainder = NOTHING_LEFT

    def refused(self) -> "Weighed":
        """Return the same record once it is known that it cannot go back."""
        return replace(self, fate=Fate.STUCK)

    def counted(self, bake: int) -> Tally:
        """Return this record as a tally of one."""
        if self.fate is Fate.STUCK:
            return Tally(bake, {self.fate.value: 1}, causes={_cause(self.fault).value: 1})
        own, derived, overruled = map(bounded, (self.remainder.own, self.remainder.derived, self.remainder.overruled))
        return Tally(bake, {self.fate.value: 1}, own, derived, overruled)


def weigh(plan: Plan, change: Change) -> Weighed:
    """Say what a record means, from its two images alone."""
    owner = plan.owner(plan.target_key(change.keys))
    if owner is None:
        return Weighed(change, Fate.UNMAPPED)
    if not owner.primary:
        return Weighed(change, Fate.BESIDE)
    if change.new is None:
        return Weighed(change, Fate.HELD, owner.source_id)
    try:
        item = _untranslated(plan, change.new)
    except DataError as fault:
        return Weighed(change, Fate.STUCK, owner.source_id, fault=fault)
    left = plan.remainder(owner.source, _former(plan, change.old), (change.new, item))
    return Weighed(change, _fate(left), owner.source_id, item, remainder=left)


def _fate(left: Remainder) -> Fate:
    if left.overruled:
        return Fate.OVERRULED
    return Fate.CARRIED if left.own or left.derived else Fate.HELD


def _untranslated(plan: Plan, image: Item) -> Item:
    returned = plan.untranslate(image)
    if returned is None:
        message = "its key no longer belongs to a legacy item"
        raise DataError(message)
    return returned.item


def _former(plan: Plan, image: Item | None) -> Pairing | None:
    """Return the image before and its legacy item; None when there was none, or it had no way back."""
    try:
        return None if image is None else (image, _untranslated(plan, image))
    except DataError:
        return None


def _cause(fault: DataError | None) -> Cause:
    if fault is None:
        return Cause.REFUSED
    return Cause.TOO_LARGE if isinstance(fault, TooLarge) else Cause.NO_WAY_BACK
