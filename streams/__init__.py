"""The log: topics, records, the compactor, shards and the SQL over them.

In: chunks of transitions. Out: announced Parquet shards, and everything that reads them.
Invariant: a row up to the committed offsets is in exactly one announced shard.
"""
