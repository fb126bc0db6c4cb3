"""Whether two target key templates could ever make the same text; asked on load of every pair of entities.

A template is read as a small automaton: a constant is a run of single characters, a part is one or more characters
of a set (never the one that ends it). Two templates overlap when both automata accept some text. Exact for sealed
templates, hence no plan is refused that could be read back (protocol §2: a target key belongs to one source item).
"""

from typing import NamedTuple

from mapping.templates import Part, Template


class _Characters(NamedTuple):
    """A set of characters, given by those in it or (``inverted``) by those not in it; ``repeats``: one or more."""

    listed: frozenset[str]
    inverted: bool = False
    repeats: bool = False

    def meets(self, other: "_Characters") -> bool:
        """Tell whether both sets share a character."""
        if self.inverted and other.inverted:
            return True
        if self.inverted:
            return bool(other.listed - self.listed)
        if other.inverted:
            return bool(self.listed - other.listed)
        return bool(self.listed & other.listed)


def overlap(first: tuple[Template, ...], second: tuple[Template, ...]) -> bool:
    """Tell whether two keys, given as templates of their parts, could be the same key."""
    return all(_share_text(_automaton(one), _automaton(two)) for one, two in zip(first, second, strict=True))


def _automaton(template: Template) -> list[_Characters]:
    steps: list[_Characters] = []
    for piece in template.pieces:
        if isinstance(piece, Part):
            steps.append(_part(piece))
        else:
            steps.extend(_Characters(frozenset(character)) for character in piece)
    return steps


def _part(part: Part) -> _Characters:
    if part.sealed:
        return _Characters(frozenset(part.sealed[1]), inverted=True, repeats=True)
    return _Characters(frozenset(), inverted=True, repeats=True)


def _share_text(one: list[_Characters], two: list[_Characters]) -> bool:
    """Walk both automata over the same characters; a state is (steps taken of one, steps taken of two)."""
    pending, seen = [(0, 0)], {(0, 0)}
    while pending:
        at = pending.pop()
        if at == (len(one), len(two)):
            return True
        for state in _moves(at, one, two):
            if state not in seen:
                seen.add(state)
                pending.append(state)
    return False


def _moves(at: tuple[int, int], one: list[_Characters], two: list[_Characters]) -> list[tuple[int, int]]:
    """Return the states one shared character further on: each side takes its next step or repeats its last."""
    return [
        (after_one, after_two)
        for after_one, characters in _choices(at[0], one)
        for after_two, others in _choices(at[1], two)
        if characters.meets(others)
    ]


def _choices(at: int, steps: list[_Characters]) -> list[tuple[int, _Characters]]:
    choices = [(at + 1, steps[at])] if at < len(steps) else []
    if at and steps[at - 1].repeats:
        choices.append((at, steps[at - 1]))
    return choices
