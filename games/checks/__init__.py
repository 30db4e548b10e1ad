"""The parts of `games.conformance`: each module holds one kind of claim against what a game does."""
