"""`_target` and `_legacy`: what one side holds and the other has no place for (tyler-setup rules 1 and 4).

On a **target** item, map `_legacy`:

- ``name: value``  a legacy attribute whose name the target reserves; restored under its name.
- ``_own``         string set: names the legacy item had itself although the mapping would add them (``version``) or
                   the plan does not list them (without it nobody could tell them from the new application's), or
                   that hold a value which an index of the legacy table would refuse (items older than the index).
- ``_stale``       overrides that no longer apply (below), kept so that the legacy item can be rebuilt exactly. An older
                   ``_stale`` may stand in there: what the new application wrote since took its names.

On a **legacy** item, map `_target`, written by the reverse only:

- ``set``      name → value that the new application wrote and the mapping would not make.
- ``removed``  names that the mapping would make and the new application took away.
- ``over``     name → the value the mapping made there at that time. An override applies only while the mapping still
               makes exactly that (nothing, if the name is not listed): a later legacy change is never masked.

A legacy attribute that merely is named `_target` is told apart by `mapping.translation`: it is ours exactly when the
way there and back rebuilds it; otherwise it is the application's and is carried in `_legacy` like any other.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from domain.items import STAMP, AttributeValue, Item, canonical

LEGACY = "_legacy"
TARGET = "_target"
OWN = "_own"
STALE = "_stale"
ALWAYS_RESERVED = frozenset({LEGACY, TARGET, STAMP})
NEVER_RESERVED = frozenset({OWN, STALE})


@dataclass(frozen=True, slots=True)
class Override:
    """At one name: ``value`` (None: removed) in place of ``over`` (None: the mapping makes nothing there)."""

    value: AttributeValue | None
    over: AttributeValue | None


Overrides = Mapping[str, Override]


def same(one: AttributeValue | None, other: AttributeValue | None) -> bool:
    """Tell whether two values are equal to DynamoDB: numbers by value, sets without order (protocol §7)."""
    if one == other:
        return True
    return one is not None and other is not None and one.keys() == other.keys() and canonical(one) == canonical(other)


def same_item(one: Item, other: Item) -> bool:
    """Tell whether two items are equal to DynamoDB."""
    return one.keys() == other.keys() and all(same(value, other[name]) for name, value in one.items())


def difference(item: Item, made: Item) -> dict[str, Override]:
    """Return what turns the item that the mapping makes into the one that stands there."""
    names = {**made, **item}
    return {
        name: Override(item.get(name), made.get(name)) for name in names if not same(item.get(name), made.get(name))
    }


def applied(made: Item, overrides: Overrides) -> tuple[Item, dict[str, Override]]:
    """Return the item with every override that still applies, and those that are stale."""
    item, stale = dict(made), dict[str, Override]()
    for name, override in overrides.items():
        if not same(made.get(name), override.over):
            stale[name] = override
        elif override.value is None:
            item.pop(name, None)
        else:
            item[name] = override.value
    return item, stale


def written(overrides: Overrides) -> AttributeValue:
    """Return overrides as an attribute value; `parsed` is the inverse."""
    values = {name: each.value for name, each in overrides.items() if each.value is not None}
    over = {name: each.over for name, each in overrides.items() if each.over is not None}
    removed = names_set(name for name, each in overrides.items() if each.value is None)
    fields = {"set": {"M": values} if values else None, "over": {"M": over} if over else None, "removed": removed}
    return {"M": {name: field for name, field in fields.items() if field is not None}}


def parsed(value: AttributeValue | None) -> dict[str, Override] | None:
    """Read overrides back; None when the value only looks like some. The caller checks that they make sense."""
    fields = None if value is None else value.get("M")
    if not isinstance(fields, dict) or not fields or not fields.keys() <= {"set", "over", "removed"}:
        return None
    values, over = fields.get("set", {"M": {}}).get("M"), fields.get("over", {"M": {}}).get("M")
    removed = fields.get("removed", {"SS": []}).get("SS")
    if values is None or over is None or removed is None:
        return None
    if not over.keys() <= {*values, *removed} or values.keys() & set(removed):
        return None
    return {name: Override(values.get(name), over.get(name)) for name in [*values, *removed]}


def names_set(names: Iterable[str]) -> AttributeValue | None:
    """Return a string set in order, None for no names."""
    listed = sorted(set(names))
    return {"SS": listed} if listed else None


def map_content(value: AttributeValue | None) -> Item:
    """Return the content of a map, empty for anything else."""
    content = None if value is None else value.get("M")
    return content if isinstance(content, dict) else {}


_LEVELS = 2
"""Names stand at the first level of both maps, and at the second below set, over, removed and _stale."""


def without(item: Item, names: Collection[str]) -> Item:
    """Return a legacy or target item without some attributes, also where they are carried in our two maps."""
    kept = {name: value for name, value in item.items() if name not in names}
    for carrier in (LEGACY, TARGET):
        thinned = _thinned(kept.pop(carrier, None), names, _LEVELS)
        if thinned is not None:
            kept[carrier] = thinned
    return kept


def _thinned(value: AttributeValue | None, names: Collection[str], levels: int) -> AttributeValue | None:
    """Return what is left of a part of such a map; None when nothing is."""
    if value is None or not levels:
        return value
    if "SS" in value:
        left = [name for name in value["SS"] if name not in names]
        return {"SS": left} if left else None
    if "M" not in value:
        return value
    thinned = {name: _thinned(each, names, levels - 1) for name, each in value["M"].items() if name not in names}
    kept = {name: each for name, each in thinned.items() if each is not None}
    return {"M": kept} if kept else None
