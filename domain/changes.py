"""One Streams record, as the engines see it (AWS: "DynamoDB Streams record")."""

from dataclasses import dataclass

from domain.items import Item, mark_id


@dataclass(frozen=True, slots=True)
class Change:
    """A change of one item: images before and after (None: absent), its sequence number, and its approximate time.

    ``sequence`` orders the changes of one item within one stream; ``created_ms`` is for display and budgets only.
    ``by_ttl`` is true for deletions made by DynamoDB's own time-to-live.
    """

    keys: Item
    old: Item | None
    new: Item | None
    sequence: int
    created_ms: int
    by_ttl: bool = False

    @property
    def mark(self) -> str | None:
        """Id of the mark this record belongs to, or None for a record of an item (protocol §1)."""
        return mark_id(self.keys)
