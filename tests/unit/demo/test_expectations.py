"""The checker's own forms, item by item, as literal examples: what they say is read off tyler-setup.md by eye."""

import ast
from pathlib import Path

import pytest

from domain.items import Item
from service.demo import expectations as forms

DEMO = Path(forms.__file__).parent
JUDGES = ("checker", "demands", "expectations", "journal")
STRANGERS = {"mapping", "sync", "apply", "reconcile", "backfill", "cutover", "ledger"}

USER: Item = {
    "id": {"S": "u1"},
    "email": {"S": "zoe@example.com"},
    "name": {"S": "Zoë Maria Åström"},
    "role": {"S": "admin"},
    "passwordHash": {"S": "$argon2id$x"},
    "isActive": {"BOOL": True},
    "createdAt": {"N": "1795438294703"},
    "lastLogin": {"NULL": True},
    "badge": {"N": "12345678901234567890123456789012345678"},
}
CONTRACTOR: Item = {
    "id": {"S": "c1"},
    "email": {"S": "c1@vendor.example"},
    "tokenHash": {"S": "abc"},
    "createdAt": {"N": "1795438294703"},
    "expiresAt": {"N": "1798761600000"},
    "ttl": {"N": "1798761600"},
}
TOKEN: Item = {"token": {"S": "t1"}, "userId": {"S": "u1"}, "expiresAt": {"N": "1798761600000"}}
AUDIT: Item = {
    "id": {"S": "a1"},
    "timestamp": {"N": "1795438294703"},
    "action": {"S": "LOGIN"},
    "userId": {"S": "u1"},
}
CONFIG: Item = {"key": {"S": "global"}, "updatedAt": {"N": "1795438294703"}, "sessionTimeout": {"N": "12.5"}}


def imported(module: str) -> set[str]:
    """Top-level packages and demo modules that a module of the demo imports."""
    tree = ast.parse((DEMO / f"{module}.py").read_text(encoding="utf-8"))
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module or ""}
    return found


@pytest.mark.parametrize("judge", JUDGES)
def test_whoever_judges_knows_nothing_of_the_engines(judge: str) -> None:
    """Else an error of the mapping would find itself confirmed."""
    names = imported(judge)
    assert not {name.split(".")[0] for name in names} & STRANGERS
    demo = {name.split(".")[2] for name in names if name.startswith("service.demo.")}
    assert demo <= {*JUDGES}, "whatever a judge imports from the demo must be a judge as well"


def test_a_user_becomes_its_target_item() -> None:
    assert forms.primary("users", USER) == {
        **USER,
        "PK": {"S": "USER#u1"},
        "SK": {"S": "METADATA"},
        "GSI1PK": {"S": "USER"},
        "GSI1SK": {"S": "2026-11-23T12:51:34.703Z"},
        "GSI2PK": {"S": "zoe@example.com"},
        "GSI2SK": {"S": "USER"},
        "entityType": {"S": "USER"},
        "version": {"N": "1"},
        "status": {"S": "ACTIVE"},
        "fullName": {"S": "Zoë Maria Åström"},
        "initials": {"S": "ZÅ"},
        "profile": {
            "M": {
                "displayName": {"S": "Zoë Maria Åström"},
                "role": {"S": "admin"},
                "memberSince": {"S": "2026-11-23T12:51:34.703Z"},
            }
        },
    }


def test_a_contractor_a_token_and_config_become_theirs() -> None:
    assert forms.primary("contractors", CONTRACTOR) == {
        **CONTRACTOR,
        "PK": {"S": "CONTRACTOR#c1"},
        "SK": {"S": "METADATA"},
        "GSI1PK": {"S": "CONTRACTOR"},
        "GSI1SK": {"S": "2027-01-01T00:00:00.000Z"},
        "GSI2PK": {"S": "c1@vendor.example"},
        "GSI2SK": {"S": "CONTRACTOR"},
        "GSI3PK": {"S": "CONTRACTOR_TOKEN#abc"},
        "GSI3SK": {"S": "2027-01-01T00:00:00.000Z"},
        "GSI4PK": {"S": "CONTRACTOR#2026-11"},
        "GSI4SK": {"S": "2026-11-23T12:51:34.703Z#c1"},
        "entityType": {"S": "CONTRACTOR"},
        "version": {"N": "1"},
        "expireAt": {"N": "1798761600"},
    }
    assert forms.primary("refresh-tokens", TOKEN) == {
        **TOKEN,
        "id": {"S": "t1"},
        "PK": {"S": "REFRESH_TOKEN#t1"},
        "SK": {"S": "METADATA"},
        "GSI1PK": {"S": "REFRESH_TOKEN#2027-01"},
        "GSI1SK": {"S": "2027-01-01T00:00:00.000Z"},
        "GSI2PK": {"S": "USER#u1"},
        "GSI2SK": {"S": "2027-01-01T00:00:00.000Z"},
        "entityType": {"S": "REFRESH_TOKEN"},
        "version": {"N": "1"},
    }
    assert forms.primary("config", CONFIG) == {
        **CONFIG,
        "id": {"S": "global"},
        "PK": {"S": "CONFIG#global"},
        "SK": {"S": "METADATA"},
        "GSI1PK": {"S": "CONFIG"},
        "GSI1SK": {"S": "2026-11-23T12:51:34.703Z"},
        "entityType": {"S": "CONFIG"},
        "version": {"N": "1"},
    }


def test_an_audit_entry_becomes_two_items_and_one_without_a_user_one() -> None:
    assert forms.primary("audit", AUDIT) == {
        **AUDIT,
        "PK": {"S": "AUDIT#a1"},
        "SK": {"S": "METADATA"},
        "GSI1PK": {"S": "AUDIT#2026-11"},
        "GSI1SK": {"S": "2026-11-23T12:51:34.703Z"},
        "GSI2PK": {"S": "LOGIN#2026-11"},
        "GSI2SK": {"S": "2026-11-23T12:51:34.703Z"},
        "GSI3PK": {"S": "AUDIT_BY_USER#u1"},
        "GSI3SK": {"S": "2026-11-23T12:51:34.703Z"},
        "GSI4PK": {"S": "2026-11"},
        "GSI4SK": {"S": "2026-11-23T12:51:34.703Z#a1"},
        "entityType": {"S": "AUDIT"},
        "version": {"N": "1"},
    }
    assert forms.beside(AUDIT) == {
        ("USER#u1", "AUDIT#a1"): {
            "PK": {"S": "USER#u1"},
            "SK": {"S": "AUDIT#a1"},
            "entityType": {"S": "USER_AUDIT"},
            "relationshipType": {"S": "USER_AUDIT"},
            "targetId": {"S": "a1"},
            "metadata": {"M": {"action": {"S": "LOGIN"}, "timestamp": {"N": "1795438294703"}}},
        }
    }
    nobody = {name: value for name, value in AUDIT.items() if name != "userId"}
    assert forms.beside(nobody) == {}
    assert "GSI3PK" not in forms.primary("audit", nobody)


def test_names_that_the_target_reserves_are_carried_apart() -> None:
    hostile = {
        "status": {"S": "vip"},
        "version": {"S": "1.2"},
        "PK": {"S": "x"},
        "expireAt": {"N": "1"},
        "_stamp": {"S": "rubber"},
    }
    item = forms.primary("users", {**USER, **hostile})
    assert item["_legacy"] == {"M": hostile}
    assert (item["status"], item["version"], item["PK"]) == ({"S": "ACTIVE"}, {"N": "1"}, {"S": "USER#u1"})
    assert "expireAt" not in item
    assert forms.primary("users", {**USER, "version": {"N": "7"}})["version"] == {"N": "7"}


def test_status_name_and_time_to_live_find_their_way_home() -> None:
    there = forms.primary("users", USER) | {"status": {"S": "INACTIVE"}, "fullName": {"S": "Zoë Ek"}}
    assert forms.homeward("users", there, USER) == {**USER, "isActive": {"BOOL": False}, "name": {"S": "Zoë Ek"}}
    extended = forms.primary("contractors", CONTRACTOR) | {"expireAt": {"N": "1798848000"}}
    assert forms.homeward("contractors", extended, CONTRACTOR) == {**CONTRACTOR, "ttl": {"N": "1798848000"}}
    hostile = {**USER, "status": {"S": "vip"}, "version": {"N": "7"}}
    assert forms.homeward("users", forms.primary("users", hostile), hostile) == hostile


def test_a_legacy_change_wins_over_what_was_derived_and_over_nothing_else() -> None:
    """After a rollback: the new application's attributes stay, those that follow a changed one follow it."""
    there = forms.primary("users", USER) | {
        "preferences": {"M": {"theme": {"S": "dark"}}},
        "version": {"N": "4"},
        "initials": {"S": "Z"},
    }
    touched = forms.evolved("users", {**USER, "lastLogin": {"N": "5"}}, [(there, USER)])
    assert touched == there | {"lastLogin": {"N": "5"}}
    renamed = forms.evolved("users", {**USER, "name": {"S": "Cher"}}, [(there, USER)])
    assert (renamed["initials"], renamed["fullName"]) == ({"S": "C"}, {"S": "Cher"})
    assert (renamed["version"], renamed["preferences"]) == (there["version"], there["preferences"])


def test_what_was_made_of_a_name_is_back_with_it_unless_it_was_given_up() -> None:
    """Legacy renamed, the new application saw it, legacy takes the old name again."""
    custom = {"profile": {"M": {"pronouns": {"S": "they"}}}}
    first = forms.primary("users", USER) | custom
    cher = {**USER, "name": {"S": "Cher"}}
    seen = forms.evolved("users", cher, [(first, USER)])
    assert seen["profile"] == forms.primary("users", cher)["profile"]
    assert forms.evolved("users", USER, [(seen, cher), (first, USER)])["profile"] == custom["profile"]
    given_up = forms.primary("users", USER)
    assert forms.evolved("users", USER, [(given_up, USER), (first, USER)]) == given_up


def test_equality_is_dynamodbs() -> None:
    assert forms.equal({"N": "1.50"}, {"N": "1.5"})
    assert forms.equal({"SS": ["a", "b"]}, {"SS": ["b", "a"]})
    assert not forms.equal({"L": [{"N": "1"}]}, {"L": [{"S": "1"}]})
    assert not forms.equal(
        {"N": "12345678901234567890123456789012345678"}, {"N": "12345678901234567000000000000000000000"}
    )
    assert not forms.equal({"NULL": True}, None)
