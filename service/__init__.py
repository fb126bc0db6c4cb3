"""Wiring, command line, service, metrics: the only room that knows all the others. Start at `worker`, or at `cli`."""
