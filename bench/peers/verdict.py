"""What a contest says: medians, ratios within rounds, and whether the marks are met.

Enters: what each contestant reached in a game. Leaves: lines of a table, verdicts, JSON.
Invariant: a peer is compared with Cartridge on as many cores as the peer has, in the same rounds.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table

from bench.peers.contest import Reached

# How many times a peer's steps/s Cartridge shall reach, by game and peer.
MARKS = {("tictactoe", "pgx"): 2.0, ("cartpole", "EnvPool"): 10.0}
STREAM_MARK = 4_000_000  # steps/s through the stream at batch 1,024
STREAM_BATCH = 1024


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of a game's table."""

    name: str
    way: str
    cores: int
    steps_per_s: float  # median of the rounds
    ratio: (
        float | None
    )  # Cartridge's steps/s over this one's, median of the rounds; None for Cartridge itself
    mark: float | None  # what the ratio shall exceed


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """One mark, and what was reached."""

    what: str
    figure: float
    mark: float

    @property
    def met(self) -> bool:
        """Whether the figure is above the mark."""
        return self.figure > self.mark

    def __str__(self) -> str:
        number = ",.0f" if self.mark > 1000 else ".1f"
        said = f"{self.what}: {self.figure:{number}}, the mark is {self.mark:{number}}"
        return f"{said}: {'met' if self.met else 'missed'}"


def lines(game: str, reached: Sequence[Reached]) -> list[Line]:
    """A line a contestant, in their order.

    Raises ValueError when Cartridge did not play on as many cores as a peer.
    """
    ours = {one.cores: one for one in reversed(reached) if not one.peer}  # of equal cores the first
    found = []
    for one in reached:
        if one.peer and one.cores not in ours:
            raise ValueError(f"{one.name}: Cartridge did not play on {one.cores} cores; enter it")
        ratio = _ratio(ours[one.cores], one) if one.peer else None
        found.append(
            Line(
                name=one.name,
                way=one.way,
                cores=one.cores,
                steps_per_s=statistics.median(one.rounds),
                ratio=ratio,
                mark=MARKS.get((game, one.name)),
            )
        )
    return found


def _ratio(ours: Reached, peer: Reached) -> float:
    return statistics.median(mine / its for mine, its in zip(ours.rounds, peer.rounds, strict=True))


def verdicts(game: str, found: Sequence[Line]) -> list[Verdict]:
    """The marks of a game."""
    return [
        Verdict(what=f"{game}, times {line.name}", figure=line.ratio, mark=line.mark)
        for line in found
        if line.mark is not None and line.ratio is not None
    ]


def stream_verdict(rounds: Sequence[float]) -> Verdict:
    """The mark of the stream, of several measurements in steps/s."""
    what = f"steps/s through the stream at batch {STREAM_BATCH:,}"
    return Verdict(what=what, figure=statistics.median(rounds), mark=STREAM_MARK)


def table_of(game: str, found: Sequence[Line]) -> Table:
    """The lines for people."""
    table = Table(title=f"{game}, random play in process", title_justify="left")
    table.add_column("who")
    table.add_column("best way")
    for heading in ("cores", "steps/s", "cartridge is"):
        table.add_column(heading, justify="right")
    table.add_column("mark")
    for line in found:
        ratio = "" if line.ratio is None else f"{line.ratio:.1f} x"
        mark = "" if line.mark is None else f"> {line.mark:.0f} x"
        table.add_row(line.name, line.way, str(line.cores), f"{line.steps_per_s:,.0f}", ratio, mark)
    return table


def report(
    contests: Mapping[str, Sequence[Reached]], stream: Sequence[float], judged: Sequence[Verdict]
) -> dict[str, Any]:
    """Everything as JSON has it."""
    return {
        "games": {
            game: {
                "lines": [asdict(line) for line in lines(game, reached)],
                "rounds": [asdict(one) for one in reached],
            }
            for game, reached in contests.items()
        },
        "stream": {"batch": STREAM_BATCH, "steps_per_s": list(stream)},
        "verdict": [{**asdict(one), "met": one.met} for one in judged],
    }
