"""One word per thing (docs/GLOSSARY.md), and no word about the machines this is made on."""

import re
import tokenize
from pathlib import Path

from tests.tidy.sources import FILES, PYTHON, each, told

FORBIDDEN = {
    r"(?:.*_)?src(?:_.*)?": "source",
    r"(?:.*_)?(?:dst|destination|dest_table)(?:_.*)?": "target",
    r"(?:.*_)?old_(?:table|schema|side|system|database|db)s?(?:_.*)?": "source",
    r"(?:.*_)?new_(?:table|schema|side|system|database|db)s?(?:_.*)?": "target",
    r"(?:.*_)?(?:blacklist|whitelist|master|slave)(?:_.*)?": "what it does",
}
"""Pattern of an identifier → the word that is ours."""

ELSEWHERE = re.compile(r"(?<![\w.])/(?:work|root)/|pypi[.]org|python[h]osted|npm[j]s|deb[.]debian")
"""Paths of one machine, and hosts of package registries: each machine chooses its own."""


@each(PYTHON)
def test_identifiers_use_the_words_of_the_glossary(path: Path) -> None:
    with path.open("rb") as file:
        names = [(token.start[0], token.string) for token in tokenize.tokenize(file.readline) if token.type == 1]
    breaches = [
        (line, f"{name}: say {ours}")
        for line, name in names
        for pattern, ours in FORBIDDEN.items()
        if re.fullmatch(pattern, name.lower())
    ]
    assert not breaches, told(path, breaches)


@each(FILES)
def test_no_machine_or_registry_is_named(path: Path) -> None:
    lines = path.read_text(encoding="utf-8", errors="ignore").splitlines()
    breaches = [(number, line.strip()[:80]) for number, line in enumerate(lines, 1) if ELSEWHERE.search(line)]
    assert not breaches, told(path, breaches)
