"""Templates: constants and placeholders that make key texts of items, and read items' keys back out of them.

``USER#{id}`` · ``{action}#{timestamp|month}``. Two ways to write one:

- *open*, for indexes: every part stands as it is; nobody reads it back.
- *sealed*, for target keys, which must be read back (`Template.read`): in a part that is followed by a constant, ``%``
  and the first character of that constant are percent-encoded, so the first such character always ends the part. The
  last part of a template stands as it is. So ``ORDER#{customer}#{no}`` of customer ``a#1`` is ``ORDER#a%231#7`` and
  nobody else's, while ``USER#{id}`` never changes a character (tyler-setup, table; protocol §2 needs it unambiguous).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from domain.items import Item
from mapping.converters import BY_TYPE, CONVERTERS, Converter, plain_text
from mapping.sizes import HASH_KEY_BYTES

_PIECE = re.compile(r"\{([^{}|]+)(?:\|([^{}|]+))?\}|([^{}]+)")


_ENCODING = frozenset("%0123456789ABCDEF")


class TemplateError(ValueError):
    """A template cannot be understood; ``way_out`` says what to write instead."""

    def __init__(self, what: str, way_out: str) -> None:
        """Keep both sentences."""
        super().__init__(what)
        self.way_out = way_out


@dataclass(frozen=True, slots=True)
class Part:
    """A placeholder: which attribute, made text by what, and which characters are encoded when sealed."""

    attribute: str
    convert: Converter
    converter: str | None = None
    sealed: str = ""

    def text(self, image: Item) -> str | None:
        """Return this part's text; None when the item lacks it or has another type, NULL or ``""`` there."""
        value = image.get(self.attribute)
        written = None if value is None else self.convert(value)
        return _encode(written, self.sealed) if written and self.sealed else written or None


@dataclass(frozen=True, slots=True)
class Template:
    """Pieces in order (constants are str); ``pattern`` reads sealed text back, None for an open template."""

    written: str
    pieces: tuple[str | Part, ...]
    pattern: re.Pattern[str] | None = None
    parts: tuple[Part, ...] = field(init=False)
    """The placeholders in order."""

    def __post_init__(self) -> None:
        """Gather the parts once."""
        object.__setattr__(self, "parts", tuple(piece for piece in self.pieces if isinstance(piece, Part)))

    @property
    def attributes(self) -> frozenset[str]:
        """Return the names of the attributes that the text is made of."""
        return frozenset(part.attribute for part in self.parts)

    @property
    def prefix(self) -> str:
        """Return the constant that every text of this template starts with."""
        first = self.pieces[0]
        return first if isinstance(first, str) else ""

    def render(self, image: Item) -> str | None:
        """Return the text for an item; None when any part is lacking (tyler-setup rule 3)."""
        texts: list[str] = []
        for piece in self.pieces:
            written = piece if isinstance(piece, str) else piece.text(image)
            if written is None:
                return None
            texts.append(written)
        return "".join(texts)

    def read(self, written: str) -> list[tuple[Part, str]] | None:
        """Return each part with its decoded text; None when the text is not of this template."""
        match = self.pattern.fullmatch(written) if self.pattern else None
        if match is None:
            return None
        found: list[tuple[Part, str]] = []
        for part, raw in zip(self.parts, match.groups(), strict=True):
            plain = _decode(raw) if part.sealed else raw
            if plain is None or (part.sealed and _encode(plain, part.sealed) != raw):
                return None
            found.append((part, plain))
        return found


def open_template(written: str, *, types: Mapping[str, str]) -> Template:
    """Compile a template that nobody reads back; ``types`` are those of the source's key. Raises TemplateError."""
    return Template(written, tuple(_pieces(written, types)))


def sealed_template(written: str, *, types: Mapping[str, str]) -> Template:
    """Compile a template for a target key. Raises TemplateError, also for placeholders that touch each other."""
    pieces = _pieces(written, types)
    if sum(len(piece) for piece in pieces if isinstance(piece, str)) > HASH_KEY_BYTES:
        raise TemplateError(
            "a template whose constants are too long for any key", f"a key holds {HASH_KEY_BYTES} bytes"
        )
    sealed: list[str | Part] = []
    for position, piece in enumerate(pieces):
        following = pieces[position + 1] if position + 1 < len(pieces) else None
        if isinstance(piece, Part) and isinstance(following, Part):
            what = (
                f"in {written!r} {{{piece.attribute}}} touches {{{following.attribute}}}: nobody could part them again"
            )
            raise TemplateError(what, "put a constant such as '#' between them")
        if isinstance(piece, Part) and isinstance(following, str):
            _refuse_separator(written, following[0])
            piece = Part(piece.attribute, piece.convert, piece.converter, f"%{following[0]}")  # noqa: PLW2901
        sealed.append(piece)
    return Template(written, tuple(sealed), re.compile("".join(map(_expression, sealed)), re.DOTALL))


def _pieces(written: str, types: Mapping[str, str]) -> list[str | Part]:
    found: list[str | Part] = []
    position = 0
    while position < len(written):
        match = _PIECE.match(written, position)
        if match is None:
            raise TemplateError(
                f"{written!r} has a brace that opens or closes nothing", "write {attribute} or {attribute|converter}"
            )
        name, converter, constant = match.groups()
        found.append(constant or Part(name, _converter(converter, types.get(name)), converter))
        position = match.end()
    if not found:
        raise TemplateError("an empty template", "write a constant or {attribute}")
    return found


def _refuse_separator(written: str, character: str) -> None:
    if character in _ENCODING:
        what = f"in {written!r} a part is followed by {character!r}, which its own encoding may contain"
        raise TemplateError(what, "start the constant behind it with '#' or another sign")


def _converter(name: str | None, key_type: str | None) -> Converter:
    if name is None:
        return BY_TYPE[key_type] if key_type else plain_text
    if name not in CONVERTERS:
        raise TemplateError(f"there is no converter {name!r}", f"use one of {', '.join(sorted(CONVERTERS))}")
    return CONVERTERS[name]


def _expression(piece: str | Part) -> str:
    if isinstance(piece, str):
        return re.escape(piece)
    return f"([^{re.escape(piece.sealed[1])}]+)" if piece.sealed else "(.+)"


def _encode(written: str, marks: str) -> str:
    for mark in marks:  # the percent sign comes first
        written = written.replace(mark, "".join(f"%{byte:02X}" for byte in mark.encode()))
    return written


def _decode(written: str) -> str | None:
    if "%" not in written:
        return written
    raw = re.sub(rb"%([0-9A-F]{2})", lambda found: bytes.fromhex(found[1].decode()), written.encode())
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None
