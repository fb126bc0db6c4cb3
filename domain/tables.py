"""Shapes of tables: key schema, indexes, stream view, as plan and database both speak of them (AWS: CreateTable)."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from domain.items import Item, mark_id


class ViewType(StrEnum):
    """StreamViewType; the protocol needs both images."""

    KEYS_ONLY = "KEYS_ONLY"
    NEW_IMAGE = "NEW_IMAGE"
    OLD_IMAGE = "OLD_IMAGE"
    NEW_AND_OLD_IMAGES = "NEW_AND_OLD_IMAGES"


@dataclass(frozen=True, slots=True)
class KeyAttribute:
    """One attribute of a key schema; ``type`` is S, N or B. The hash key comes first."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class IndexDefinition:
    """A secondary index. ``include`` None projects ALL, else those attributes; ``local`` makes it an LSI."""

    name: str
    key: tuple[KeyAttribute, ...]
    include: tuple[str, ...] | None = None
    local: bool = False


@dataclass(frozen=True, slots=True)
class TableDefinition:
    """What a create-table call makes: on-demand, with stream, TTL and protection as said."""

    name: str
    key: tuple[KeyAttribute, ...]
    indexes: tuple[IndexDefinition, ...] = ()
    stream: ViewType | None = None
    ttl_attribute: str | None = None
    deletion_protection: bool = False
    point_in_time_recovery: bool = False

    def key_in(self, index: str | None) -> tuple[KeyAttribute, ...]:
        """Return the key schema of one of its indexes; that of the table itself for None."""
        return next((each.key for each in self.indexes if each.name == index), self.key)

    def key_of(self, item: Item) -> Item:
        """Return the key attributes of an item."""
        return {attribute.name: item[attribute.name] for attribute in self.key}

    def without_marks(self, items: Iterable[Item]) -> list[Item]:
        """Return the items of the application; marks (protocol §1) may be among a scanned page under a fence."""
        return [item for item in items if mark_id(self.key_of(item)) is None]
