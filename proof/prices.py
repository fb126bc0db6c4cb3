"""Prices as data, with their date: `prices.yaml` beside this, or a file of the operator's."""

from decimal import Decimal
from importlib.resources import files
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from domain.errors import FatalError

Price = Field(ge=0)


class Prices(BaseModel):
    """US dollars; ``as_of`` and ``region`` say what they hold for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    as_of: str
    region: str
    write_million_units: Decimal = Price
    read_million_units: Decimal = Price
    storage_gb_month: Decimal = Price
    recovery_gb_month: Decimal = Price


def read_prices(path: Path | None) -> Prices:
    """Read a price file (None: the one that ships with us). Raises FatalError, naming file and field."""
    try:
        written = files("proof").joinpath("prices.yaml").read_text() if path is None else path.read_text()
        return Prices.model_validate(yaml.safe_load(written))
    except (OSError, UnicodeError, yaml.YAMLError) as error:
        raise FatalError(f"prices cannot be read from {path}: {error}", hint="name a readable YAML file") from error
    except ValidationError as error:
        found = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise FatalError(f"{path}: {found}", hint="take proof/prices.yaml as a pattern") from error
