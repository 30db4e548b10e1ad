"""Learns from sealed shards, and publishes weights.

In: cartridge.runs, cartridge.shards. Out: checkpoints, cartridge.weights.
Invariant: what is not in the last checkpoint is in the shards.
"""
