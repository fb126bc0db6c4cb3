"""A file fits in a head, a function on a screen, and nesting stays shallow."""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.tidy.sources import FILES, PYTHON, Breach, each, parse, told

FILE_LINES = 450
BODY_LINES = 50
NESTING = 3

WRITTEN = [path for path in FILES if path.suffix in {".css", ".html", ".js", ".py", ".sh", ".ts"}]
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
SCOPES = (*FUNCTIONS, ast.ClassDef, ast.Lambda)
BLOCKS = (
    ast.If,
    ast.For,
    ast.AsyncFor,
    ast.While,
    ast.With,
    ast.AsyncWith,
    ast.Try,
    ast.TryStar,
    ast.Match,
)


@each(WRITTEN)
def test_no_file_is_long(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= FILE_LINES, told(path, [(FILE_LINES, f"{lines} lines, at most {FILE_LINES}")])


@each(PYTHON)
def test_no_function_body_is_long(path: Path) -> None:
    breaches = [
        (function.lineno, f"{function.name} has {lines} lines, at most {BODY_LINES}")
        for function in _functions(path)
        if (lines := _body_lines(function)) > BODY_LINES
    ]
    assert not breaches, told(path, breaches)


@each(PYTHON)
def test_no_function_nests_deeply(path: Path) -> None:
    breaches = [breach for function in _functions(path) for breach in _too_deep(function)]
    assert not breaches, told(path, breaches)


def test_nesting_is_counted_as_readers_count_it() -> None:
    """An elif is no deeper than its if; a function inside a function starts anew."""
    chain = "def f():\n if a:\n  pass\n elif b:\n  pass\n elif c:\n  for x in y:\n   with z:\n    pass\n"
    assert not list(_too_deep(ast.parse(chain).body[0]))
    assert list(_too_deep(ast.parse(chain.replace("    pass", "    if d: pass")).body[0]))
    inner = "def f():\n if a:\n  if b:\n   if c:\n    def g():\n     if d: pass\n"
    assert not list(_too_deep(ast.parse(inner).body[0]))


def _functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(parse(path)) if isinstance(node, FUNCTIONS))


def _body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines without signature and docstring: those are never too long."""
    body = function.body[ast.get_docstring(function) is not None :]
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def _too_deep(node: ast.AST, depth: int = 0) -> Iterator[Breach]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, SCOPES):
            continue
        is_elif = isinstance(node, ast.If) and isinstance(child, ast.If) and node.orelse == [child]
        inner = depth + (isinstance(child, BLOCKS) and not is_elif)
        if inner > NESTING and isinstance(child, BLOCKS):
            yield child.lineno, f"nested {inner} deep, at most {NESTING}"
        yield from _too_deep(child, inner)
