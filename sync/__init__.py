"""Follow the shards in lineage order and apply every change, forward or reverse (protocol §5, §9).

Read `runner` first: it discovers shards and starts one `followers.ShardFollower` for each. `lineage` and `fold` are
pure; `forward` and `reverse` say what a record means on either side; `purging` removes tombstones.
"""
