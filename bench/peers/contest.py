"""Cartridge and its peers on one game, round by round: one measures while the others wait.

Enters: contestants, that is programs that follow `rounds`. Leaves: what each of them reached, round by round.
Invariant: in every round each contestant has its turn, in the same order, alone, for the same time; so what else the
machine does meets all of them, and ratios are taken within rounds.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cartridge.errors import CartridgeError

CORES = 2  # that each side may use
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, kw_only=True)
class Contestant:
    """One line of the table: who, by which program, on how many cores."""

    name: str
    module: str
    arguments: tuple[str, ...]
    cores: int
    peer: bool = True  # whether it runs in the peers' environment

    def command(self, peers_python: Path) -> list[str]:
        """What starts it."""
        return [str(peers_python) if self.peer else sys.executable, "-m", self.module, *self.arguments]


@dataclass(frozen=True, kw_only=True)
class Reached:
    """What a contestant reached."""

    name: str
    way: str  # the best of its ways
    cores: int
    peer: bool
    rounds: tuple[float, ...]  # steps/s
    ways: Mapping[str, float]  # steps/s of each way, tried once


# Games by the names that the peers have for them.
_PGX = {"tictactoe": "tic_tac_toe", "connect4": "connect_four", "2048": "2048"}
_OPEN_SPIEL = {"tictactoe": "tic_tac_toe", "connect4": "connect_four", "2048": "2048"}
_GYMNASIUM = {"cartpole": "CartPole-v1", "pendulum": "Pendulum-v1"}
_VECTORIZED = {"cartpole": "CartPole-v1"}
GAMES = tuple({**_PGX, **_OPEN_SPIEL, **_GYMNASIUM})


def contestants(game: str) -> list[Contestant]:
    """Everybody who plays that game: Cartridge on one core and on all, its kernel alone, then the peers."""
    cores = ("--cores", str(CORES))
    ours, here = "cartridge", "bench.random_play"
    found = [
        Contestant(name=ours, module=here, arguments=(game, "--threads", "1"), cores=1, peer=False),
        Contestant(
            name=ours, module=here, arguments=(game, "--threads", str(CORES)), cores=CORES, peer=False
        ),
        Contestant(
            name=f"{ours}, kernel alone", module=here, arguments=(game, "--kernel-alone"), cores=1, peer=False
        ),
    ]
    for name, module, names, more, used in (
        ("pgx", "pgx", _PGX, cores, CORES),
        ("OpenSpiel", "open_spiel", _OPEN_SPIEL, (), 1),
        ("EnvPool", "envpool", _GYMNASIUM, cores, CORES),
        ("Gymnasium", "gymnasium", _GYMNASIUM, (), 1),
        ("Gymnasium, vectorized", "gymnasium", _VECTORIZED, ("--vectorized",), 1),
    ):
        if game in names:
            arguments = (names[game], *more)
            module = f"bench.peers.{module}"
            found.append(Contestant(name=name, module=module, arguments=arguments, cores=used))
    return found


class _Playing:
    """A contestant's process: ready for rounds once it is made."""

    def __init__(self, contestant: Contestant, process: subprocess.Popen[str]) -> None:
        self._contestant = contestant
        self._process = process
        said = self._answer()
        self.way = str(said["way"])
        self.ways: Mapping[str, float] = said["steps_per_s"]
        self.rounds: list[float] = []

    def play(self, seconds: float) -> None:
        """One round."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{seconds}\n")
        self._process.stdin.flush()
        said = self._answer()
        self.rounds.append(said["steps"] / said["seconds"])

    def reached(self) -> Reached:
        """All rounds so far."""
        one = self._contestant
        return Reached(
            name=one.name,
            way=self.way,
            cores=one.cores,
            peer=one.peer,
            rounds=tuple(self.rounds),
            ways=self.ways,
        )

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):  # a library may say something of its own
                said: dict[str, Any] = json.loads(line)
                return said
        one = self._contestant
        raise CartridgeError(
            f"{one.name}: `python -m {one.module} {' '.join(one.arguments)}` ended with {self._process.wait()},"
            " see above"
        )


@contextmanager
def _playing(contestant: Contestant, peers_python: Path) -> Iterator[_Playing]:
    with subprocess.Popen(
        contestant.command(peers_python),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        start_new_session=True,  # Ctrl-C is for the one that asks; this one ends with it
    ) as process:
        try:
            yield _Playing(contestant, process)
        finally:
            process.kill()  # it keeps nothing


def compete(
    entered: Sequence[Contestant],
    *,
    peers_python: Path,
    rounds: int,
    seconds: float,
    say: Callable[[str], None] = lambda _: None,
) -> list[Reached]:
    """So many rounds of so many seconds each. Raises CartridgeError when a contestant's program ends."""
    with ExitStack() as stack:
        playing = []
        for one in entered:  # one after the other, as each tries its ways
            say(f"{one.name} on {one.cores} of {CORES} cores: compiles, tries its ways")
            playing.append(stack.enter_context(_playing(one, peers_python)))
        for number in range(rounds):
            say(f"round {number + 1} of {rounds}")
            for each in playing:
                each.play(seconds)
        return [each.reached() for each in playing]
