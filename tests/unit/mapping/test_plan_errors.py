"""A plan that cannot be used says which file, which entity, which field, and what to do (tyler-setup rule 6)."""

from pathlib import Path
from typing import NamedTuple

import pytest

from domain.errors import FatalError
from mapping.plan import load_plan
from mapping.problems import PlanError
from tests.strategies import PLANS

TYLER = (PLANS / "tyler-setup.yaml").read_text(encoding="utf-8")
DESK = (PLANS / "order-desk.yaml").read_text(encoding="utf-8")
VARIABLES = {"SECRETS_PREFIX": "p", "DESK": "p"}


def load(folder: Path, text: str, variables: dict[str, str] | None = None) -> str:
    """Load a plan of that text; return the hash."""
    path = folder / "broken.yaml"
    path.write_text(text, encoding="utf-8")
    for module in PLANS.glob("*.py"):
        (folder / module.name).write_text(module.read_text(encoding="utf-8"), encoding="utf-8")
    return load_plan(path, variables=VARIABLES if variables is None else variables).hash


class Broken(NamedTuple):
    """A text of the plan, what it becomes, and what the error must say."""

    text: str
    given: str
    instead: str
    where: str
    what: str
    way_out: str


BROKEN = {
    "a key that is left out of comparisons": Broken(
        TYLER,
        "  users:\n",
        "  users:\n    uncompared: [id]\n",
        "sources.users.uncompared",
        "id is part of a key",
        "leave it out",
    ),
    "more local indexes than a table may have": Broken(
        TYLER,
        "    LSI1-Versions: {key: {PK: S, version: N}, local: true}\n",
        "".join(f"    L{number}: {{key: {{PK: S, l{number}: S}}, local: true}}\n" for number in range(6)),
        "target.indexes",
        "6 local indexes",
        "5 a table",
    ),
    "a query of a source that does not exist": Broken(
        TYLER,
        "user-by-id:\n    source: users",
        "user-by-id:\n    source: people",
        "queries.user-by-id.source",
        "'people'",
        "users",
    ),
    "a query of an index that the legacy table does not have": Broken(
        TYLER,
        "legacy: {index: email-index, key: email}",
        "legacy: {index: mail-index, key: email}",
        "queries.user-by-email.legacy.index",
        "'mail-index'",
        "email-index",
    ),
    "a query of an index that the target does not have": Broken(
        TYLER,
        'target: {index: GSI2, key: ["{email}", USER]}',
        'target: {index: GSI9, key: ["{email}", USER]}',
        "queries.user-by-email.target.index",
        "'GSI9'",
        "GSI1",
    ),
    "a query by an attribute that is no hash key": Broken(
        TYLER,
        "legacy: {index: userId-index, key: userId}",
        "legacy: {index: userId-index, key: expiresAt}",
        "queries.tokens-of-a-user.legacy.key",
        "expiresAt",
        "userId",
    ),
    "a query of an index without its key": Broken(
        TYLER,
        "legacy: {index: userId-index, key: userId}",
        "legacy: {index: userId-index}",
        "queries.tokens-of-a-user.legacy.key",
        "hash key",
        "userId",
    ),
    "a query by a number, which nobody asks for": Broken(
        TYLER,
        """order: expiresAt
  contractors-of-a-status:
    source: contractors
""",
        """order: expiresAt
  contractors-of-a-status:
    source: contractors
    legacy: {index: expiry-index, key: expiresAt}
""",
        "queries.contractors-of-a-status.legacy.key",
        "type N",
        "all is read",
    ),
    "a query by the beginning of a number": Broken(
        TYLER,
        'target: {key: ["USER#{id}", METADATA]}',
        'target: {index: LSI1-Versions, key: ["USER#{id}", "1"]}',
        "queries.user-by-id.target.key",
        "version of LSI1-Versions is of type N",
        "leave it out",
    ),
    "a query by a sort key that its index does not have": Broken(
        DESK,
        "companions: {}",
        """companions: {}
queries:
  by-mail: {source: customers, target: {index: tagged, key: ["{mail}", x]}}
""",
        "queries.by-mail.target.key",
        "tagged has no sort key",
        "hash key alone",
    ),
    "a query in the order of an attribute that items do not have": Broken(
        TYLER, "order: createdAt", "order: creatdAt", "queries.users-by-creation.order", "'creatdAt'", "createdAt"
    ),
    "a query with a converter that does not exist": Broken(
        TYLER,
        'target: {index: GSI4, key: "{timestamp|month}"}',
        'target: {index: GSI4, key: "{timestamp|moon}"}',
        "queries.audit-by-time",
        "moon",
        "use one of",
    ),
    "an attribute type that DynamoDB's keys do not have": Broken(
        TYLER, "key: {id: S}", "key: {id: STRING}", "sources.users.key.id", "'STRING'", "one of the values named"
    ),
    "a field that does not exist": Broken(
        TYLER,
        '    carry: all\n    key: ["USER#',
        '    cary: all\n    key: ["USER#',
        "entities.USER.cary",
        "Extra",
        "spelling",
    ),
    "a rule for carrying that is not all": Broken(
        TYLER,
        'carry: all\n    key: ["USER#',
        'carry: some\n    key: ["USER#',
        "entities.USER.carry",
        "'all'",
        "values named",
    ),
    "a converter that does not exist": Broken(
        TYLER,
        'GSI1: [USER, "{createdAt|iso8601}"]',
        'GSI1: [USER, "{createdAt|iso}"]',
        "entities.USER.indexes.GSI1",
        "no converter 'iso'",
        "iso8601",
    ),
    "a brace that is not closed": Broken(
        TYLER, '"{email}", USER', '"{email", USER', "entities.USER.indexes.GSI2", "brace", "{attribute"
    ),
    "an index that the target does not have": Broken(
        TYLER, "GSI1: [CONFIG,", "GSI9: [CONFIG,", "entities.CONFIG.indexes.GSI9", "no global index", "GSI1, GSI2"
    ),
    "half an index key": Broken(
        TYLER,
        'GSI1: [CONFIG, "{updatedAt|iso8601}"]',
        "GSI1: [CONFIG]",
        "entities.CONFIG.indexes.GSI1",
        "2 key attributes",
        "[hash, sort]",
    ),
    "a target key that lacks the source key": Broken(
        TYLER,
        'key: ["USER#{userId}", "AUDIT#{id}"]',
        'key: ["USER#{userId}", AUDIT]',
        "entities.AUDIT.beside.USER_AUDIT.key",
        "share a target key",
        "add {id}",
    ),
    "a converted source key, which may lose what tells items apart": Broken(
        TYLER,
        'key: ["USER#{userId}", "AUDIT#{id}"]',
        'key: ["USER#{userId}", "AUDIT#{id|lower}"]',
        "entities.AUDIT.beside.USER_AUDIT.key",
        "share a target key",
        "unconverted",
    ),
    "a primary key with a part that may change": Broken(
        DESK,
        'key: ["C#{customerId}", "O#{orderNo}"]',
        'key: ["C#{customerId}", "O#{status}#{orderNo}"]',
        "entities.order.key",
        "{status} is no plain part",
        "beside",
    ),
    "two entities that may make the same key": Broken(
        TYLER,
        'key: ["CONFIG#{key}"',
        'key: ["USER#{key}"',
        "entities.CONFIG.key",
        "same key as entities.USER",
        "constant",
    ),
    "placeholders that touch": Broken(
        DESK,
        '"{customerId}#{orderNo}"]\n        attributes',
        '"{customerId}{orderNo}"]\n        attributes',
        "entities.order.beside.order-by-status.key",
        "touches",
        "'#'",
    ),
    "a separator that encoded text may contain": Broken(
        DESK, 'key: ["L#{orderId}#{lineNo}"', 'key: ["L#{orderId}2{lineNo}"', "entities.order-line.key", "'2'", "'#'"
    ),
    "a key that marks could have": Broken(
        DESK,
        'key: ["C#{customerId}", PROFILE]',
        'key: ["{customerId}", PROFILE]',
        "entities.customer.key",
        "tableturn-mark",
        "constant",
    ),
    "a key of one part": Broken(
        TYLER, 'key: ["USER#{id}", METADATA]', 'key: "USER#{id}"', "entities.USER.key", "two parts", "[hash, sort]"
    ),
    "a source that does not exist": Broken(
        TYLER,
        "source: config",
        "source: settings",
        "entities.CONFIG.source",
        "no source 'settings'",
        "users, contractors",
    ),
    "a source that nobody takes": Broken(
        TYLER, "source: config", "source: settings", "sources.config", "no entity", "remove it"
    ),
    "a second entity of one source": Broken(
        TYLER, "source: config", "source: audit", "entities.CONFIG.source", "already become AUDIT", "beside"
    ),
    "a string in a number key": Broken(
        DESK,
        "{copy: totalCents, type: N}]",
        '"{totalCents|number}"]',
        "entities.order.indexes.by-total",
        "of type N",
        "copy",
    ),
    "a derived attribute that is an index key": Broken(
        TYLER, "initials: {convert", "GSI3PK: {convert", "entities.USER.derived.GSI3PK", "is a key", "indexes"
    ),
    "a rule of two forms": Broken(
        TYLER,
        "id: {copy: key}",
        "id: {copy: key, template: x}",
        "entities.CONFIG.derived.id",
        "exactly one form",
        "choose one",
    ),
    "an inverse that a rule does not know": Broken(
        TYLER,
        "initials: {convert: name, with: initials}",
        "initials: {convert: name, with: initials, inverse: {attribute: name}}",
        "entities.USER.derived.initials.inverse",
        "does not know its way back",
        "python",
    ),
    "two inverses of one attribute": Broken(
        TYLER,
        "id: {copy: key}",
        "id: {copy: theme, inverse: {attribute: theme}}\n      di: {copy: theme, inverse: {attribute: theme}}",
        "entities.CONFIG.derived.di.inverse",
        "another inverse",
        "leave one",
    ),
    "an inverse that would change a key": Broken(
        TYLER,
        "id: {copy: token}",
        "id: {copy: token, inverse: {attribute: token}}",
        "entities.REFRESH_TOKEN.derived.id.inverse",
        "key or reserved",
        "carried",
    ),
    "a Python module that is not there": Broken(
        DESK,
        "python: order_desk:priority",
        "python: nowhere:priority",
        "entities.order.derived.priority",
        "'nowhere'",
        "never copied instead",
    ),
    "a Python function that is not there": Broken(
        DESK,
        "python: order_desk:line_total",
        "python: order_desk:total",
        "entities.order-line.derived.lineTotal",
        "'total'",
        "correct",
    ),
    "a name given twice": Broken(
        TYLER, "  config:\n    table", "  audit:\n    table", "yaml", "'audit' is given twice", "line"
    ),
    "YAML that is none": Broken(TYLER, "plan: tyler-setup", "plan: [", "yaml", "expected", "line"),
    "an index with two types for one attribute": Broken(
        TYLER,
        "{userId: S, timestamp: N}",
        "{userId: S, timestamp: S}",
        "sources.audit.indexes.user-index.key",
        "timestamp is S",
        "one type",
    ),
    "a local index with another hash key": Broken(
        TYLER,
        "LSI1-Versions: {key: {PK: S",
        "LSI1-Versions: {key: {GSI1PK: S",
        "target.indexes.LSI1-Versions.key",
        "hash key",
        "PK",
    ),
    "a target without sort key": Broken(
        DESK, "  key: {pk: S, sk: S}", "  key: {pk: S}", "target.key", "hash and a sort key", "{PK: S, SK: S}"
    ),
    "a table that is source and target": Broken(
        TYLER, "{SECRETS_PREFIX}-entities", "{SECRETS_PREFIX}-users", "target.table", "same table", "own table"
    ),
    "a table name that AWS refuses": Broken(
        TYLER, "{SECRETS_PREFIX}-config", "{SECRETS_PREFIX}/config", "sources.config.table", "'p/config'", "letters"
    ),
    "a default without type": Broken(
        DESK,
        "schema: {template: v1}",
        'schema: {python: "order_desk:priority"}',
        "target.defaults.schema",
        "type",
        "give it",
    ),
    "a reserved name that _legacy uses itself": Broken(
        TYLER, "reserved: [profile]", "reserved: [_own]", "target", "_own", "another name"
    ),
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_plan_is_refused_by_name(tmp_path: Path, broken: Broken) -> None:
    assert broken.given in broken.text
    with pytest.raises(PlanError) as caught:
        load(tmp_path, broken.text.replace(broken.given, broken.instead, 1))
    said = str(caught.value)
    assert str(tmp_path / "broken.yaml") in said
    named = [problem for problem in caught.value.problems if problem.where == broken.where]
    assert named, said
    assert any(broken.what in problem.what and broken.way_out in problem.way_out for problem in named), said


def test_everything_wrong_is_said_at_once(tmp_path: Path) -> None:
    text = TYLER.replace("{action}#", "{action|up}#").replace("source: config", "source: settings")
    with pytest.raises(PlanError) as caught:
        load(tmp_path, text, {})
    wheres = {problem.where for problem in caught.value.problems}
    expected = {"entities.AUDIT.indexes.GSI2", "entities.CONFIG.source", "sources.users.table", "target.table"}
    assert expected <= wheres


def test_a_missing_variable_is_named(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="variable SECRETS_PREFIX is not set"):
        load(tmp_path, TYLER, {"OTHER": "x"})


def test_a_plan_error_is_fatal_and_names_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FatalError, match=r"none\.yaml"):
        load_plan(tmp_path / "none.yaml", variables={})


@pytest.mark.parametrize("content", ["", "[]", "text", "plan: x"])
def test_a_file_that_is_no_plan_is_refused(tmp_path: Path, content: str) -> None:
    with pytest.raises(PlanError):
        load(tmp_path, content)


def test_figures_in_a_plan_stay_the_text_they_are(tmp_path: Path) -> None:
    """YAML would make floats, octal numbers and dates of them."""
    path = tmp_path / "plan.yaml"
    path.write_text(DESK.replace("{template: v1}", "{number: 1.10}"), encoding="utf-8")
    (tmp_path / "order_desk.py").write_text((PLANS / "order_desk.py").read_text(encoding="utf-8"), encoding="utf-8")
    plan = load_plan(path, variables=VARIABLES)
    made = plan.translate("customers", {"customerId": {"S": "c"}})
    assert made.items[made.primary]["schema"] == {"N": "1.10"}


def test_the_hash_covers_content_table_names_and_python_functions_and_nothing_else(tmp_path: Path) -> None:
    first = load(tmp_path, DESK)
    assert load(tmp_path, DESK) == first
    assert load(tmp_path, "# a remark\n" + DESK) == first
    assert load(tmp_path, DESK.replace("{name|lower}", "{name}")) != first
    assert load(tmp_path, DESK, {"DESK": "q"}) != first
    module = tmp_path / "order_desk.py"
    module.write_text(module.read_text(encoding="utf-8").replace('"high"', '"urgent"'), encoding="utf-8")
    assert load_plan(tmp_path / "broken.yaml", variables=VARIABLES).hash != first
