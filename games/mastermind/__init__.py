"""Mastermind: state layout, kernels, text, and the adapter to the game contract."""
