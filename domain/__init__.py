"""The nouns every other package speaks: items, positions, stamps, changes, phases, errors. Standard library only."""
