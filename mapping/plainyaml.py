"""YAML without surprises: text, true, false, nothing, lists and maps, read in bounded time.

No floats, no dates, no octal numbers, no `yes`. Refused by line: a name given twice, a name that is no text, tags
(``!!int``), aliases (``*name``: nine lines of them can stand for a billion nodes) and deep nesting. Next:
`mapping.planfile` holds the content against its shape.
"""

import re
from pathlib import Path
from typing import Any, Final

import yaml

_MOST_BYTES: Final = 512 * 1024
_DEEPEST: Final = 40


class TooLarge(ValueError):
    """The file is larger than any plan."""


def _refused(what: str, mark: Any) -> yaml.MarkedYAMLError:  # noqa: ANN401 - a mark of either of PyYAML's readers
    return yaml.MarkedYAMLError(None, None, what, mark)


class _PlainLoader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, list[tuple[str, Any]]] = {}  # noqa: RUF012 - PyYAML's own way to say it
    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:  # noqa: ANN401 - PyYAML's signature
        """Compose a node; raises YAMLError with the line of what is not understood here."""
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent):
            raise _refused(f"*{event.anchor}: aliases are not understood, write it out", event.start_mark)
        if getattr(event, "tag", None) is not None:
            raise _refused(f"{event.tag}: tags are not understood, all is text", event.start_mark)
        if self._depth >= _DEEPEST:
            raise _refused(f"nested deeper than {_DEEPEST} levels", event.start_mark)
        self._depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - PyYAML's signature
        """Build a mapping; raises YAMLError with the line of a name that is given twice or is no text."""
        given: set[Any] = set()
        for key, _ in node.value:
            name = self.construct_object(key, deep=True)
            if not isinstance(name, str | bool):
                raise _refused("a name is text, true or false", key.start_mark)
            if name in given:
                raise _refused(f"{name!r} is given twice", key.start_mark)
            given.add(name)
        return super().construct_mapping(node, deep)


for _tag, _pattern, _first in (
    ("tag:yaml.org,2002:bool", r"^(?:true|false)$", "tf"),
    ("tag:yaml.org,2002:null", r"^(?:null|~|)$", ["n", "~", ""]),
):
    _PlainLoader.add_implicit_resolver(_tag, re.compile(_pattern), list(_first))


def read_plain(path: Path) -> Any:  # noqa: ANN401 - whatever the file holds
    """Read a file. Raises OSError, UnicodeError, TooLarge, or yaml.YAMLError with the line."""
    with path.open("rb") as file:
        content = file.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise TooLarge(f"it holds more than {_MOST_BYTES // 1024} KB")
    return yaml.load(content.decode(), Loader=_PlainLoader)  # noqa: S506 - a SafeLoader, stricter
