"""CloudFormation templates, read only as far as the properties of one resource. Pure.

Source: AWS, "Template anatomy". The short forms of functions (``!Ref`` …) become strings: what is compared here is
whether a property stands, and a few literal values.
"""

from collections.abc import Mapping
from typing import Any

import yaml


class _Loader(yaml.SafeLoader):
    """The safe loader, and no function of CloudFormation stops it."""


def _function(loader: yaml.Loader, suffix: str, node: yaml.Node) -> str:
    del loader, node
    return f"!{suffix}"


_Loader.add_multi_constructor("!", _function)


def properties_of(body: str | Mapping[str, Any], logical_id: str) -> dict[str, Any]:
    """Return the properties of a resource; none when the template does not say it, or cannot be read."""
    try:
        template = yaml.load(body, Loader=_Loader) if isinstance(body, str) else body  # noqa: S506 - it is the safe one
        properties = template["Resources"][logical_id].get("Properties", {})
    except (yaml.YAMLError, KeyError, TypeError, AttributeError):
        return {}
    return dict(properties) if isinstance(properties, Mapping) else {}
