"""From plan file to compiled plan; everything wrong on the way is collected, nothing is raised here.

Single rules and templates are judged where they are compiled; what takes the whole plan to see (overlapping keys,
sources without entity) is in `mapping.plancheck`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mapping.definitions import fixed_names, key_uses
from mapping.entities import Beside, Entity, Frame, Home, IndexEntry, KeyPair
from mapping.functions import PlanFunction
from mapping.planfile import BesideFile, EntityFile, Pair, PlanFile, RuleFile, SourceFile
from mapping.problems import Problem
from mapping.rules import Inverse, Rule, RuleError, Surroundings, compile_inverse, compile_rule
from mapping.templates import TemplateError, sealed_template


@dataclass(slots=True)
class Compiler:
    """Compiles one plan file; ``problems`` and ``functions`` grow on the way."""

    file: PlanFile
    folder: Path
    problems: list[Problem] = field(default_factory=list)
    functions: dict[str, PlanFunction] = field(default_factory=dict)

    def found(self, where: str, what: str, way_out: str) -> None:
        """Note a problem."""
        self.problems.append(Problem(where, what, way_out))

    def frame(self) -> Frame:
        """Return the compiled target."""
        target = self.file.target
        around = Surroundings({}, self.folder)
        names = list(target.key)
        if len(names) != 2 or set(target.key.values()) != {"S"}:  # noqa: PLR2004 - hash and sort key
            self.found("target.key", "the target needs a hash and a sort key, both of type S", "use {PK: S, SK: S}")
            names = (names * 2)[:2]
        defaults = {
            name: rule
            for name, each in target.defaults.items()
            if (rule := self.rule(f"target.defaults.{name}", each, around)) is not None
        }
        for name, rule in defaults.items():
            if rule.type is None:
                self.found(f"target.defaults.{name}", "its type is not known", "give it `type`")
        return Frame(names[0], names[1], key_uses(target), target.type_attribute, defaults)

    def home(self, name: str, file: SourceFile) -> Home:
        """Return a compiled legacy table."""
        declared = None if file.attributes is None else frozenset({*file.attributes, *file.key})
        return Home(name, file.key, key_uses(file), declared, frozenset(file.sensitive))

    def entity(self, name: str, file: EntityFile, home: Home) -> Entity | None:
        """Return a compiled entity; None when its key templates cannot be understood."""
        where, target = f"entities.{name}", self.file.target
        around = Surroundings(home.types, self.folder)
        reserved = frozenset({*fixed_names(target), *file.derived, *target.reserved}) - target.defaults.keys()
        rules = self._rules(f"{where}.derived", file.derived, around)
        inverses = {
            each: inverse
            for each, rule in file.derived.items()
            if (inverse := self._inverse(f"{where}.derived.{each}.inverse", rule, around)) is not None
        }
        beside = [self._beside(f"{where}.beside.{each}", each, one, around) for each, one in file.beside.items()]
        key = self._key(f"{where}.key", file.key, home.types)
        if key is None:
            return None
        indexes = self._indexes(f"{where}.indexes", file.indexes, around)
        return Entity(name, home, key, indexes, rules, inverses, reserved, tuple(each for each in beside if each))

    def rule(self, where: str, file: RuleFile, around: Surroundings) -> Rule | None:
        """Return a compiled rule, or None and a problem noted."""
        try:
            rule = compile_rule(file, around)
        except RuleError as error:
            self.found(where, str(error), error.way_out)
            return None
        self.functions.update((each.path, each) for each in rule.functions)
        return rule

    def _rules(self, where: str, files: Mapping[str, RuleFile], around: Surroundings) -> dict[str, Rule]:
        compiled = {name: self.rule(f"{where}.{name}", each, around) for name, each in files.items()}
        return {name: rule for name, rule in compiled.items() if rule is not None}

    def _inverse(self, where: str, file: RuleFile, around: Surroundings) -> Inverse | None:
        if file.inverse is None:
            return None
        try:
            inverse = compile_inverse(file, around)
        except RuleError as error:
            self.found(where, str(error), error.way_out)
            return None
        if inverse.function is not None:
            self.functions[inverse.function.path] = inverse.function
        return inverse

    def _beside(self, where: str, name: str, file: BesideFile, around: Surroundings) -> Beside | None:
        key = self._key(f"{where}.key", file.key, around.types)
        when = {each: None if words == "filled" else frozenset(words) for each, words in file.when.items()}
        rules = self._rules(f"{where}.attributes", file.attributes, around)
        indexes = self._indexes(f"{where}.indexes", file.indexes, around)
        reserved = frozenset({*fixed_names(self.file.target), *self.file.target.defaults, *file.attributes})
        return None if key is None else Beside(name, key, when, rules, indexes, file.carry == "all", reserved)

    def _key(self, where: str, written: list[str], types: Mapping[str, str]) -> KeyPair | None:
        if len(written) != 2:  # noqa: PLR2004 - hash and sort key
            self.found(where, f"a target key has two parts, here it has {len(written)}", "write [hash, sort]")
            return None
        try:
            first, second = (sealed_template(each, types=types) for each in written)
        except TemplateError as error:
            self.found(where, str(error), error.way_out)
            return None
        return KeyPair(first, second, types)

    def _indexes(
        self, where: str, files: Mapping[str, list[str | RuleFile]], around: Surroundings
    ) -> tuple[IndexEntry, ...]:
        entries = [self._index(f"{where}.{name}", name, pair, around) for name, pair in files.items()]
        return tuple(entry for entry in entries if entry is not None)

    def _index(self, where: str, name: str, pair: Pair, around: Surroundings) -> IndexEntry | None:
        index = self.file.target.indexes.get(name)
        if index is None or index.local:
            known = ", ".join(each for each, one in self.file.target.indexes.items() if not one.local)
            self.found(where, f"the target has no global index {name!r}", f"use one of {known}")
            return None
        if len(pair) != len(index.key):
            self.found(
                where, f"{name} has {len(index.key)} key attributes, here it has {len(pair)}", "write [hash, sort]"
            )
            return None
        files = [RuleFile(template=each) if isinstance(each, str) else each for each in pair]
        rules = [self.rule(where, each, around) for each in files]
        entry = IndexEntry(name, tuple(index.key), tuple(index.key.values()), tuple(rule for rule in rules if rule))
        for attribute, kind, rule in zip(entry.names, entry.types, entry.rules, strict=False):
            if rule.type is not None and rule.type != kind:
                what = f"{attribute} is of type {kind}, the rule makes {rule.type}"
                self.found(where, what, "use a template for S, `copy: … type: N` for N")
        return entry if len(entry.rules) == len(entry.names) else None
