"""The only door to either side: every write is conditional, so that newer always wins (protocol §2).

`door` puts stamped items into the target; `returns` writes legacy items together with their version in the ledger;
`refusals` classes what a refused put met; `stamping` makes what is put.
"""
