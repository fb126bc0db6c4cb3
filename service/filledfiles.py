"""YAML files of the operator, read against a model, with ``{UPPER_CASE}`` environment variables filled in.

Every problem is told with the file and the place in it; what a variable holds is shown nowhere.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import yaml
from pydantic import BaseModel, BeforeValidator, Field, ValidationError

from domain.errors import FatalError
from mapping.plainyaml import TooLarge, read_plain

_VARIABLE: Final = re.compile(r"\{([A-Z][A-Z0-9_]*)\}")


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


Names = Annotated[list[str], BeforeValidator(_listed), Field(min_length=1)]
"""One text or a list of them."""

Model = TypeVar("Model", bound=BaseModel)


def read_filled(path: Path, what: str, model: type[Model], variables: Mapping[str, str], *, hint: str) -> Model:
    """Read a file; ``what`` it is stands in every message. Raises FatalError naming everything that is wrong in it."""
    missing: set[str] = set()
    try:
        content = _filled(read_plain(path), variables, missing)
    except (OSError, UnicodeError, TooLarge) as error:
        raise FatalError(f"{what} {path} cannot be read: {error}", hint="name a readable UTF-8 file") from error
    except yaml.YAMLError as error:
        raise FatalError(f"{what} {path} is no YAML: {' '.join(str(error).split())}", hint=hint) from error
    if missing:
        message = f"{what} {path} names variables that are not set: {', '.join(sorted(missing))}"
        raise FatalError(message, hint="set these environment variables")
    try:
        return model.model_validate(content)
    except ValidationError as error:
        wrong = [f"  {'.'.join(str(part) for part in each['loc']) or 'file'}: {each['msg']}" for each in error.errors()]
        raise FatalError("\n".join([f"{what} {path} cannot be used:", *wrong]), hint=hint) from None


def _filled(value: Any, variables: Mapping[str, str], missing: set[str]) -> Any:  # noqa: ANN401 - plain YAML
    """Return the content with variables in their places; those that are not set are noted."""
    if isinstance(value, dict):
        return {name: _filled(each, variables, missing) for name, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, variables, missing) for each in value]
    if not isinstance(value, str):
        return value
    missing |= {name for name in _VARIABLE.findall(value) if not variables.get(name)}
    return _VARIABLE.sub(lambda found: variables.get(found[1], ""), value)
