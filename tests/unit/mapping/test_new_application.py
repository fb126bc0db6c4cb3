"""What the new application writes and a rollback brings home (tyler-setup rule 4), example by example."""

import pytest

from domain.items import AttributeValue, Item
from tests.strategies import TYLER

USER: Item = {
    "id": {"S": "u1"},
    "email": {"S": "ada@example.com"},
    "name": {"S": "Ada Lovelace"},
    "role": {"S": "user"},
    "isActive": {"BOOL": True},
    "createdAt": {"N": "1795438294703"},
    "passwordHash": {"S": "$argon2id$"},
}


def there(item: Item, source: str = "users") -> Item:
    translation = TYLER.translate(source, item)
    return translation.items[translation.primary]


def back(item: Item) -> Item:
    found = TYLER.untranslate(item)
    assert found is not None
    return found.item


def test_a_user_deactivated_there_cannot_log_in_after_a_rollback() -> None:
    item = {**there(USER), "status": {"S": "INACTIVE"}}
    assert back(item) == {**USER, "isActive": {"BOOL": False}}
    assert there(back(item)) == {**item, "isActive": {"BOOL": False}}


def test_any_word_but_active_locks_the_user_out_and_the_word_itself_survives() -> None:
    item = {**there(USER), "status": {"S": "SUSPENDED"}}
    home = back(item)
    assert home["isActive"] == {"BOOL": False}
    assert there(home) == {**item, "isActive": {"BOOL": False}}


def test_a_changed_full_name_is_the_name_at_home() -> None:
    assert back({**there(USER), "fullName": {"S": "Ada King"}})["name"] == {"S": "Ada King"}


def test_what_legacy_has_no_place_for_travels_in_one_map() -> None:
    item = {
        **there(USER),
        "version": {"N": "7"},
        "theme": {"S": "dark"},
        "GSI3PK": {"S": "TEAM#1"},
        "GSI3SK": {"S": "x"},
    }
    del item["initials"]
    home = back(item)
    assert {name: value for name, value in home.items() if name != "_target"} == USER
    assert home["_target"] == {
        "M": {
            "set": {
                "M": {"version": {"N": "7"}, "theme": {"S": "dark"}, "GSI3PK": {"S": "TEAM#1"}, "GSI3SK": {"S": "x"}}
            },
            "over": {"M": {"version": {"N": "1"}, "initials": {"S": "AL"}}},
            "removed": {"SS": ["initials"]},
        }
    }
    assert there(home) == item


def test_a_changed_carried_attribute_is_changed_at_home_and_what_the_rule_would_make_of_it_is_not_forced() -> None:
    item = {**there(USER), "role": {"S": "admin"}}
    home = back(item)
    assert home["role"] == {"S": "admin"}
    assert home["_target"]["M"]["set"]["M"].keys() == {"profile"}, "the application left its profile as it was"
    assert there(home) == item


def test_a_later_legacy_change_is_not_masked_by_a_stale_override() -> None:
    home = back({**there(USER), "initials": {"S": "XX"}, "version": {"N": "7"}})
    renamed = {**home, "name": {"S": "Grace Hopper"}}
    again = there(renamed)
    assert again["initials"] == {"S": "GH"}, "the override was made over AL"
    assert again["version"] == {"N": "7"}, "this one still applies"
    assert back(again) == renamed
    assert there({**home, "role": {"S": "admin"}})["initials"] == {"S": "XX"}, "unrelated changes leave it"


def test_what_it_knows_comes_back_however_often_both_sides_have_changed_what_is_derived() -> None:
    """Twice it made something of a profile, and twice legacy changed the name behind it: version and tags stay."""
    first = {**there(USER), "profile": {"M": {"pronouns": {"S": "they"}}}, "tags": {"SS": ["beta"]}}
    second = {
        **there({**back(first), "name": {"S": "Ada King"}}),
        "fullName": {"S": "Ada Byron"},
        "version": {"N": "2"},
    }
    home = back(second)
    assert there(home) == {**second, "name": {"S": "Ada Byron"}}
    third = {**home, "name": {"S": "Ada III"}}
    item = there(third)
    assert (item["version"], item["tags"]) == ({"N": "2"}, {"SS": ["beta"]})
    assert item["profile"]["M"]["displayName"] == {"S": "Ada III"}
    assert back(item) == third
    assert there({**third, "name": {"S": "Ada Byron"}}) == there(home), "and what was made of that name is back with it"


def test_a_new_attribute_yields_to_one_that_legacy_writes_later() -> None:
    home = back({**there(USER), "lastSeen": {"N": "5"}})
    assert there({**home, "lastSeen": {"N": "6"}})["lastSeen"] == {"N": "6"}
    assert there(home)["lastSeen"] == {"N": "5"}


def test_an_own_attribute_of_legacy_that_the_plan_does_not_list_stays_at_home() -> None:
    item = {**there({**USER, "nickname": {"S": "Countess"}}), "nickname": {"S": "Duchess"}, "theme": {"S": "dark"}}
    home = back(item)
    assert home["nickname"] == {"S": "Duchess"}
    assert "theme" not in home
    assert there(home) == item


def test_a_setting_that_the_new_application_adds_is_at_home_in_config() -> None:
    item = {**there({"key": {"S": "global"}}, "config"), "maxSeats": {"N": "9"}}
    assert back(item) == {"key": {"S": "global"}, "maxSeats": {"N": "9"}}


def test_a_value_that_an_index_of_legacy_would_refuse_travels_in_the_map() -> None:
    item = {**there(USER), "email": {"NULL": True}}
    home = back(item)
    assert "email" not in home
    assert home["_target"]["M"]["set"]["M"]["email"] == {"NULL": True}
    assert there(home)["email"] == {"NULL": True}


def test_a_legacy_item_older_than_an_index_comes_back_with_what_the_index_would_refuse() -> None:
    odd = {**USER, "email": {"NULL": True}}
    assert there(odd)["email"] == {"NULL": True}
    assert back(there(odd)) == odd


def test_ttl_follows_expire_at_in_all_its_changes() -> None:
    token: Item = {"token": {"S": "t"}, "ttl": {"N": "100"}}
    made = there(token, "refresh-tokens")
    assert back({**made, "expireAt": {"N": "200"}})["ttl"] == {"N": "200"}
    assert "ttl" not in back({name: value for name, value in made.items() if name != "expireAt"})
    fresh = {name: value for name, value in made.items() if name != "ttl"} | {"expireAt": {"N": "300"}}
    assert back(fresh)["ttl"] == {"N": "300"}


def test_an_item_that_the_new_application_put_itself_goes_home() -> None:
    fresh: Item = {
        "PK": {"S": "USER#n1"},
        "SK": {"S": "METADATA"},
        "email": {"S": "n@example.com"},
        "status": {"S": "ACTIVE"},
    }
    home = back(fresh)
    assert home["id"] == {"S": "n1"}
    assert home["email"] == {"S": "n@example.com"}
    assert home["isActive"] == {"BOOL": True}
    assert there(home) == {**fresh, "isActive": {"BOOL": True}}


TAKES_OVER: Item = {"set": {"M": {"role": {"S": "root"}}}, "over": {"M": {"role": {"S": "user"}}}}
ALL_STALE: Item = {"set": {"M": {"isActive": {"BOOL": False}, "role": {"S": "root"}}}}
LOOKALIKES: list[AttributeValue] = [
    {"S": "eu-west-1"},
    {"M": {}},
    {"M": TAKES_OVER},
    {"M": ALL_STALE},
    {"M": {"removed": {"SS": ["PK"]}}},
    {"M": {"set": {"M": {"GSI3PK": {"N": "5"}}}}},
]


@pytest.mark.parametrize("value", LOOKALIKES, ids=str)
def test_an_application_attribute_named_target_is_told_apart_by_the_way_back(value: AttributeValue) -> None:
    item = {**USER, "_target": value}
    made = there(item)
    assert made["role"] == {"S": "user"}
    assert made["isActive"] == {"BOOL": True}
    assert "GSI3PK" not in made
    assert back(made) == item


def test_a_stamp_is_ignored_and_never_goes_home() -> None:
    assert back({**there(USER), "_stamp": {"M": {"src": {"S": "users/u1"}}}}) == USER


def test_keys_of_nobody_and_of_second_items_go_nowhere() -> None:
    assert TYLER.untranslate({"PK": {"S": "TEAM#1"}, "SK": {"S": "METADATA"}}) is None
    assert TYLER.untranslate({"PK": {"S": "USER#u1"}, "SK": {"S": "AUDIT#1"}, "entityType": {"S": "USER"}}) is None
