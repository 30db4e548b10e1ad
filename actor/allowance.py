"""How far an actor may run ahead of the learner. Pure.

In: the limiter's figures in WeightsPublished. Out: whether the next batch may be played.
Invariant: over all actors, transitions made <= allowed_rows + one batch an actor + what was lost in crashes, or was on
its way to the learner when an actor took its part anew.

An actor that starts late or again does not know what it made before: it takes its part of what is allowed and not yet
inserted, which may be too much by what is on its way, but never too little, so that nobody waits for ever. For the
same reason an actor that is held while nothing is announced may `retake` its part: another's may be lost.
"""

from __future__ import annotations

from streams.records import WeightsPublished


class Allowance:
    """One actor's part of its run's allowance, in transitions."""

    def __init__(self, *, actors: int) -> None:
        if actors < 1:
            raise ValueError(f"actors is {actors}: it must be at least 1")
        self._actors = actors
        self._allowed = 0
        self._ahead = 0
        self._spent = 0  # since the newest announcement
        self._known = False
        self.left = 0.0

    def grant(self, announced: WeightsPublished) -> None:
        """Takes the newest announcement into account; older ones change nothing."""
        if not self._known:
            self._known = True
            self.left = max(announced.allowed_rows - announced.inserted_rows, 0) / self._actors
        else:
            self.left += max(announced.allowed_rows - self._allowed, 0) / self._actors
        self._allowed = max(self._allowed, announced.allowed_rows)
        self._ahead = max(announced.allowed_rows - announced.inserted_rows, 0)
        self._spent = 0

    def retake(self) -> None:
        """Takes the part of what was allowed and not inserted at the newest announcement, less what was spent since."""
        self.left = max(self.left, self._ahead / self._actors - self._spent)

    def spend(self, transitions: int) -> None:
        """Counts transitions that are about to be made."""
        self.left -= transitions
        self._spent += transitions

    @property
    def open(self) -> bool:
        """Whether the next batch may be played."""
        return self.left > 0
