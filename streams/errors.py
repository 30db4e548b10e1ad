"""Errors of the streams package.

Invariant: each carries what its handler needs, and its message is one line for a person.
"""

from __future__ import annotations

from cartridge.errors import CartridgeError, UsageError


class StreamsError(CartridgeError):
    """Base of the errors of this package."""


class BadRecord(StreamsError):
    """The bytes of one message cannot be used; it belongs in cartridge.dead-letters."""


class BrokerUnavailable(UsageError):
    """No broker answers at the address."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(
            f"kafka {address} does not answer ({reason}): start it with `./just up`, or set CARTRIDGE_KAFKA"
        )
        self.address = address


class Fenced(StreamsError):
    """Another member of the group owns these partitions now: drop what is buffered and join again."""
