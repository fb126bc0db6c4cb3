"""What a proof can find wrong with the data: every kind by name, how grave it is, and the way out. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum


class Grade(IntEnum):
    """How grave something is; the gravest of all decides what a proof says."""

    NOTE = 0
    WARN = 1
    FAIL = 2


VERDICTS = {Grade.NOTE: "pass", Grade.WARN: "warn", Grade.FAIL: "fail"}


@dataclass(frozen=True, slots=True)
class FaultKind:
    """A kind of fault: its grade, what it means, and what to do about it."""

    grade: Grade
    meaning: str
    way_out: str


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of one item: ``detail`` names an attribute or index, never a value; ``says`` is for that item alone."""

    kind: str
    detail: str = ""
    says: str = field(default="", compare=False)


_SHORTEN = "shorten or split it in the application, or leave the attribute out of the plan"
_RIGHT = "correct these items in the legacy table, or accept that the index will not show them"

FAULTS: Mapping[str, FaultKind] = {
    "key-unusable": FaultKind(Grade.FAIL, "its key cannot be written as a target key", "correct or delete these items"),
    "too-large": FaultKind(Grade.FAIL, "its target item would take more than 400 KB", _SHORTEN),
    "untranslatable": FaultKind(Grade.FAIL, "it cannot be translated", "correct these items, or mend the plan"),
    "irreversible": FaultKind(Grade.FAIL, "its target item has no way back", "mend the plan's inverse rules"),
    "not-invertible": FaultKind(
        Grade.FAIL, "untranslated again it is another item", "mend the plan: a rule loses something"
    ),
    "collision": FaultKind(
        Grade.FAIL, "two legacy items call for the same target key", "give each its own constant in the plan's keys"
    ),
    "reserved-key": FaultKind(
        Grade.FAIL, "its key begins like those of tableturn's marks: it would be left out", "rename these items"
    ),
    "collection-too-large": FaultKind(
        Grade.FAIL,
        "an item collection would outgrow the 10 GB that a local index allows",
        "spread it over several hash keys, or do without the local index",
    ),
    "query-lacks": FaultKind(
        Grade.FAIL,
        "the single table would not show it where a query of the plan expects it",
        "make the keys of that index of attributes that these items have, or mend the query",
    ),
    "query-adds": FaultKind(
        Grade.FAIL,
        "the single table would show it where a query of the plan does not expect it",
        "make the hash key of that index as narrow as the legacy question, or say the rest in `where`",
    ),
    "query-disordered": FaultKind(
        Grade.FAIL,
        "asked for it, the single table would answer a query of the plan in another order",
        "make the sort key of that index of what the query is sorted by, or mend `order`",
    ),
    "nearly-too-large": FaultKind(Grade.WARN, "its target item takes more than 90 % of 400 KB", _SHORTEN),
    "collection-large": FaultKind(
        Grade.WARN, "an item collection takes more than half of the 10 GB that a local index allows", "watch its growth"
    ),
    "hot-partition": FaultKind(
        Grade.WARN,
        "one key takes more than the 1,000 write units a second of a partition",
        "copy more slowly (--write-units), or spread the key",
    ),
    "index-key-null": FaultKind(Grade.WARN, "a part of an index key is NULL", _RIGHT),
    "index-key-empty": FaultKind(Grade.WARN, "a part of an index key is an empty text", _RIGHT),
    "index-key-type": FaultKind(Grade.WARN, "a part of an index key has a type that the rule cannot read", _RIGHT),
    "index-key-long": FaultKind(Grade.WARN, "an index key would be too long", _RIGHT),
    "query-lacks-told": FaultKind(
        Grade.WARN, "a query of the plan expects it, and its own fault keeps it out of that index", _RIGHT
    ),
    "query-unasked": FaultKind(
        Grade.WARN,
        "none of its items fills a query of the plan in",
        "see that the query's templates and key name attributes that items have",
    ),
    "unknown-attribute": FaultKind(
        Grade.WARN,
        "the plan does not know this attribute",
        "name it among the source's `attributes`; it is carried anyway",
    ),
    "imprecise-number": FaultKind(
        Grade.WARN,
        "a number has more figures than a double keeps: an application that reads it as one changes it",
        "see that the new application reads it as text or decimal",
    ),
    "secret-in-key": FaultKind(
        Grade.WARN,
        "a key is made of what looks like a secret, or personal, and the plan does not call it sensitive",
        "add the attribute to `sensitive` of its source",
    ),
    "ttl-not-a-number": FaultKind(Grade.WARN, "time to live is no number: DynamoDB ignores it", _RIGHT),
    "ttl-in-milliseconds": FaultKind(
        Grade.WARN, "time to live looks like milliseconds: the item lives for ever", "write seconds"
    ),
    "ttl-long-ago": FaultKind(
        Grade.WARN, "time to live is over for five years: DynamoDB does not delete it any more", "delete these items"
    ),
    "mark": FaultKind(Grade.NOTE, "a mark that tableturn left behind: it is no item and is left out", "nothing"),
    "index-key-absent": FaultKind(Grade.NOTE, "it has no entry in this index, for want of an attribute", "nothing"),
    "displaced": FaultKind(
        Grade.NOTE,
        "the target reserves this attribute's name: it travels in `_legacy`",
        "nothing; it comes back",
    ),
    "expired": FaultKind(Grade.NOTE, "its time to live has passed: DynamoDB may delete it any moment", "nothing"),
}
"""Every kind that an item, or a key over all items, may have. What tables have is in `proof.tables`."""


def gravest(kinds: Iterable[str]) -> Grade:
    """Return the grade of the gravest of some kinds; NOTE when there is none."""
    return max((FAULTS[kind].grade for kind in kinds), default=Grade.NOTE)
