"""The other AWS services: the account around the tables, asked and acted on.

`account` asks, and writes nothing. What is changed at a switch are actuators, each with its way back: `environments` of
Lambda functions, `parameters` of Systems Manager, `policies` of tables (the hard fence), `alarms`. `backups` is about
the sources' copies; `topics` takes notices. All of it goes through `aws.calls`. Next: `aws.ports` for the nouns and the
port of the questions.
"""
