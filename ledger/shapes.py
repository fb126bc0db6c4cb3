"""What the rows of each partition hold, and how a row that somebody changed by hand is told.

`ledger.rows` holds every row it reads against this page before anyone sees it; so the other modules may take a field
for what it is. A row that does not fit stops the process (FatalError): nobody can guess a checkpoint. The message names
the row and the field, never a value; names that hold a source id or a target key are shown as digests.

A partition that is not listed here may hold anything that `ledger.rows` writes. Fields beyond those listed are let be.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from domain.errors import FatalError
from domain.notices import DeliveryState, NoticeKind, NoticeState
from domain.outcomes import Reason
from domain.phases import Phase, Side
from domain.positions import Version
from mapping.masking import short_digest

_SEQUENCE: Final = re.compile(r"[0-9]{1,40}")
_NONCE: Final = re.compile(r"[0-9a-f]{12}")
_HINT: Final = (
    "somebody changed it by hand: put back what stood there, from the ledger's point-in-time recovery, and start again"
)


@dataclass(frozen=True, slots=True)
class Kind:
    """What a field may be; ``name`` stands in the message."""

    name: str
    fits: Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class Shape:
    """Fields that a row of one kind always has, those it may have, and what its name is (None: anything)."""

    fields: Mapping[str, Kind] = field(default_factory=dict)
    optional: Mapping[str, Kind] = field(default_factory=dict)
    name: Kind | None = None

    def misfit(self, fields: Mapping[str, Any]) -> str | None:
        """Return what does not fit, without its value; None when all does."""
        for name, kind in self.fields.items():
            if name not in fields:
                return f"{name} is missing"
            if not kind.fits(fields[name]):
                return f"{name} is not {kind.name}"
        wrong = [name for name, kind in self.optional.items() if name in fields and not kind.fits(fields[name])]
        return f"{wrong[0]} is not {self.optional[wrong[0]].name}" if wrong else None


def _is_count(value: Any) -> bool:  # noqa: ANN401 - a predicate over whatever stands there
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_revision(value: Any) -> bool:  # noqa: ANN401 - likewise
    return _is_count(value) and value > 0


def _is_sequence(value: Any) -> bool:  # noqa: ANN401 - likewise
    return isinstance(value, str) and _SEQUENCE.fullmatch(value) is not None


def _is_version(value: Any) -> bool:  # noqa: ANN401 - likewise
    try:
        return isinstance(value, str) and str(Version.parse(value)) == value
    except ValueError:
        return False


def _is_item(value: Any) -> bool:  # noqa: ANN401 - likewise
    return isinstance(value, dict) and all(isinstance(each, dict) and len(each) == 1 for each in value.values())


def _are_texts(value: Any) -> bool:  # noqa: ANN401 - likewise
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _are_keys(value: Any) -> bool:  # noqa: ANN401 - likewise
    return isinstance(value, list) and all(_are_texts(each) and len(each) == _PARTS for each in value)


def _optional(kind: Kind) -> Kind:
    return Kind(f"{kind.name} or nothing", lambda value: value is None or kind.fits(value))


def _one_of(*words: str) -> Kind:
    return Kind(f"one of {', '.join(words)}", lambda value: isinstance(value, str) and value in words)


def _word(words: type[StrEnum]) -> Kind:
    return _one_of(*(word.value for word in words))


def _map_of(kind: Kind, name: str) -> Kind:
    return Kind(name, lambda value: isinstance(value, dict) and all(kind.fits(each) for each in value.values()))


def _map_with(shape: Shape) -> Kind:
    names = ", ".join([*shape.fields, *shape.optional])
    return Kind(f"a map with fitting {names}", lambda value: isinstance(value, dict) and shape.misfit(value) is None)


_PARTS: Final = 2
"""A target key has a hash and a sort part."""

_COUNT = Kind("a whole number from 0", _is_count)
_TEXT = Kind("text", lambda value: isinstance(value, str))
_TRUTH = Kind("true or false", lambda value: isinstance(value, bool))
_SEQUENCE_NUMBER = Kind("a sequence number", _is_sequence)
_VERSION = Kind("a version", _is_version)
_ITEM = Kind("a key of attribute values", _is_item)
_TEXTS = Kind("a list of texts", _are_texts)
_KEYS = Kind("a list of target keys", _are_keys)
_PLACES = _map_of(_SEQUENCE_NUMBER, "a map of sequence numbers by shard")
_NAMES = _map_of(_TEXT, "a map of texts")
_ANYTHING = Kind("a map", lambda value: isinstance(value, dict))

OF_EVERY_ROW: Final = Shape({"revision": Kind("a whole number from 1", _is_revision), "fence": _COUNT, "nonce": _TEXT})
"""What the mechanism itself keeps in each row: 0 would mean that nothing stands there."""

_STATES = _one_of("open", "taken", "done", "refused")
_SCANNED = Shape(
    {
        "total": _COUNT,
        "cursor": _optional(_ITEM),
        "done": _TRUTH,
        "items": _COUNT,
        "pages": _COUNT,
        "quarantined": _COUNT,
    },
    name=_SEQUENCE_NUMBER,
)
_ASKED = Shape({"state": _STATES, "facts": _ANYTHING, "answer": _ANYTHING})
_SWITCHED = _map_with(Shape(optional={"max_blocked_ms": _COUNT, "overrides": _NAMES}))
_FIRING = _map_with(Shape({"source": _TEXTS, "target": _TEXTS}))
_COMPARED = {"mismatches": _COUNT}
_RECAPTURED = _map_with(Shape({"stream": _TEXT, "epoch": _COUNT}))
_COUNTS = _map_of(_COUNT, "a map of whole numbers from 0")
_TALLIED = ("fates", "own", "derived", "overruled", "causes")
_TALLY = _map_with(Shape({"bake": _COUNT, **dict.fromkeys(_TALLIED, _COUNTS)}))
_DELIVERED = Shape({"state": _word(DeliveryState), "tries": _COUNT, "at_ms": _COUNT, "why": _TEXT})
_RETRIED = _map_with(Shape({"source": _TEXT, "source_id": _TEXT, "lane": _TEXT}))

SHAPES: Final[Mapping[str, Shape]] = {
    "migration/plan": Shape({"schema": _COUNT, "plan": _TEXT, "hash": _TEXT}),
    "migration/state": Shape({"phase": _word(Phase), "since_ms": _COUNT, "rollbacks": _COUNT}),
    "migration/flag": Shape({"serving": _word(Side), "writable": _TRUTH, "epoch": _COUNT}),
    "leases": Shape({"owner": _TEXT, "epoch": _COUNT, "counter": _COUNT, "clean": _TRUTH}),
    "streams": Shape(
        {
            "side": _word(Side),
            "table": _TEXT,
            "arn": _TEXT,
            "epoch": _COUNT,
            "copy_epoch": _COUNT,
            "gap": _TEXT,
        }
    ),
    "shards": Shape(
        {
            "parent": _optional(_TEXT),
            "checkpoint": _optional(_SEQUENCE_NUMBER),
            "ended": _TRUTH,
            "through_ms": _COUNT,
            "oldest_ms": _COUNT,
        },
        {"tally": _TALLY},
    ),
    "segments": _SCANNED,
    "sweeps": _SCANNED,
    "marks": Shape({"stream": _TEXT, "state": _one_of("pending", "kept", "dropped")}),
    "cuts": Shape({"sequence": _SEQUENCE_NUMBER}),
    "spans": Shape({"opened": _optional(_PLACES), "closed": _optional(_PLACES)}),
    "quarantine": Shape(
        {
            "source_id": _TEXT,
            "version": _VERSION,
            "reason": _word(Reason),
            "detail": _TEXT,
            "keys": _KEYS,
            "at_ms": _COUNT,
        }
    ),
    "tombstones": Shape(
        {
            "pk": _TEXT,
            "sk": _TEXT,
            "source": _TEXT,
            "source_id": _TEXT,
            "version": _VERSION,
            "checksum": _TEXT,
            "shard": _optional(_TEXT),
            "sequence": _SEQUENCE_NUMBER,
        }
    ),
    "echoes": Shape({"source_id": _TEXT, "version": _VERSION, "content": _TEXT, "awaited": _TEXTS}),
    "switch": Shape(
        {
            "id": _TEXT,
            "to": _word(Side),
            "came_from": _word(Phase),
            "step": _TEXT,
            "open": _TRUTH,
            "drain_marks": _NAMES,
            "open_marks": _NAMES,
            "facts": _ANYTHING,
        },
        optional={"taken": _TRUTH},
    ),
    "acts": Shape({"moment": _TEXT, "state": _one_of("begun", "done", "undone"), "standing": _ANYTHING}),
    "requests/cutover": Shape({**_ASKED.fields, "facts": _SWITCHED}),
    "requests/rollback": Shape({**_ASKED.fields, "facts": _SWITCHED}),
    "requests/recapture": Shape({**_ASKED.fields, "facts": _RECAPTURED}),
    "requests/retry": Shape({**_ASKED.fields, "facts": _RETRIED}),
    "requests/verify": Shape({**_ASKED.fields, "answer": _map_with(Shape(optional=_COMPARED))}),
    "requests": _ASKED,
    "evidence/worker": Shape({"settled": _TRUTH, "at_ms": _COUNT}, optional={"leading_ms": _COUNT, "epoch": _COUNT}),
    "evidence/actuators": Shape({"to": _word(Side), "would": _NAMES, "trouble": _TEXTS, "at_ms": _COUNT}),
    "evidence/plan": Shape({"verdict": _TEXT, "override": _TEXT, "proved_ms": _COUNT, "at_ms": _COUNT}),
    "evidence/triggers": Shape({"firing": _FIRING, "trouble": _TEXTS, "at_ms": _COUNT}),
    "evidence/reconcile": Shape(
        {**_COMPARED, "scanned_through_ms": _COUNT, "scan_ms": _COUNT, "at_ms": _COUNT}, optional={"state": _COUNT}
    ),
    "evidence/switch": Shape({"blocked_ms": _COUNT, "at_ms": _COUNT}),
    "evidence/backups": Shape(
        {"arn": _TEXT, "name": _TEXT, "made_ms": _COUNT, "available": _TRUTH, "pitr": _TRUTH, "at_ms": _COUNT},
        optional={"earliest_ms": _COUNT, "latest_ms": _COUNT},
    ),
    "evidence/archive": Shape(
        {"arn": _TEXT, "name": _TEXT, "made_ms": _COUNT, "table_id": _TEXT, "at_ms": _COUNT}
        | {"state": _one_of("archived", "deleting", "deleted")}
    ),
    "evidence": Shape({"at_ms": _COUNT}),
    "controls": Shape({"until_ms": _COUNT, "reason": _TEXT, "by": _TEXT, "at_ms": _COUNT}),
    "controls/planned": Shape({"at_ms": _COUNT, "by": _TEXT}),
    "notices": Shape(
        {"kind": _word(NoticeKind), "state": _word(NoticeState), "due_ms": _COUNT, "at_ms": _COUNT, "document": _TEXT}
        | {"deliveries": _map_of(_map_with(_DELIVERED), "a map of deliveries")}
    ),
    "history": Shape({"event": _TEXT, "at_ms": _COUNT, "who": _TEXT}),
}
"""By the first word of a partition, or by the first two of partition and name where rows of one partition differ."""

_PRIVATE_PARTITIONS: Final = ("echoes/",)
_PRIVATE_NAMES: Final = ("quarantine/", "tombstones/")


def shape_of(partition: str, name: str) -> Shape:
    """Return the shape of a row; the empty one, which everything fits, for a partition that is not listed."""
    words = f"{partition}/{name}".split("/")
    return SHAPES.get("/".join(words[:2])) or SHAPES.get(words[0]) or Shape()


def check(partition: str, name: str, fields: Mapping[str, Any]) -> str | None:
    """Return what of a row does not fit its shape, without any value; None when all does."""
    shape = shape_of(partition, name)
    if shape.name is not None and not shape.name.fits(name):
        return f"its name is not {shape.name.name}"
    return shape.misfit(fields)


def shown(partition: str, name: str) -> str:
    """Return a row's address as it may be printed (tyler-setup rule 5): a source id or target key as a digest."""
    if partition.startswith(_PRIVATE_PARTITIONS):
        kind, _, source_id = partition.partition("/")
        partition = f"{kind}/{short_digest(source_id)}"
    if partition.startswith(_PRIVATE_NAMES):
        name = short_digest(name)
    return f"{partition}/{name}"


def unreadable(table: str, address: str, what: str, *, nonce: object = None) -> FatalError:
    """Return the error for a row that cannot be read; a sound ``nonce`` finds it where the address is a digest."""
    known = isinstance(nonce, str) and _NONCE.fullmatch(nonce) is not None
    place = f"ledger row {address} of table {table}" + (f" (nonce {nonce})" if known else "")
    return FatalError(f"{place} cannot be read: {what}", hint=_HINT)
