"""How fast it is here: ratios side by side in one run, never a timed test. `python -m bench`, or `make bench`.

By the million, minutes long: `python -m bench.proving`, `python -m bench.comparing`.
"""
