"""A mutant that nobody noticed: what it changed, and the mark under which docs/mutation.md may explain it.

The mark is made from the place, the line above and the changed lines, so that it outlives edits elsewhere and goes with
the line.
"""

import re
from dataclasses import dataclass
from hashlib import sha256

_MARK = re.compile(r"`#([0-9a-f]{6})`")
_LITERAL = re.compile(r"\"[^\"]*\"|'[^']*'")


@dataclass(frozen=True, slots=True)
class Survivor:
    """Where (module and function, and the line above), and which lines were there before and after."""

    where: str
    above: str
    was: str
    now: str

    @property
    def mark(self) -> str:
        """The name it has in docs/mutation.md."""
        return sha256(f"{self.where}\n{self.above}\n{self.was}\n{self.now}".encode()).hexdigest()[:6]

    @property
    def is_text(self) -> bool:
        """Whether all that changed is a sentence: a literal with a blank in it is read by people, by no program."""
        if _LITERAL.sub('""', self.was) != _LITERAL.sub('""', self.now):
            return False
        pairs = zip(_LITERAL.findall(self.was), _LITERAL.findall(self.now), strict=True)
        return all(was == now or " " in was for was, now in pairs)

    def __str__(self) -> str:
        return f"`#{self.mark}` {self.where}\n    was {self.was}\n    now {self.now}"


def survivor(told: str) -> Survivor:
    """Read what ``mutmut show`` tells: a line with the name, then a unified diff."""
    first, *lines = told.splitlines()
    name = first.removeprefix("# ").rpartition(": ")[0]
    module, _, function = name.rpartition("__mutmut_")[0].rpartition(".")
    function = function.removeprefix("xǁ").removeprefix("x_").replace("ǁ", ".")
    changes = next(count for count, line in enumerate(lines) if line[:1] == "-" and line[:3] != "---")
    above = lines[changes - 1].strip() if lines[changes - 1].startswith(" ") else ""
    changed = {
        sign: " ".join(line[1:].strip() for line in lines if line.startswith(sign) and line[:3] != sign * 3)
        for sign in "-+"
    }
    return Survivor(f"{module}.{function}", above, changed["-"], changed["+"])


def explained(page: str) -> set[str]:
    """Return the marks that a page explains."""
    return set(_MARK.findall(page))
