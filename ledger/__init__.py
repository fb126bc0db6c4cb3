"""The only durable memory: who leads, which phase, how far, what was found, what is owed. One DynamoDB table.

`rows` is the mechanism (typed rows, compare-and-set, fencing); every other module is one kind of row. Engines meet
here and nowhere else (protocol §6; layout: rooms). `book` opens the whole of it.
"""
