"""What this project does not do: mock, sleep, catch everything, leave a name unexplained or use it twice."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from tests.tidy.sources import PYTHON, ROOT, SOURCE, Breach, each, imports, parse, told

MAY_CATCH_ANYTHING = {"service/supervisor.py"}
MAY_OCCUR_TWICE = {"__init__", "__main__", "runner"}
DEFINITIONS = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


@each(PYTHON)
def test_nothing_is_mocked(path: Path) -> None:
    """There is an in-memory twin and a real database instead."""
    breaches = [
        (line, f"imports {name}") for line, name in imports(path) if f"{name}.".startswith(("mock.", "unittest.mock."))
    ]
    assert not breaches, told(path, breaches)


@each(PYTHON)
def test_nothing_sleeps(path: Path) -> None:
    """Wait for a condition with a deadline, or on the clock that tests own."""
    breaches = [(line, "imports time.sleep") for line, name in imports(path) if name == "time.sleep"]
    breaches += [
        (node.lineno, "calls time.sleep")
        for node in ast.walk(parse(path))
        if isinstance(node, ast.Attribute) and ast.unparse(node) == "time.sleep"
    ]
    assert not breaches, told(path, breaches)


@each([path for path in PYTHON if path.relative_to(ROOT).as_posix() not in MAY_CATCH_ANYTHING])
def test_only_the_supervisor_catches_everything(path: Path) -> None:
    breaches = [
        (node.lineno, "catches everything: name the errors")
        for node in ast.walk(parse(path))
        if isinstance(node, ast.ExceptHandler) and _is_broad(node.type)
    ]
    assert not breaches, told(path, breaches)


@each(SOURCE)
def test_what_is_public_is_explained(path: Path) -> None:
    breaches = list(_unexplained(parse(path)))
    assert not breaches, told(path, breaches)


def test_a_module_name_is_an_address() -> None:
    """`gates` can only be cutover/gates.py."""
    places = defaultdict(list)
    for path in SOURCE:
        places[path.stem].append(str(path.relative_to(ROOT)))
    shared = {stem: paths for stem, paths in places.items() if len(paths) > 1 and stem not in MAY_OCCUR_TWICE}
    assert not shared


def _is_broad(caught: ast.expr | None) -> bool:
    if isinstance(caught, ast.Tuple):
        return any(_is_broad(each_type) for each_type in caught.elts)
    return caught is None or (isinstance(caught, ast.Name) and caught.id in {"Exception", "BaseException"})


def _unexplained(module: ast.Module) -> Iterator[Breach]:
    if not ast.get_docstring(module):
        yield 1, "the module has no docstring"
    for node in module.body:
        if not isinstance(node, DEFINITIONS) or node.name.startswith("_"):
            continue
        if not ast.get_docstring(node):
            yield node.lineno, f"{node.name} has no docstring"
