"""The other AWS services: the account around the tables, asked (`account`, which writes nothing) and acted on.

Next: `aws.ports` for the nouns and the port of the questions; `aws.calls`, which everything here goes through;
`aws.topics` for notices.
"""
