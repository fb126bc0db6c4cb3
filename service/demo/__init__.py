"""The demo: a whole migration on an embedded DynamoDB, under the traffic of both applications, checked independently.

Read `story` first: it tells the demo from beginning to end. `legacy_app` and `new_app` write, through `writing` and
under the `flag`; the `journal` holds every write that was acknowledged; the `checker` compares it with both sides, by
`expectations` that are written by hand and share no code with the mapping.
"""
