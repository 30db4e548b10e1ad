"""Games: pure rules as numba kernels over batches. See `games.contract`, and `games.registry` for names."""
