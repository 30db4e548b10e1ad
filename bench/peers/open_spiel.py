"""OpenSpiel from Python: random legal actions until the end, then a new state.

Enters: a game by OpenSpiel's name. Leaves: steps/s of its best way, by the protocol of `rounds`.
Invariant: a step is a player's; the moves of chance that follow it belong to it. Every step's observation is read into
an array, as the others write it too.

    python -m bench.peers.open_spiel tic_tac_toe
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from bench.peers.rounds import Way, answer


def play(state: Any, draw: Callable[[], float], until: float) -> int:
    """One episode, or what of it there is time for. Returns the steps."""
    steps = 0
    while not state.is_terminal() and time.perf_counter() < until:
        if state.is_chance_node():
            _chance(state, draw)
            continue
        legal = state.legal_actions()
        state.apply_action(legal[int(draw() * len(legal))])
        while state.is_chance_node():
            _chance(state, draw)
        if not state.is_terminal():
            state.observation_tensor(state.current_player())
        state.rewards()
        steps += 1
    return steps


def _chance(state: Any, draw: Callable[[], float]) -> None:
    left, chosen = draw(), 0
    for action, probability in state.chance_outcomes():
        chosen = action
        left -= probability
        if left < 0:
            break
    state.apply_action(chosen)


def ways(name: str) -> Iterator[Way]:
    """There is one: its vectorized environments call this very thing in a loop."""
    import pyspiel

    game = pyspiel.load_game(name)
    draw = random.Random(1).random

    def run(seconds: float) -> int:
        until, steps = time.perf_counter() + seconds, 0
        while time.perf_counter() < until:
            steps += play(game.new_initial_state(), draw, until)
        return steps

    yield Way("a state at a time", run)


def main() -> int:
    """Serve rounds until standard input ends."""
    parser = argparse.ArgumentParser(description="Random play of a game of OpenSpiel.")
    parser.add_argument("game")
    answer(ways(parser.parse_args().game))
    return 0


if __name__ == "__main__":
    sys.exit(main())
