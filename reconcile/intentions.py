"""What a repair would write to a target key, decided from both sides as they were read (protocol §7). Pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from apply.stamping import Write, stamped, tombstone
from domain.items import Item, TargetKey
from domain.positions import Version
from domain.stamps import Stamp, is_tombstone
from mapping.plan import Plan
from reconcile.comparison import Kind, judge
from reconcile.rechecks import Pair

EVERY_KIND = frozenset(Kind)


@dataclass(frozen=True, slots=True)
class Intentions:
    """What may be written at all.

    ``epochs``: those of the sources' streams. ``adopts``: items of the new application may be overwritten, which is so
    after a rollback only (§9). ``kinds``: what is mended.
    """

    plan: Plan
    epochs: Mapping[str, int]
    adopts: bool
    kinds: Collection[Kind] = EVERY_KIND

    def of(self, pair: Pair, key: TargetKey) -> Write | None:
        """Return what should stand at a key instead of what does; None: nothing is wrong, or nothing can be done."""
        standing, expected = pair.standing[key], pair.expected.get(key)
        judged = judge(expected, standing, pair.uncompared)
        if judged is None or judged[0] not in self.kinds or (pair.image is not None and not pair.expected):
            return None
        version = self._version(pair, standing)
        if version is None:
            return None
        if expected is None:
            return tombstone(key, self.plan.key_item(key), pair.source_id, version)
        return stamped(key, expected, pair.source_id, version)

    def _version(self, pair: Pair, standing: Item | None) -> Version | None:
        """Return the version to write with; None when what stands there is not ours to overwrite."""
        first = Version(self.epochs[pair.source]).repaired()
        if standing is None:
            return first
        stamp = Stamp.of(standing)
        if stamp is not None and stamp.source == pair.source_id and (stamp.fits(standing) or is_tombstone(standing)):
            return Version.parse(stamp.version).repaired()
        if not self.adopts:
            return None
        return Version.parse(stamp.version).repaired() if stamp and stamp.source == pair.source_id else first
