"""Errors of the actor package."""

from __future__ import annotations

from cartridge.errors import CartridgeError


class ActorError(CartridgeError):
    """Base of the errors of this package."""


class BadCheckpoint(ActorError):
    """A checkpoint's network cannot be played by this actor; the weights in use stay."""
