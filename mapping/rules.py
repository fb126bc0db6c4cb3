"""Rules: how one value of a target item is made of the legacy item, and how a changed one finds its way back.

A rule is compiled to a plain function; None means "no value here". An `Inverse` says which legacy attribute a derived
one brings up to date (tyler-setup rule 4). Compiling raises RuleError; `mapping.compiling` turns it into a Problem.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from domain.items import AttributeValue, Item
from mapping.converters import CONVERTERS
from mapping.functions import FunctionMissing, PlanFunction, load_function
from mapping.planfile import InverseFile, RuleFile
from mapping.sizes import is_number
from mapping.templates import TemplateError, open_template

Make: TypeAlias = Callable[[Item], AttributeValue | None]
Back: TypeAlias = Callable[[AttributeValue, Item], AttributeValue | None]

_FORMS = ("template", "number", "copy", "convert", "choose", "map", "python")


class RuleError(ValueError):
    """A rule cannot be understood; ``way_out`` says what to write."""

    def __init__(self, what: str, way_out: str) -> None:
        """Keep both sentences."""
        super().__init__(what)
        self.way_out = way_out


@dataclass(frozen=True, slots=True)
class Rule:
    """A compiled rule: ``make`` it, the ``reads`` it depends on, the ``type`` of what it makes (None: not known)."""

    make: Make
    reads: frozenset[str]
    type: str | None
    function: PlanFunction | None = None
    children: tuple["Rule", ...] = ()

    @property
    def functions(self) -> tuple[PlanFunction, ...]:
        """Return the Python functions in it."""
        own = (self.function,) if self.function else ()
        return own + tuple(each for child in self.children for each in child.functions)


@dataclass(frozen=True, slots=True)
class Inverse:
    """``back`` makes legacy ``attribute`` of the changed value (None: it cannot); ``removes`` it when absent."""

    attribute: str
    back: Back
    removes: bool
    function: PlanFunction | None = None


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What compiling a rule needs to know: types of the source's key, and the folder of the plan file."""

    types: Mapping[str, str]
    folder: Path


def compile_rule(file: RuleFile, around: Surroundings) -> Rule:
    """Compile a rule; raises RuleError."""
    given = [form for form in _FORMS if getattr(file, "copy_" if form == "copy" else form) is not None]
    if len(given) != 1:
        raise RuleError(f"a rule has exactly one form, this one has {len(given)}", f"choose one of {', '.join(_FORMS)}")
    try:
        return _COMPILERS[given[0]](file, around)
    except (TemplateError, FunctionMissing) as error:
        way_out = error.way_out if isinstance(error, TemplateError) else "correct the path; it is never copied instead"
        raise RuleError(str(error), way_out) from error


def compile_inverse(file: RuleFile, around: Surroundings) -> Inverse:
    """Compile the way back of a derived attribute; raises RuleError when its rule has none."""
    inverse = file.inverse
    if inverse is None:
        raise RuleError("no inverse is given", "add one")
    removes = inverse.absent == "remove"
    if inverse.python is not None:
        try:
            function = load_function(inverse.python, around.folder)
        except FunctionMissing as error:
            raise RuleError(str(error), "correct the path") from error
        return Inverse(inverse.attribute, lambda value, image: function(value, dict(image)), removes, function)
    if file.copy_ == inverse.attribute:
        return Inverse(inverse.attribute, _copied_back(file.type), removes)
    if file.choose == inverse.attribute:
        return Inverse(inverse.attribute, _chosen_back(file, inverse), removes)
    way_out = "copy or choose that very attribute, or add `python: module:function`"
    raise RuleError(f"this rule does not know its way back to {inverse.attribute!r}", way_out)


def _template(file: RuleFile, around: Surroundings) -> Rule:
    template = open_template(file.template or "", types=around.types)

    def make(image: Item) -> AttributeValue | None:
        written = template.render(image)
        return None if written is None else {"S": written}

    return Rule(make, template.attributes, "S")


def _number(file: RuleFile, around: Surroundings) -> Rule:
    del around
    if not is_number(file.number) or CONVERTERS["number"]({"N": file.number}) is None:
        raise RuleError(f"{file.number!r} is no number", "write up to 38 figures")
    constant = {"N": file.number}
    return Rule(lambda _: dict(constant), frozenset(), "N")


def _copy(file: RuleFile, around: Surroundings) -> Rule:
    name, kind = file.copy_ or "", file.type

    def make(image: Item) -> AttributeValue | None:
        value = image.get(name)
        return value if value is not None and (kind is None or kind in value) else None

    return Rule(make, frozenset({name}), kind or around.types.get(name))


def _convert(file: RuleFile, around: Surroundings) -> Rule:
    del around
    name, convert = file.convert or "", CONVERTERS.get(file.with_ or "")
    if convert is None:
        raise RuleError(f"there is no converter {file.with_!r}", f"`with` one of {', '.join(sorted(CONVERTERS))}")

    def make(image: Item) -> AttributeValue | None:
        written = convert(image[name]) if name in image else None
        return None if written is None else {"S": written}

    return Rule(make, frozenset({name}), "S")


def _choose(file: RuleFile, around: Surroundings) -> Rule:
    del around
    name, cases = file.choose or "", file.cases or {}
    if not cases:
        raise RuleError("a choice without cases", "add `cases: {value: word}`")
    words = {_case_key(_case_value(case)): word for case, word in cases.items()}

    def make(image: Item) -> AttributeValue | None:
        word = words.get(_case_key(image.get(name, {})), file.otherwise)
        return None if word is None else {"S": word}

    return Rule(make, frozenset({name}), "S")


def _map(file: RuleFile, around: Surroundings) -> Rule:
    rules = {name: compile_rule(each, around) for name, each in (file.map or {}).items()}

    def make(image: Item) -> AttributeValue | None:
        made = {name: rule.make(image) for name, rule in rules.items()}
        return {"M": {name: value for name, value in made.items() if value is not None}}

    reads = frozenset[str]().union(*(rule.reads for rule in rules.values()))
    return Rule(make, reads, "M", children=tuple(rules.values()))


def _python(file: RuleFile, around: Surroundings) -> Rule:
    function = load_function(file.python or "", around.folder)
    return Rule(function.of_image, frozenset(), file.type, function)


_COMPILERS: dict[str, Callable[[RuleFile, Surroundings], Rule]] = {
    "template": _template,
    "number": _number,
    "copy": _copy,
    "convert": _convert,
    "choose": _choose,
    "map": _map,
    "python": _python,
}


def _case_value(case: str | bool) -> AttributeValue:  # noqa: FBT001 - a case of the plan may be true or false
    return {"BOOL": case} if isinstance(case, bool) else {"S": case}


def _case_key(value: AttributeValue) -> tuple[str, object] | None:
    for kind in ("S", "BOOL"):
        if kind in value:
            return kind, value[kind]
    return None


def _copied_back(kind: str | None) -> Back:
    return lambda value, _: value if kind is None or kind in value else None


def _chosen_back(file: RuleFile, inverse: InverseFile) -> Back:
    words = list((file.cases or {}).values())
    cases = {word: _case_value(case) for case, word in (file.cases or {}).items() if words.count(word) == 1}
    otherwise = None if inverse.otherwise is None else _case_value(inverse.otherwise)

    def back(value: AttributeValue, image: Item) -> AttributeValue | None:
        del image
        return cases.get(value.get("S", ""), otherwise)

    return back
