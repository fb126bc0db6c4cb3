"""The heaviest of very many keys in bounded memory: lossy counting (Manku and Motwani, VLDB 2002). Pure."""

from dataclasses import dataclass, field
from heapq import nlargest
from typing import Any

_KEPT = 10_000


@dataclass(slots=True)
class Hitters:
    """Adds weights up by key. A key's weight is short by at most ``lost``; with few keys nothing is lost."""

    weights: dict[str, int] = field(default_factory=dict)
    total: int = 0
    lost: int = 0
    kept: int = _KEPT

    def add(self, key: str, weight: int) -> None:
        """Add to a key."""
        self.weights[key] = self.weights.get(key, 0) + weight
        self.total += weight
        if len(self.weights) > 2 * self.kept:
            self._forget()

    def heaviest(self, count: int) -> list[tuple[str, int]]:
        """Return the heaviest keys with their weights, the heaviest first; equal ones by key."""
        return nlargest(count, self.weights.items(), key=lambda each: (each[1], each[0]))

    def document(self) -> dict[str, Any]:
        """Return all of it as plain data."""
        return {"weights": self.weights, "total": self.total, "lost": self.lost}

    @classmethod
    def read(cls, document: dict[str, Any]) -> "Hitters":
        """Invert `document`."""
        return cls(dict(document["weights"]), document["total"], document["lost"])

    def _forget(self) -> None:
        heaviest = self.heaviest(self.kept + 1)
        self.lost += heaviest.pop()[1]
        self.weights = dict(heaviest)
