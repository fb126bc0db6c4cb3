"""What a write leaves in `_target` only, by name: what is its own, and what no inverse rule brings over."""

from domain.items import AttributeValue, Item, number, text
from mapping.plan import Pairing, Remainder
from tests.examples import ADA, changed, without
from tests.strategies import TYLER

STANDING: Item = next(iter(TYLER.translate("users", ADA).items.values()))


def left(before: Item | None, after: Item) -> Remainder:
    return TYLER.remainder("users", None if before is None else paired(before), paired(after))


def paired(item: Item) -> Pairing:
    returned = TYLER.untranslate(item)
    assert returned is not None
    return item, returned.item


def written(**attributes: AttributeValue) -> Item:
    return changed(STANDING, **attributes)


def test_what_the_legacy_table_holds_leaves_nothing() -> None:
    assert left(STANDING, written(lastLogin=number(5))) == Remainder()
    assert left(STANDING, written(fullName=text("Ada III"))).overruled == set(), "an inverse rule brings it to name"
    assert left(STANDING, written(status=text("INACTIVE"))) == Remainder(), "an inverse rule brings it to isActive"


def test_an_attribute_that_only_the_new_application_has_is_its_own() -> None:
    assert left(STANDING, written(theme=text("dark"))) == Remainder(own=frozenset({"theme"}))
    assert left(None, written(theme=text("dark"))) == Remainder(own=frozenset({"theme"}))


def test_what_the_mapping_makes_otherwise_is_derived() -> None:
    """A status that no legacy attribute can say: after a rollback the user would not be suspended."""
    assert left(STANDING, written(status=text("SUSPENDED"))).derived >= {"status"}
    assert left(STANDING, without(STANDING, "profile")).derived == {"profile"}
    assert left(STANDING, written(version=text("2.0"))) == Remainder(derived=frozenset({"version"}))


def test_a_write_is_counted_for_what_it_changed_itself() -> None:
    dark = written(theme=text("dark"))
    assert left(dark, changed(dark, lastLogin=number(5))) == Remainder()
    assert left(dark, changed(dark, theme=text("light"))) == Remainder(own=frozenset({"theme"}))
    assert left(dark, STANDING) == Remainder(), "taken away again"


def test_what_contradicts_a_derived_attribute_is_overruled() -> None:
    """The name is written and the full name, which speaks for it, is not: the legacy user keeps the old one."""
    assert left(STANDING, written(name=text("Ada III"))) == Remainder(overruled=frozenset({"name"}))
    contradicting = written(name=text("Ada III"))
    assert left(contradicting, changed(contradicting, lastLogin=number(5))) == Remainder()


def test_the_plan_declares_its_own_names_and_no_others() -> None:
    known = ("lastLogin", "status", "version", "GSI1PK", "tokenHash")
    assert all(TYLER.declares(name) for name in known)
    assert not TYLER.declares("theme")
