"""Cuts through a stream, and the spans between them: whose record it is, is decided by position (protocol §9).

A mark written under a fence shows up once in every open shard; the positions where it does are a *cut*. Two cuts
bound a *span*: the records of the application. Everything outside the spans is ours, TTL's, or a stray's.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

Parents: TypeAlias = Mapping[str, str | None]
"""Shard id to parent id, for every shard ever seen of a stream."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Where a mark stands: shard id to sequence number, for each shard that was open."""

    places: Mapping[str, int] = field(default_factory=dict)

    def before(self, shard_id: str, sequence: int, parents: Parents) -> bool:
        """Tell whether this cut lies before a record, that is, whether the record came after the mark.

        A shard without the mark is wholly after it when one of its ancestors shows it, else wholly before.
        """
        if shard_id in self.places:
            return sequence > self.places[shard_id]
        ancestor = parents.get(shard_id)
        while ancestor is not None:
            if ancestor in self.places:
                return True
            ancestor = parents.get(ancestor)
        return False

    def covers(self, shards: Iterable[str], parents: Parents) -> bool:
        """Tell whether each of the shards shows the mark, itself or in an ancestor."""
        return all(shard in self.places or self.before(shard, 0, parents) for shard in shards)


@dataclass(frozen=True, slots=True)
class Span:
    """Records of the application between two cuts; None on a side: since ever, or until further notice."""

    opened: Cut | None = None
    closed: Cut | None = None

    def holds(self, shard_id: str, sequence: int, parents: Parents) -> bool:
        """Tell whether a record lies within."""
        if self.opened is not None and not self.opened.before(shard_id, sequence, parents):
            return False
        return self.closed is None or not self.closed.before(shard_id, sequence, parents)
