"""Plays games against the engine with the newest weights, and publishes every transition.

In: cartridge.runs, cartridge.weights, the engine's stream. Out: cartridge.transitions, cartridge.episodes.
Invariant: every step that the engine answered is published once.
"""
