"""The stamp: whose item this is, how new, and whether we wrote exactly this (protocol §1, §2)."""

from dataclasses import dataclass
from typing import Any, Self

from domain.items import STAMP, Item, digest
from domain.positions import Version


@dataclass(frozen=True, slots=True)
class Stamp:
    """``_stamp`` of a target item.

    ``source`` is the source id, ``version`` the version text, ``checksum`` the digest of key and content as we
    wrote them, ``dead`` true on a tombstone.
    """

    source: str
    version: str
    checksum: str
    dead: bool = False

    @classmethod
    def of(cls, item: Item) -> Self | None:
        """Read the stamp of an item; None when it has none or something that only looks like one."""
        fields = _fields(item)
        source, version, checksum = (_text(fields.get(name)) for name in ("src", "ver", "sum"))
        if source is None or version is None or checksum is None:
            return None
        try:
            Version.parse(version)
        except ValueError:
            return None
        return cls(source, version, checksum, fields.get("dead") == {"BOOL": True})

    @classmethod
    def fresh(cls, item: Item, source: str, version: Version, *, dead: bool = False) -> Self:
        """Make the stamp for an item that is about to be written."""
        return cls(source, str(version), digest(item), dead)

    def wire(self) -> dict[str, object]:
        """Return the attribute value."""
        fields: dict[str, object] = {
            "src": {"S": self.source},
            "ver": {"S": self.version},
            "sum": {"S": self.checksum},
        }
        if self.dead:
            fields["dead"] = {"BOOL": True}
        return {"M": fields}

    def put_on(self, item: Item) -> Item:
        """Return the item with this stamp; the item given is not changed."""
        return {**item, STAMP: self.wire()}

    def fits(self, item: Item) -> bool:
        """Tell whether the item still is what was written with this stamp."""
        return self.checksum == digest(item)


def is_tombstone(item: Item) -> bool:
    """Tell whether the item is one of our tombstones (protocol §3)."""
    if "dead" not in _fields(item):
        return False  # told without reading the whole stamp: nearly every item ends here
    stamp = Stamp.of(item)
    return stamp is not None and stamp.dead and stamp.fits(item)


def _fields(item: Item) -> dict[str, Any]:
    """Return what stands in the stamp; nothing for one that only looks like it."""
    value: object = item.get(STAMP)
    fields = value.get("M") if isinstance(value, dict) else None
    return fields if isinstance(fields, dict) else {}


def _text(value: object) -> str | None:
    content = value.get("S") if isinstance(value, dict) else None
    return content if isinstance(content, str) else None
