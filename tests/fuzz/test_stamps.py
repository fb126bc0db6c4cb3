"""Stamps and versions of whatever stands on a target item: ours to the letter, or none."""

from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from domain.items import STAMP, Item, text
from domain.positions import Version
from domain.stamps import Stamp, is_tombstone
from tests.fuzz.broken import BROKEN_VALUES, mutated
from tests.fuzz.effort import fuzzed
from tests.strategies import HOSTILE, TEXT, wire_values

VERSIONS = st.builds(Version, st.integers(0, 999_999), st.integers(0, 10**40 - 1), st.integers(0, 9999))
WRITTEN = st.one_of(
    VERSIONS.map(str),
    st.text(max_size=60),
    st.from_regex(r"\d{6}\.\d{40}\.\d{4}\n?", fullmatch=True),
    VERSIONS.map(lambda each: f" {each}"),
)
ARABIC = str(Version(1, 5)).replace("5", "٥")


@fuzzed()
@given(written=WRITTEN)
@example(ARABIC).via("was read as 5; DynamoDB compares the text, and to it that is newer than any version of ours")
@example(str(Version(1, 5)) + "\n")
def test_a_version_is_read_only_when_it_is_spelt_as_we_spell_it(written: str) -> None:
    try:
        found = Version.parse(written)
    except ValueError:
        return
    assert str(found) == written


@st.composite
def stamps(draw: st.DrawFn) -> Any:
    stamp = Stamp(draw(TEXT), str(draw(VERSIONS)), draw(TEXT), draw(st.booleans())).wire()
    return draw(st.one_of(st.just(stamp), mutated(stamp), BROKEN_VALUES))


@fuzzed()
@given(item=st.dictionaries(st.sampled_from([*HOSTILE, "PK"]), wire_values(), max_size=3), stamp=stamps())
@example({}, {"M": {"src": text("a"), "ver": text(str(Version(1))), "sum": text(""), "dead": []}}).via("AttributeError")
@example({}, {"M": {"src": text("a"), "ver": text(ARABIC), "sum": text("")}}).via("was a stamp of ours")
@example({}, {"M": {"src": {"S": 5}, "ver": text(str(Version(1))), "sum": text("")}}).via(
    "had a source that is no text"
)
@example({}, []).via("was an AttributeError")
def test_whatever_stands_for_a_stamp_is_one_of_ours_or_none(item: Item, stamp: Any) -> None:
    stamped: Item = {**item, STAMP: stamp}
    found = Stamp.of(stamped)
    if found is None:
        assert not is_tombstone(stamped)
        return
    assert all(isinstance(each, str) for each in (found.source, found.version, found.checksum))
    assert str(Version.parse(found.version)) == found.version == stamp["M"]["ver"]["S"]
    assert Stamp.of({**item, STAMP: found.wire()}) == found
    assert is_tombstone(stamped) == (found.dead and found.fits(stamped))


@fuzzed()
@given(item=st.dictionaries(TEXT, wire_values(), max_size=3), version=VERSIONS)
def test_a_tombstone_is_known_whatever_its_key_holds(item: Item, version: Version) -> None:
    item.pop(STAMP, None)
    stone = Stamp.fresh(item, "users/a", version, dead=True).put_on(item)
    assert is_tombstone(stone)
    assert not is_tombstone({**stone, "one more": text("")})
