"""Nothing sensitive is printed, whatever it is part of (tyler-setup rule 5)."""

from domain.items import Item, TargetKey
from tests.strategies import DESK, TYLER

TOKEN: Item = {"token": {"S": "secret/token 1"}, "userId": {"S": "u1"}, "expiresAt": {"N": "1795438294703"}}


def test_a_source_id_and_the_key_made_of_it_show_the_same_digest() -> None:
    shown = TYLER.masked(TYLER.source_id("refresh-tokens", TOKEN))
    key = TYLER.translate("refresh-tokens", TOKEN).primary
    assert shown == "refresh-tokens/~" + shown[-8:]
    assert TYLER.masked_target(key) == f"REFRESH_TOKEN#~{shown[-8:]} / METADATA"
    assert TYLER.masked("users/u1") == "users/u1"
    assert TYLER.masked_target(TargetKey("USER#u1", "METADATA")) == "USER#u1 / METADATA"


def test_derived_attributes_index_keys_maps_and_stamp_are_masked_too() -> None:
    contractor: Item = {
        "id": {"S": "c"},
        "email": {"S": "eve@example.com"},
        "tokenHash": {"S": "b08c3176"},
        "expiresAt": {"N": "1"},
    }
    for source, item in (("refresh-tokens", TOKEN), ("contractors", contractor)):
        translation = TYLER.translate(source, item)
        made = translation.items[translation.primary]
        stamp = {"M": {"src": {"S": TYLER.source_id(source, item)}, "ver": {"S": "x"}, "sum": {"S": "y"}}}
        nested = {
            "M": {
                "set": {
                    "M": {"GSI3PK": {"S": "CONTRACTOR_TOKEN#b08c3176"}, "note": {"S": "by eve@example.com or b08c3176"}}
                }
            }
        }
        shown = str(
            TYLER.masked_item(
                {**made, "_stamp": stamp, "more": {"L": [nested]}, "names": {"SS": ["x eve@example.com"]}}
            )
        )
        assert "secret" not in shown
        if source == "contractors":
            assert "eve@example.com" not in shown
            assert "b08c3176" not in shown


def test_an_address_in_the_details_of_an_audit_entry_is_masked_wherever_it_stands() -> None:
    entry: Item = {
        "id": {"S": "1"},
        "details": {"M": {"contractorEmail": {"S": "eve@example.com"}, "text": {"S": "for eve@example.com"}}},
    }
    shown = TYLER.masked_item(entry)
    assert "eve@" not in str(shown)
    assert "contractorEmail" in str(shown)
    assert "eve@" in str(entry), "the item given is left alone"


def test_of_a_key_of_nobody_only_a_known_beginning_is_shown() -> None:
    shown = TYLER.masked_target(TargetKey("USER#eve@example.com", "secret"))
    assert shown.startswith("USER#~")
    assert "secret" not in shown
    assert "eve" not in shown
    assert not TYLER.masked_target(TargetKey("ORG#1", "x")).startswith("ORG")
    item = TYLER.masked_item(
        {"PK": {"S": "ORG#s3cret"}, "SK": {"S": "x"}, "id": {"S": "i"}, "tokenHash": {"N": "12345"}}
    )
    assert "s3cret" not in str(item)
    assert "12345" not in str(item)


def test_an_id_of_nobody_is_a_digest() -> None:
    assert TYLER.masked("people/eve").startswith("~")
    assert TYLER.masked("users/a/b").startswith("~")


def test_what_is_not_sensitive_stays_readable() -> None:
    item: Item = {"id": {"S": "u"}, "name": {"S": "Ada"}, "email": {"NULL": True}, "createdAt": {"N": "1"}}
    assert TYLER.masked_item(item) == item
    assert DESK.masked("orders/a%231/7") == "orders/a%231/7"


def test_an_index_key_is_masked_even_where_the_attribute_it_was_made_of_is_gone() -> None:
    item: Item = {"PK": {"S": "USER#u"}, "SK": {"S": "METADATA"}, "GSI2PK": {"S": "eve@example.com"}}
    assert TYLER.masked_item(item) == {**item, "GSI2PK": TYLER.masked_item({"email": item["GSI2PK"]})["email"]}


def test_a_hash_key_is_shown_only_where_it_is_known_to_tell_nothing() -> None:
    """A local index has its table's keys; of an index that no entity declares, or that holds an address, a digest."""
    token = "REFRESH_TOKEN#secret"
    assert TYLER.masked_hash_key(None, token) == TYLER.masked_hash_key("LSI1-Versions", token) != token
    assert TYLER.masked_hash_key("LSI1-Versions", token).startswith("REFRESH_TOKEN#~")
    assert TYLER.masked_hash_key("LSI1-Versions", "USER#u1") == "USER#u1"
    assert TYLER.masked_hash_key("GSI1", "AUDIT#2026-11") == "AUDIT#2026-11"
    assert TYLER.masked_hash_key("GSI2", "eve@example.com").startswith("~")
    assert TYLER.masked_hash_key("no-such-index", "USER#u1").startswith("~")
    assert TYLER.masked_hash_key(None, "NOBODY#x").startswith("~")
