"""Python functions in the place of rules: ``python: module:function`` (tyler-setup rule 6).

A module that stands beside the plan file is taken before an installed one, so a plan and its functions travel together.
A failing import is an error of the plan, never a reason to copy instead. The module's source text goes into the plan's
hash. A function gets the legacy item (a copy of its top level) and returns an attribute value or None; it must be pure.
"""

import importlib
import importlib.util
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from domain.errors import DataError
from domain.items import AttributeValue, Item

_TYPES = frozenset({"S", "N", "B", "BOOL", "NULL", "L", "M", "SS", "NS", "BS"})
_EXPECTED = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError)


class FunctionMissing(ValueError):
    """``module:function`` does not lead to a function."""


@dataclass(frozen=True, slots=True)
class PlanFunction:
    """A function of the plan's author with the text of its module."""

    path: str
    function: Callable[..., Any]
    source_text: str

    def __call__(self, *arguments: object) -> AttributeValue | None:
        """Call it. Raises DataError when it fails or returns something that is no attribute value."""
        try:
            made = self.function(*arguments)
        except _EXPECTED as error:
            raise DataError(f"{self.path} failed: {type(error).__name__}", hint="mend the function") from error
        if made is None:
            return None
        if isinstance(made, dict) and len(made) == 1 and next(iter(made)) in _TYPES:
            return dict(made)
        hint = 'return {"S": …}, another attribute value, or None'
        raise DataError(f"{self.path} returned a {type(made).__name__} that is no attribute value", hint=hint)

    def of_image(self, image: Item) -> AttributeValue | None:
        """Call it with a copy of the item, so that it cannot change what others read."""
        return self(dict(image))


def load_function(path: str, folder: Path) -> PlanFunction:
    """Find ``module:function``; raises FunctionMissing saying what is not there."""
    module_name, _, name = path.partition(":")
    if not name.isidentifier() or not all(part.isidentifier() for part in module_name.split(".")):
        raise FunctionMissing(f"{path!r} is not of the form module:function")
    module = _module(module_name, folder)
    function = getattr(module, name, None)
    if not callable(function):
        raise FunctionMissing(f"module {module_name!r} has no function {name!r}")
    try:
        return PlanFunction(path, function, inspect.getsource(module))
    except (OSError, TypeError) as error:
        raise FunctionMissing(f"the source text of module {module_name!r} cannot be read") from error


def _module(name: str, folder: Path) -> ModuleType:
    beside = folder / f"{name}.py"
    try:
        if not beside.is_file():
            return importlib.import_module(name)
        specification = importlib.util.spec_from_file_location(name, beside)
        if specification is None or specification.loader is None:
            raise FunctionMissing(f"{beside} cannot be loaded")
        module = importlib.util.module_from_spec(specification)
        specification.loader.exec_module(module)
    except (ImportError, OSError, SyntaxError, *_EXPECTED) as error:
        raise FunctionMissing(f"module {name!r} cannot be imported: {error}") from error
    return module
