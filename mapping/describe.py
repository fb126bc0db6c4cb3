"""The plan as a page: ``python -m mapping.describe plans/tyler-setup.yaml`` prints Markdown (tyler-setup rule 6).

The page is made of the same file that translates, so it cannot fall behind; a test holds docs/reference current.
"""

import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from mapping.plan import load_plan
from mapping.planfile import (
    BesideFile,
    EntityFile,
    IndexFile,
    PlanFile,
    RuleFile,
    SourceFile,
    TableFile,
    read_plan_file,
)
from mapping.problems import PlanError

_ARGUMENTS = 2


class _Unset(Mapping[str, str]):
    """Variables that stand for themselves: a page names ``{PREFIX}-users``, whatever the prefix will be."""

    def __getitem__(self, name: str) -> str:
        """Return the name itself."""
        return name

    def __iter__(self) -> Iterator[str]:
        """Nothing to go through."""
        return iter(())

    def __len__(self) -> int:
        """Return zero."""
        return 0


def describe(path: Path) -> str:
    """Return the page of a plan file; raises PlanError when the plan cannot be used."""
    load_plan(path, variables=_Unset())
    file = read_plan_file(path)
    made_by = f"<!-- Made by `python -m mapping.describe plans/{path.name}`; change the plan, not this page. -->"
    sections = [f"# Mapping of plan {file.plan}", made_by, *_sources(file), *_target(file), *_entities(file)]
    return "\n\n".join([*sections, *_beside(file), *_tables(file)]) + "\n"


def main(arguments: list[str]) -> int:
    """Print the page of the plan named; return the exit code."""
    if len(arguments) != _ARGUMENTS:
        sys.stderr.write("usage: python -m mapping.describe PLAN.yaml\n")
        return 2
    try:
        sys.stdout.write(describe(Path(arguments[1])))
    except PlanError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _sources(file: PlanFile) -> list[str]:
    rows = [
        [
            name,
            _code(each.table),
            _key(each.key),
            _indexes(each.indexes),
            each.ttl or "",
            _known(each),
            _list(each.sensitive),
            _list(each.uncompared),
        ]
        for name, each in file.sources.items()
    ]
    heads = ["source", "table", "key", "indexes", "TTL", "attributes known", "sensitive", "not compared"]
    return ["## Legacy side", _table(heads, rows)]


def _target(file: PlanFile) -> list[str]:
    target = file.target
    rows = [[name, _key(each.key), _projection(each)] for name, each in target.indexes.items()]
    stream = target.stream.value if target.stream else "off"
    facts = [
        f"Table {_code(target.table)}, key {_key(target.key)}, TTL on {target.ttl or 'nothing'}, stream {stream}.",
        f"Every item says in {_code(target.type_attribute)} what it is.",
        *(
            f"{_code(name)} is {_rule(each)} where the legacy item has none of that type."
            for name, each in target.defaults.items()
        ),
    ]
    return ["## Target side", "\n".join(facts), _table(["index", "key", "projection"], rows)]


def _entities(file: PlanFile) -> list[str]:
    names = [name for name, index in file.target.indexes.items() if not index.local]
    rows = [
        [
            name,
            each.source,
            _pair(each.key),
            *(_pair(each.indexes.get(index, [])) for index in names),
            _added(each),
            _back(each),
        ]
        for name, each in file.entities.items()
    ]
    heads = [
        "entity",
        "source",
        " / ".join(file.target.key),
        *names,
        "added on the way there",
        "inverse on the way back",
    ]
    return ["## Entities: the primary item of each legacy item", _table(heads, rows)]


def _beside(file: PlanFile) -> list[str]:
    found = [(entity, name, each) for entity, one in file.entities.items() for name, each in one.beside.items()]
    rows = [[name, entity, _when(each), _pair(each.key), _derived(each)] for entity, name, each in found]
    heads = ["item", "beside", "when", " / ".join(file.target.key), "attributes"]
    return ["## Derived items beside them; they never drive the way back", _table(heads, rows)] if rows else []


def _tables(file: PlanFile) -> list[str]:
    rows = [
        [name, _code(each.table), _key(each.key), _indexes(each.indexes), each.ttl or "", _stream(each)]
        for name, each in file.companions.items()
    ]
    return ["## Companion tables", _table(["name", "table", "key", "indexes", "TTL", "stream"], rows)] if rows else []


def _added(entity: EntityFile) -> str:
    return "<br>".join(f"{_code(name)}: {_rule(rule)}" for name, rule in entity.derived.items())


def _back(entity: EntityFile) -> str:
    lines = []
    for name, rule in entity.derived.items():
        if rule.inverse is not None:
            gone = ", removed when absent" if rule.inverse.absent == "remove" else ""
            lines.append(f"{_code(name)} changed → {_code(rule.inverse.attribute)}{gone}")
    return "<br>".join(lines)


def _derived(beside: BesideFile) -> str:
    carried = ["all carried"] if beside.carry == "all" else []
    return "<br>".join([*carried, *(f"{_code(name)}: {_rule(rule)}" for name, rule in beside.attributes.items())])


def _when(beside: BesideFile) -> str:
    return ", ".join(
        f"{_code(name)} {words if isinstance(words, str) else 'is ' + ' or '.join(words)}"
        for name, words in beside.when.items()
    )


def _rule(rule: RuleFile) -> str:
    typed = f" of type {rule.type}" if rule.type else ""
    if rule.template is not None:
        return _code(rule.template)
    if rule.number is not None:
        return f"number {rule.number}"
    if rule.copy_ is not None:
        return f"copy of {_code(rule.copy_)}{typed}"
    if rule.convert is not None:
        return f"{rule.with_} of {_code(rule.convert)}"
    if rule.map is not None:
        return "map of " + ", ".join(f"{_code(name)} ({_rule(each)})" for name, each in rule.map.items())
    if rule.choose is not None:
        cases = ", ".join(f"{_spelt(case)} → {word}" for case, word in (rule.cases or {}).items())
        otherwise = f", else {rule.otherwise}" if rule.otherwise else ""
        return f"by {_code(rule.choose)}: {cases}{otherwise}"
    return f"Python {_code(rule.python or '')}{typed}"


def _spelt(case: str | bool) -> str:  # noqa: FBT001 - a case of the plan may be true or false
    return str(case).lower() if isinstance(case, bool) else case


def _pair(pair: Iterable[str | RuleFile]) -> str:
    return " / ".join(_code(each) if isinstance(each, str) else _rule(each) for each in pair)


def _key(names: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {kind}" for name, kind in names.items())


def _indexes(indexes: Mapping[str, IndexFile]) -> str:
    return "<br>".join(f"{name} ({_key(each.key)})" for name, each in indexes.items())


def _projection(index: IndexFile) -> str:
    kind = "local, " if index.local else ""
    return kind + ("ALL" if index.include is None else f"INCLUDE {', '.join(index.include)}")


def _known(source: SourceFile) -> str:
    return "any" if source.attributes is None else ", ".join(source.attributes)


def _stream(table: TableFile) -> str:
    return table.stream.value if table.stream else ""


def _list(names: Iterable[str]) -> str:
    return ", ".join(names)


def _code(written: str) -> str:
    return "`" + written.replace("|", "\\|") + "`"


def _table(heads: list[str], rows: list[list[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv))
