"""Samples per insert, kept as asked. Pure.

In: how many transitions were inserted and sampled. Out: whether to sample, and how many may be inserted.
Invariant, with r samples per insert, m rows before the first sample and an error bound e, in samples:

    -e <= r * (inserted - m) - sampled <= e        once inserted >= m, whenever both sides obey

Sampling keeps the left side, and the allowance that actors are given keeps the right.
Source: the SampleToInsertRatio limiter of Reverb (Cassirer et al., 2021, section 3.3).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Limiter:
    """Counts both sides."""

    samples_per_insert: float
    min_rows: int
    ahead: int  # the error bound e, in samples
    inserted: int = 0
    sampled: int = 0

    def __post_init__(self) -> None:
        for name in ("samples_per_insert", "min_rows", "ahead"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} is {getattr(self, name)}: it must be above 0")

    def may_sample(self, rows: int) -> bool:
        """Whether `rows` transitions may be sampled now."""
        if self.inserted < self.min_rows:
            return False
        return self.sampled + rows <= self.samples_per_insert * (self.inserted - self.min_rows) + self.ahead

    @property
    def allowed_rows(self) -> int:
        """How many transitions may have been inserted in total before more are sampled."""
        return self.min_rows + int((self.sampled + self.ahead) / self.samples_per_insert)

    @property
    def ratio(self) -> float:
        """Samples per insert since sampling began; 0 before."""
        counted = self.inserted - self.min_rows
        return self.sampled / counted if counted > 0 else 0.0
