"""What every game must hold to, checked by playing it.

Enters: a game. Leaves: a report of what was checked, or a `Nonconformity` that says what is broken and where.
Invariant: every claim of the contract and of the game's own spec that play can show to be false is checked here, once.

    >>> from games import registry
    >>> report = check_game(registry.get("tictactoe"), seed=1, rows=8, processes=0)
    >>> report.env_id
    'tictactoe'

For authors of games: `cartridge games check GAME`, or in a test of the game

    check_game(game, seed=1, reference=step_in_plain_python)

`python -m games.conformance digest GAME` prints the digest of some seeded episodes, the same in every process.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from games import registry
from games.checks import batches, claims, codecs, memory, play, refusals
from games.checks.trial import Expected, Nonconformity, Reference, Trial
from games.contract import Game
from games.errors import UnknownGame
from games.moves import draw_actions, random_actions

__all__ = [
    "CHECKS",
    "Checked",
    "Expected",
    "Nonconformity",
    "Reference",
    "Report",
    "Trial",
    "check_game",
    "draw_actions",
    "random_actions",
    "run_checks",
]

# In this order: the later ones use the steps that random play has kept.
CHECKS: dict[str, Callable[[Trial], tuple[int, str]]] = {
    "spec": claims.check_spec,
    "resets": play.check_resets,
    "random play": play.check_play,
    "batch equals singles": batches.check_batches,
    "shapes of columns": batches.check_shapes,
    "masks against steps": refusals.check_masks,
    "actions at the edges": refusals.check_actions,
    "steps after the end": refusals.check_after_the_end,
    "states of any bytes": refusals.check_states,
    "reset hints": refusals.check_hints,
    "action text": codecs.check_actions_text,
    "observations and boards": codecs.check_observations,
    "older states": codecs.check_older_states,
    "lines of sight": codecs.check_sight,
    "perfect information": claims.check_information,
    "chance": claims.check_chance,
    "interleaved batches": memory.check_interleaved,
    "no memory": memory.check_memory,
    "other processes": memory.check_processes,
}


@dataclass(frozen=True, slots=True)
class Checked:
    """One check that found nothing.

    Attributes:
        name: one of `CHECKS`.
        times: how many rows, steps or values it looked at; 0 where the game has nothing of the kind.
        note: what else there is to know, e.g. why it looked at nothing.
    """

    name: str
    times: int
    note: str


@dataclass(frozen=True, slots=True)
class Report:
    """What was checked of one game, and found in order."""

    env_id: str
    checked: tuple[Checked, ...]


def check_game(
    game: Game,
    *,
    seed: int,
    rows: int = 64,
    steps: int = 1000,
    reference: Reference | None = None,
    hints: Sequence[bytes] = (),
    processes: int = 2,
    older: Sequence[tuple[str, bytes]] = (),
) -> Report:
    """Play `rows` random episodes, and check every claim that the game and the contract make.

    Args:
        game: of any action space and any number of players or agents.
        seed: of the episodes and of the moves.
        rows: episodes, at least 2.
        steps: most steps that are played of an episode, at least 1.
        reference: the rules again in plain Python, from (state, action) bytes to (next state bytes, the reward or one
            reward an agent, terminated, truncated); steps are compared with it.
        hints: reset hints that the game should understand; episodes begin with each.
        processes: fresh processes whose play must be the same; the game must be registered.
        older: states of the encodings that `spec.decodes` names, which the game must take, each with its encoding's
            name; needed where the first bytes of a state are not also a state of the older encoding.

    Returns:
        What was checked.

    Raises:
        Nonconformity: the first broken claim, in one line.
    """
    trial = Trial(game, seed, rows, steps, reference, tuple(hints), processes, tuple(older))
    return Report(game.spec.env_id, tuple(run_checks(trial)))


def run_checks(trial: Trial) -> Iterator[Checked]:
    """The checks of `check_game` one by one, in the order of `CHECKS`, each when it is asked for."""
    for name, look in CHECKS.items():
        try:
            times, note = look(trial)
        except Nonconformity:
            raise
        except Exception as crash:
            said = f"{type(crash).__name__}: {crash}"
            raise trial.finding(f"{name}: raises {said}") from crash
        yield Checked(name, times, note)


def main(arguments: list[str] | None = None) -> int:
    """`digest GAME`: print the digest of some seeded episodes. Returns the exit code."""
    parser = argparse.ArgumentParser(description="What a game's seeded episodes come to.")
    parser.add_argument("action", choices=["digest"])
    parser.add_argument("game")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    try:
        game = registry.get(options.game)
    except UnknownGame as error:
        sys.stderr.write(f"{error}\n")
        return memory.UNKNOWN
    sys.stdout.write(memory.digest(game, seed=options.seed) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
