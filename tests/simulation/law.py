"""What a law is, how it says that it was broken, and the stamp as checkers read it: with eyes of their own."""

from dataclasses import dataclass

from domain.items import STAMP, Item
from tests.simulation.truth import Deed, LedgerRow, Truth


class Broken(Exception):
    """A law was broken: which, and how."""

    def __init__(self, law: str, how: str) -> None:
        super().__init__(f"{law}: {how}")
        self.law = law


@dataclass(frozen=True, slots=True)
class Seen:
    """A stamp by our own reading."""

    source_id: str
    version: str
    dead: bool


def stamp(item: Item | None) -> Seen | None:
    """Read the stamp of an item."""
    fields = (item or {}).get(STAMP, {}).get("M")
    if not isinstance(fields, dict) or not {"src", "ver"} <= fields.keys():
        return None
    return Seen(fields["src"]["S"], fields["ver"]["S"], "dead" in fields)


class Law:
    """Sees every deed, in order."""

    def __init__(self, truth: Truth) -> None:
        self.truth = truth

    def saw(self, deed: Deed) -> None:
        """Look at an effect on either side. Raises Broken."""

    def wrote(self, deed: Deed, written: LedgerRow) -> None:
        """Look at a row of the ledger as it was written. Raises Broken."""
