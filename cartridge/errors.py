"""Errors that reach a person.

In: what went wrong. Out: one line on standard error and an exit code.
Invariant: the message is one line that names the field, the value and what to do next.
"""

from __future__ import annotations


class CartridgeError(Exception):
    """Base of every error that this project raises for people. Exit code 1."""

    exit_code = 1


class UsageError(CartridgeError):
    """Bad input or an impossible setting: nothing was changed. Exit code 2."""

    exit_code = 2
