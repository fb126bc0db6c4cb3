"""The other AWS services: what stands around the tables. Nothing here writes.

Next: `aws.ports` for the nouns and the port, `aws.account` for the account itself.
"""
