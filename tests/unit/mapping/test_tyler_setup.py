"""Each row of the table in tyler-setup.md, by hand: what a legacy item becomes."""

from typing import Any

import pytest

from domain.items import Item, TargetKey
from tests.strategies import TYLER

MS = "1795438294703"
AT, MONTH = "2026-11-23T12:51:34.703Z", "2026-11"


def strings(**values: str) -> Item:
    return {name: {"S": value} for name, value in values.items()}


def primary(source: str, item: Item) -> Item:
    translation = TYLER.translate(source, item)
    return translation.items[translation.primary]


def added(source: str, item: Item) -> Item:
    """What stands there besides the legacy item, which must stand there unchanged."""
    made = primary(source, item)
    assert {name: made.get(name) for name in item} == item
    return {name: value for name, value in made.items() if name not in item}


USER: Item = {
    **strings(id="u1", email="ada@example.com", name="Ada King Lovelace", role="admin", passwordHash="$argon2id$x"),
    "isActive": {"BOOL": True},
    "createdAt": {"N": MS},
    "lastLogin": {"NULL": True},
}
CONTRACTOR: Item = {
    **strings(id="c1", email="c@vendor.example", tokenHash="b08c", status="pending", company="Vendor"),
    "createdAt": {"N": MS},
    "expiresAt": {"N": "1795524694232"},
    "ttl": {"N": "1795524694"},
    "allowedSecrets": {"L": []},
}
TOKEN: Item = {
    **strings(token="9de8", userId="u1", ip="10.0.0.1"),
    "expiresAt": {"N": MS},
    "createdAt": {"N": "1790000000000"},
}
AUDIT: Item = {**strings(id="1795438294703-x", action="LOGIN", userId="u1"), "timestamp": {"N": MS}}
CONFIG: Item = {**strings(key="global", updatedBy="u1"), "sessionTimeout": {"N": "12.5"}, "updatedAt": {"N": MS}}


def test_a_user_is_found_by_id_listed_by_creation_and_found_by_mail() -> None:
    expected: Item = {
        **strings(PK="USER#u1", SK="METADATA", GSI1PK="USER", GSI1SK=AT, GSI2PK="ada@example.com", GSI2SK="USER"),
        **strings(entityType="USER", status="ACTIVE", fullName="Ada King Lovelace", initials="AL"),
        "profile": {"M": strings(displayName="Ada King Lovelace", role="admin", memberSince=AT)},
        "version": {"N": "1"},
    }
    assert added("users", USER) == expected


def test_a_contractor_is_listed_by_expiry_found_by_mail_related_by_token_and_dated_by_month() -> None:
    expires = "2026-11-24T12:51:34.232Z"
    expected: Item = {
        **strings(PK="CONTRACTOR#c1", SK="METADATA", GSI1PK="CONTRACTOR", GSI1SK=expires),
        **strings(GSI2PK="c@vendor.example", GSI2SK="CONTRACTOR", GSI3PK="CONTRACTOR_TOKEN#b08c", GSI3SK=expires),
        **strings(GSI4PK=f"CONTRACTOR#{MONTH}", GSI4SK=f"{AT}#c1", entityType="CONTRACTOR"),
        "version": {"N": "1"},
        "expireAt": {"N": "1795524694"},
    }
    assert added("contractors", CONTRACTOR) == expected


def test_a_refresh_token_is_listed_by_month_and_found_by_its_user() -> None:
    expected: Item = {
        **strings(PK="REFRESH_TOKEN#9de8", SK="METADATA", GSI1PK=f"REFRESH_TOKEN#{MONTH}", GSI1SK=AT),
        **strings(GSI2PK="USER#u1", GSI2SK=AT, entityType="REFRESH_TOKEN", id="9de8"),
        "version": {"N": "1"},
    }
    assert added("refresh-tokens", TOKEN) == expected
    assert added("refresh-tokens", {**TOKEN, "ttl": {"N": "7"}}) == {**expected, "expireAt": {"N": "7"}}


def test_an_audit_entry_has_four_indexes() -> None:
    expected: Item = {
        **strings(PK="AUDIT#1795438294703-x", SK="METADATA", GSI1PK=f"AUDIT#{MONTH}", GSI1SK=AT),
        **strings(GSI2PK=f"LOGIN#{MONTH}", GSI2SK=AT, GSI3PK="AUDIT_BY_USER#u1", GSI3SK=AT),
        **strings(GSI4PK=MONTH, GSI4SK=f"{AT}#1795438294703-x", entityType="AUDIT"),
        "version": {"N": "1"},
    }
    assert added("audit", AUDIT) == expected


def test_an_audit_entry_of_a_user_has_a_second_item_that_is_not_primary() -> None:
    translation = TYLER.translate("audit", AUDIT)
    key = TargetKey("USER#u1", "AUDIT#1795438294703-x")
    assert set(translation.items) == {TargetKey("AUDIT#1795438294703-x", "METADATA"), key}
    assert translation.items[key] == {
        **strings(PK=key.pk, SK=key.sk, entityType="USER_AUDIT", relationshipType="USER_AUDIT"),
        "targetId": {"S": "1795438294703-x"},
        "metadata": {"M": {"action": {"S": "LOGIN"}, "timestamp": {"N": MS}}},
    }
    owner = TYLER.owner(key)
    assert owner is not None
    assert (owner.source, owner.source_id, owner.primary) == ("audit", "audit/1795438294703-x", False)
    assert TYLER.untranslate(translation.items[key]) is None


@pytest.mark.parametrize(
    "user", [None, {"S": ""}, {"NULL": True}, {"N": "7"}], ids=["absent", "empty", "null", "number"]
)
def test_an_audit_entry_without_user_has_no_second_item_and_no_entry_by_user(user: dict[str, Any] | None) -> None:
    item = {name: value for name, value in AUDIT.items() if name != "userId"} | ({"userId": user} if user else {})
    translation = TYLER.translate("audit", item)
    made = translation.items[translation.primary]
    assert len(translation.items) == 1
    assert "undefined" not in str(translation.items)
    assert not {"GSI3PK", "GSI3SK"} & made.keys()
    assert {"GSI1PK", "GSI2PK", "GSI4PK"} <= made.keys()


def test_a_config_item_without_value_keeps_everything() -> None:
    expected: Item = {
        **strings(PK="CONFIG#global", SK="METADATA", GSI1PK="CONFIG", GSI1SK=AT, entityType="CONFIG", id="global"),
        "version": {"N": "1"},
    }
    assert added("config", CONFIG) == expected


@pytest.mark.parametrize("source", list(TYLER.sources))
def test_every_index_key_is_of_the_type_that_the_index_has(source: str) -> None:
    """Numbers written to string index keys: every put was refused."""
    item = {"users": USER, "contractors": CONTRACTOR, "refresh-tokens": TOKEN, "audit": AUDIT, "config": CONFIG}[source]
    made = primary(source, item)
    types = {each.name: each.type for index in TYLER.target.indexes for each in index.key}
    present = {name: value for name, value in made.items() if name in types}
    assert present
    assert all(list(value) == [types[name]] for name, value in present.items())


@pytest.mark.parametrize("created", [{"S": MS}, {"NULL": True}, {"S": ""}, {"N": "1e40"}, None])
def test_an_item_that_lacks_a_part_of_an_index_key_has_no_entry_there(created: dict[str, Any] | None) -> None:
    item = {name: value for name, value in USER.items() if name != "createdAt"} | (
        {"createdAt": created} if created else {}
    )
    made = primary("users", item)
    assert not {"GSI1PK", "GSI1SK"} & made.keys()
    assert {"GSI2PK", "GSI2SK"} <= made.keys()
    assert made.get("createdAt") == created


def test_secrets_and_unknown_attributes_are_never_lost() -> None:
    """A lossy passwordHash logs everybody out for good."""
    unknown: Item = {
        "passwordHash": {"S": "$argon2id$v=19$"},
        "lastLoginIP": {"S": "10.0.0.1"},
        "mfa": {"BS": ["AQ=="]},
    }
    assert {name: primary("users", {**USER, **unknown})[name] for name in unknown} == unknown
    assert primary("contractors", CONTRACTOR)["tokenHash"] == {"S": "b08c"}


@pytest.mark.parametrize(
    ("name", "full", "initials"),
    [
        ("Ada Lovelace", "Ada Lovelace", "AL"),
        ("Cher", "Cher", "C"),
        ("  Øystein   von Ångström ", "  Øystein   von Ångström ", "ØÅ"),
        ("李 小龍", "李 小龍", "李小"),
        ("", "", None),
        (None, None, None),
    ],
)
def test_names_of_every_kind_have_sensible_initials(name: str | None, full: str | None, initials: str | None) -> None:
    item = {**USER, "name": {"NULL": True} if name is None else {"S": name}}
    made = primary("users", item)
    assert made.get("fullName", {}).get("S") == full
    assert made.get("initials", {}).get("S") == initials


@pytest.mark.parametrize(
    ("active", "word"),
    [({"BOOL": True}, "ACTIVE"), ({"BOOL": False}, "INACTIVE"), (None, "INACTIVE"), ({"S": "true"}, "INACTIVE")],
)
def test_only_an_active_user_is_active(active: dict[str, Any] | None, word: str) -> None:
    item = {name: value for name, value in USER.items() if name != "isActive"} | (
        {"isActive": active} if active else {}
    )
    assert primary("users", item)["status"] == {"S": word}


@pytest.mark.parametrize(
    "name", ["PK", "SK", "GSI1PK", "GSI4SK", "entityType", "status", "profile", "expireAt", "_stamp", "_legacy"]
)
def test_a_reserved_name_is_carried_in_a_map_and_restored(name: str) -> None:
    item = {**USER, name: {"S": "mine"}}
    made = primary("users", item)
    assert made["_legacy"]["M"][name] == {"S": "mine"}
    assert made.get(name) != {"S": "mine"}
    back = TYLER.untranslate(made)
    assert back is not None
    assert back.item == item


@pytest.mark.parametrize(
    ("version", "stands"), [({"N": "7.50"}, {"N": "7.50"}), ({"S": "1.2"}, {"N": "1"}), ({"N": "1"}, {"N": "1"})]
)
def test_a_version_of_legacys_own_stays_its_own(version: dict[str, str], stands: dict[str, str]) -> None:
    made = primary("users", {**USER, "version": version})
    assert made["version"] == stands
    back = TYLER.untranslate(made)
    assert back is not None
    assert back.item["version"] == version


def test_ttl_of_another_type_is_carried_but_never_expires_an_item() -> None:
    made = primary("contractors", {**CONTRACTOR, "ttl": {"S": "soon"}})
    assert made["ttl"] == {"S": "soon"}
    assert "expireAt" not in made
    assert "expireAt" not in primary("users", {**USER, "ttl": {"N": "5"}}), "users have no TTL"


def test_the_tables_are_those_of_the_page() -> None:
    assert TYLER.target.name == "test-entities"
    assert [each.name for each in TYLER.target.indexes] == ["GSI1", "GSI2", "GSI3", "GSI4", "LSI1-Versions"]
    assert TYLER.target.indexes[3].include == ("entityType", "id", "timestamp", "data")
    assert (TYLER.target.ttl_attribute, TYLER.target.deletion_protection) == ("expireAt", True)
    assert TYLER.target.point_in_time_recovery
    assert [table.name for table in TYLER.companions] == [
        f"test-{each}" for each in ("events", "cache", "connections", "rate-limits")
    ]
    assert {name: table.definition.name for name, table in TYLER.sources.items()} == {
        name: f"test-{name}" for name in TYLER.sources
    }
    assert TYLER.sources["contractors"].definition.ttl_attribute == "ttl"
    assert [each.name for each in TYLER.sources["audit"].definition.indexes] == ["timestamp-index", "user-index"]
