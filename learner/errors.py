"""Errors of the learner package."""

from __future__ import annotations

from cartridge.errors import CartridgeError


class LearnerError(CartridgeError):
    """Base of the errors of this package."""


class BadShard(LearnerError):
    """A shard does not hold what its announcement says."""


class BadRun(LearnerError):
    """A run asks for what this learner cannot do; names the field and the value."""
