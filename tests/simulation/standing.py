"""What stands on both sides, kept from effects, and where it is not what the applications wanted."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from domain.items import Item, TargetKey, mark_id
from tests.simulation.law import Broken, stamp
from tests.simulation.truth import Deed, Truth


@dataclass(slots=True)
class Standing:
    """What stands on both sides now, kept from effects, and how it differs from what was wanted."""

    truth: Truth
    target: dict[TargetKey, Item] = field(default_factory=dict)
    source: dict[str, Item] = field(default_factory=dict)

    def take(self, deed: Deed) -> None:
        """Note an effect."""
        effect, side = deed.effect, self.truth.side(deed.effect.table)
        if not side or mark_id(effect.key) is not None:
            return
        if side == "target":
            _keep(self.target, self.truth.plan.target_key(effect.key), effect.new)
        else:
            _keep(self.source, self.truth.plan.source_id(self.truth.sources[effect.table], effect.key), effect.new)

    def differences(self, *, serving: str, excused: Iterable[str] = ()) -> list[str]:
        """Say where a side is not what the applications wanted; ``excused`` ids are in quarantine or expired."""
        excused, found = {*excused, *self._expired()}, []
        wanted = {name: image for name, image in self.truth.wanted.items() if name not in excused}
        standing = {name: image for name, image in self.source.items() if name not in excused}
        for name in sorted(wanted.keys() | standing.keys()):
            one, other = wanted.get(name), standing.get(name)
            if one is None or other is None:
                found.append(f"source {name} is {'lost' if other is None else 'resurrected'}")
            elif self.truth.digest(one) != self.truth.digest(other):
                found.append(f"source {name} is stale")
        return found + (self._target_differences(wanted, excused) if serving == "source" else [])

    def _target_differences(self, wanted: dict[str, Item], excused: set[str]) -> list[str]:
        expected: dict[TargetKey, Item] = {}
        for name, image in wanted.items():
            translated = self.truth.translated(name, image)
            expected |= translated
            if not translated:
                excused.add(name)  # untranslatable, so its last good items stay
        found = []
        for key in sorted(expected.keys() | self.target.keys()):
            owner = self.truth.plan.owner(key)
            if owner is not None and owner.source_id in excused:
                continue
            one, other = expected.get(key), self.target.get(key)
            if one is None and other is not None:
                dead = getattr(stamp(other), "dead", False)
                found.append(f"target {key} is {'a tombstone left standing' if dead else 'resurrected'}")
            elif one is not None and (other is None or getattr(stamp(other), "dead", False)):
                found.append(f"target {key} is lost")
            elif one is not None and other is not None and self.truth.digest(one) != self.truth.digest(other):
                found.append(f"target {key} is stale")
        return found

    def _expired(self) -> set[str]:
        """Return the ids whose time to live has passed on either side: DynamoDB may delete them at any moment."""
        now_s = 1_795_438_000 + self.truth.now()
        found = self._expired_in_target(now_s)
        for name in self.truth.wanted.keys() | self.source.keys():
            attribute = self.truth.plan.sources[name.partition("/")[0]].definition.ttl_attribute
            images = [image for image in (self.truth.wanted.get(name), self.source.get(name)) if image is not None]
            if any(_seconds(image, attribute) <= now_s for image in images):
                found.add(name)
        return found

    def _expired_in_target(self, now_s: float) -> set[str]:
        """Return the ids of target items whose time has passed: they go by themselves."""
        attribute = self.truth.plan.target.ttl_attribute
        over = [key for key, item in self.target.items() if _seconds(item, attribute) <= now_s]
        owners = [self.truth.plan.owner(key) for key in over]
        return {owner.source_id for owner in owners if owner is not None}


def _seconds(item: Item, attribute: str | None) -> int:
    return int(item.get(attribute or "", {}).get("N", 10**12))


def at_rest(standing: Standing, served: str, quarantined: Iterable[str]) -> None:
    """Hold what stands, once nothing moves any more, against what the applications were told. Raises Broken."""
    problems = standing.differences(serving=served, excused=quarantined)
    if problems:
        raise Broken("nothing is lost at rest", "; ".join(problems[:4]))


def _keep(side: dict, key: object, item: Item | None) -> None:  # type: ignore[type-arg]
    if item is None:
        side.pop(key, None)
    else:
        side[key] = item
