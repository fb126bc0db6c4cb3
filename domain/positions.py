"""Where a change stands in its source's history, and the version string made of it (protocol §1)."""

import re
from dataclasses import dataclass
from typing import Self

_SEQUENCE_DIGITS = 40
_FORMAT = re.compile(r"([0-9]{6})\.([0-9]{40})\.([0-9]{4})")  # \d would take figures of any script


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """``{epoch:06}.{sequence:0>40}.{repair:04}``: compared as a string, newest last.

    ``epoch`` counts stream ARNs of one source, ``sequence`` is the Streams sequence number (0: the copy),
    ``repair`` counts repairs of that very image. One item's sequence numbers only grow within one stream ARN.
    """

    epoch: int
    sequence: int = 0
    repair: int = 0

    def __str__(self) -> str:
        """Return the text that conditions compare."""
        return f"{self.epoch:06}.{self.sequence:0>{_SEQUENCE_DIGITS}}.{self.repair:04}"

    @classmethod
    def parse(cls, written: str) -> Self:
        """Read the text back; raises ValueError when it is not exactly of that form."""
        match = _FORMAT.fullmatch(written)
        if match is None:
            message = f"not a version: {written!r}"
            raise ValueError(message)
        return cls(*(int(part) for part in match.groups()))

    def repaired(self) -> "Version":
        """Return the version a repair of this image is written with (protocol §7)."""
        return Version(self.epoch, self.sequence, self.repair + 1)
