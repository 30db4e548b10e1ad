"""The topics under a prefix, and the compactor's group with them.

In: a prefix. Out: `streams.topics` of this process with other names.
Invariant: a child process that renames with the same prefix has the same topics; another prefix shares nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from streams import compactor, topics

_NAMES = [name for name, value in vars(topics).items() if isinstance(value, topics.Topic)]


def rename(prefix: str) -> Callable[[], None]:
    """Puts `prefix` before every topic and the compactor's group. Returns what undoes it."""
    before = {name: getattr(topics, name) for name in [*_NAMES, "ALL"]}
    group = compactor.GROUP
    for name in _NAMES:
        setattr(topics, name, dataclasses.replace(before[name], name=f"{prefix}.{before[name].name}"))
    topics.ALL = tuple(getattr(topics, name) for name in _NAMES)
    compactor.GROUP = f"{prefix}.{group}"

    def undo() -> None:
        for name, value in before.items():
            setattr(topics, name, value)
        compactor.GROUP = group

    return undo


@contextmanager
def renamed(prefix: str) -> Iterator[None]:
    """`rename` for the time of the block."""
    undo = rename(prefix)
    try:
        yield
    finally:
        undo()
