"""The plan and what it does: one YAML file, checked on load, that translates items there and back.

Start at `mapping.plan` (what the engines call), then `mapping.translation` (there) and `mapping.inversion` (back).
Everything here is pure: no clock, no I/O after loading, no randomness (protocol §1, tyler-setup rule 2).
"""
