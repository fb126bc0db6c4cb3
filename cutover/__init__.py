"""Decide from evidence alone which phase the migration may enter, and carry it out (protocol §8, §9).

Read `runner` first. `gates` and `transitions` are pure; `sequence` is the one supervised order of steps of a cutover or
rollback, with exactly two outcomes.
"""
