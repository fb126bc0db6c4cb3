"""Tables and streams on the wire: ports, AWS adapter, in-memory twin, error codes, DynamoDB Local.

`ports` is the contract both adapters keep; ``tests/contract`` runs one suite over them.
"""
