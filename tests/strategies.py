"""Hypothesis strategies for wire values, legacy items of both example plans, and items their new applications write.

``legacy_items("users")`` · ``application_items("USER")``; names of sources and entities tell the plan. Hostile on
purpose: names that the target or we ourselves reserve, wrong types everywhere, numbers of every size and spelling,
values that look like our own `_target` and `_legacy`.
"""

import base64
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from domain.items import AttributeValue, Item
from mapping.plan import Plan, load_plan

PLANS = Path(__file__).resolve().parents[1] / "plans"
TYLER = load_plan(PLANS / "tyler-setup.yaml", variables={"SECRETS_PREFIX": "test"})
DESK = load_plan(PLANS / "order-desk.yaml", variables={"DESK": "test"})

SOURCES = [(plan, source) for plan in (TYLER, DESK) for source in plan.sources]
PLAN_OF = {source: plan for plan, source in SOURCES}
SOURCE_OF = {table.entity: source for plan, source in SOURCES for table in [plan.sources[source]]}

HOSTILE = [
    *("version", "PK", "SK", "ttl", "_stamp", "_target", "_legacy", "GSI1PK", "GSI1SK", "GSI3PK", "GSI4SK", "expireAt"),
    *("entityType", "status", "profile", "fullName", "initials", "id", "data", "_own", "_stale", "__proto__", "é name"),
    *("pk", "sk", "listPk", "listSk", "totalPk", "totalSk", "tag", "kind", "purgeAt", "schema", "priority", "rush"),
]

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
FILLED = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12),
    st.sampled_from(["a#1", "a%231", "#", "%", "METADATA", "a/b", "~x", "undefined"]),
)


@cache
def numbers() -> st.SearchStrategy[str]:
    """DynamoDB numbers as text: 38 figures, exponents from -130 to 125, in any spelling."""
    figures = st.integers(-(10**38) + 1, 10**38 - 1).map(str)
    scaled = st.builds("{}E{}".format, st.integers(-9999, 9999), st.integers(-126, 121))
    plain = st.decimals(-(10**9), 10**9, places=3, allow_nan=False).map(str)
    return st.one_of(figures, scaled, plain, st.sampled_from(["0", "-0", "1", "1.0", "1.50", "0.1", "12.5"]))


@cache
def moments() -> st.SearchStrategy[AttributeValue]:
    """Milliseconds as the applications write them, and a few that they should not."""
    usual = st.integers(1_700_000_000_000, 1_800_000_000_000).map(str)
    return st.one_of(usual, usual.map("{}.5".format), numbers()).map(lambda written: {"N": written})


@cache
def _flat() -> st.SearchStrategy[AttributeValue]:
    binary = st.binary(min_size=1, max_size=6).map(lambda raw: base64.b64encode(raw).decode())
    return st.one_of(
        TEXT.map(lambda content: {"S": content}),
        numbers().map(lambda content: {"N": content}),
        binary.map(lambda content: {"B": content}),
        st.booleans().map(lambda content: {"BOOL": content}),
        st.just({"NULL": True}),
        st.lists(TEXT, min_size=1, max_size=3, unique=True).map(lambda content: {"SS": content}),
        st.lists(st.integers(-99, 99).map(str), min_size=1, max_size=3, unique=True).map(
            lambda content: {"NS": content}
        ),
        st.lists(binary, min_size=1, max_size=3, unique=True).map(lambda content: {"BS": content}),
    )


@cache
def wire_values() -> st.SearchStrategy[AttributeValue]:
    """Any attribute value, nested a little."""
    return st.recursive(
        _flat(),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3).map(lambda content: {"L": content}),
            st.dictionaries(st.one_of(TEXT, st.sampled_from(HOSTILE)), inner, max_size=3).map(
                lambda content: {"M": content}
            ),
        ),
        max_leaves=5,
    )


@cache
def _names(source: str) -> st.SearchStrategy[str]:
    home = PLAN_OF[source].entities[source].home
    return st.sampled_from([*HOSTILE, *sorted(home.declared or ()), "nickname", "theme"])


@cache
def _overrides(source: str) -> st.SearchStrategy[AttributeValue]:
    """Values that look like our `_target`."""
    names, content = _names(source), st.dictionaries(_names(source), wire_values(), max_size=2)
    fields: dict[str, st.SearchStrategy[Any]] = {
        "set": content.map(lambda each: {"M": each}),
        "over": content.map(lambda each: {"M": each}),
        "removed": st.lists(names, min_size=1, max_size=2, unique=True).map(lambda each: {"SS": each}),
    }
    return st.fixed_dictionaries({}, optional=fields).map(lambda each: {"M": each})


@cache
def _displaced(source: str) -> st.SearchStrategy[AttributeValue]:
    """Values that look like our `_legacy`."""
    own = st.lists(_names(source), min_size=1, max_size=2, unique=True).map(lambda each: {"SS": each})
    special = st.fixed_dictionaries(
        {}, optional={"_own": own, "_stale": _overrides(source), "_target": _overrides(source)}
    )
    content = st.dictionaries(_names(source), wire_values(), max_size=2)
    return st.builds(lambda one, two: {"M": {**one, **two}}, content, special)


@cache
def attribute_maps(source: str) -> st.SearchStrategy[Item]:
    """A few attributes under likely, unknown and hostile names, likely values and any others."""

    likely = st.one_of(moments(), FILLED.map(lambda each: {"S": each}), st.booleans().map(lambda each: {"BOOL": each}))
    usual = st.dictionaries(_names(source), st.one_of(likely, likely, wire_values()), max_size=7)
    special = st.fixed_dictionaries({}, optional={"_target": _overrides(source), "_legacy": _displaced(source)})
    return st.builds(lambda one, two: {**one, **two}, usual, st.one_of(st.just({}), special))


@cache
def keys(source: str) -> st.SearchStrategy[Item]:
    """A source key of a table."""
    parts: dict[str, st.SearchStrategy[AttributeValue]] = {
        "S": FILLED.map(lambda each: {"S": each}),
        "N": numbers().map(lambda each: {"N": each}),
    }
    types = PLAN_OF[source].entities[source].home.types
    return st.fixed_dictionaries({name: parts[kind] for name, kind in types.items()})


@cache
def legacy_items(source: str) -> st.SearchStrategy[Item]:
    """Items of a legacy table, as its application wrote them or never would."""
    return st.builds(lambda rest, key: {**rest, **key}, attribute_maps(source), keys(source))


def _edited(plan: Plan, item: Item, added: Item, removed: list[str]) -> Item:
    """Return the item after an application's update; what the target's indexes refuse is left out, as AWS would."""
    keys_of_target = {plan.frame.hash_name, plan.frame.sort_name}
    kept = {name: value for name, value in item.items() if name not in removed or name in keys_of_target}
    taken = {name: value for name, value in added.items() if plan.frame.takes(name, value)}
    return {**kept, **{name: value for name, value in taken.items() if name not in keys_of_target}}


@cache
def application_items(entity: str) -> st.SearchStrategy[Item]:
    """Primary items of the target: ours after any update, and ones that the new application put itself."""
    source = SOURCE_OF[entity]
    plan = PLAN_OF[source]

    def primary(item: Item) -> Item:
        translation = plan.translate(source, item)
        return translation.items[translation.primary]

    removed = st.lists(_names(source), max_size=3)
    ours = st.builds(
        lambda item, added, gone: _edited(plan, primary(item), added, gone),
        legacy_items(source),
        attribute_maps(source),
        removed,
    )

    def fresh(key: Item, added: Item) -> Item:
        translation = plan.translate(source, key)
        return _edited(plan, plan.key_item(translation.primary), added, [])

    return st.one_of(ours, st.builds(fresh, keys(source), attribute_maps(source)))


@cache
def after_rollback(source: str) -> st.SearchStrategy[Item]:
    """Legacy items that the reverse wrote and the legacy application changed afterwards: `_target` may be stale."""
    plan = PLAN_OF[source]
    entity = plan.sources[source].entity

    def returned(item: Item, added: Item, removed: list[str]) -> Item:
        back = plan.untranslate(item)
        assert back is not None
        types = plan.entities[source].home.types
        kept = {name: value for name, value in back.item.items() if name not in removed or name in types}
        return {**kept, **{name: value for name, value in added.items() if name not in types and name != "_target"}}

    return st.builds(returned, application_items(entity), attribute_maps(source), st.lists(_names(source), max_size=2))
