"""How fast it is here: ratios side by side in one run, never a timed test. `python -m bench`, or `make bench`."""
