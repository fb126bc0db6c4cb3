"""Whose a target key is, read from the templates alone (protocol §2: a target key belongs to one source item)."""

from collections.abc import Iterable
from dataclasses import dataclass

from domain.items import Item, TargetKey
from mapping.entities import Entity, KeyPair


@dataclass(frozen=True, slots=True)
class Maker:
    """One of the plan's key templates: the entity whose items it makes, primary ones or ones beside them."""

    entity: Entity
    pair: KeyPair
    primary: bool


@dataclass(frozen=True, slots=True)
class Ownership:
    """All key templates of a plan; no two can make the same key (`mapping.plancheck`)."""

    makers: tuple[Maker, ...]

    @classmethod
    def of(cls, entities: Iterable[Entity]) -> "Ownership":
        """Gather the templates, those of primary items first."""
        listed = list(entities)
        primary = [Maker(entity, entity.key, primary=True) for entity in listed]
        derived = [Maker(entity, each.key, primary=False) for entity in listed for each in entity.beside]
        return cls((*primary, *derived))

    def find(self, key: TargetKey) -> tuple[Maker, Item] | None:
        """Return the maker of a key and the source key in it; None when it is of nobody's templates."""
        for maker in self.makers:
            source_key = maker.pair.read(key)
            if source_key is not None:
                return maker, source_key
        return None
