"""`cartridge replay show`: an episode again, from the topic.

In: a run and an episode. Out: board by board, with action, reward, weights version and place in the log.
Invariant: every line is of a record that was read from cartridge.transitions just now.
"""

from __future__ import annotations

import argparse
import datetime
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console

from cartridge.errors import UsageError
from cartridge.settings import Settings
from games.errors import GameError

if TYPE_CHECKING:
    from games.contract import Game
    from streams.replay import LoggedStep, Place

LAST = "last"


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `replay` with `show`."""
    parser = commands.add_parser("replay", help="a topic, again")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    show = actions.add_parser("show", help="an episode, board by board")
    show.add_argument("--run", required=True, help="name of the run")
    show.add_argument(
        "--episode", required=True, help=f"id of the episode, or {LAST!r} for the one that ended last"
    )
    show.set_defaults(handler=_show)


def _show(parsed: argparse.Namespace, settings: Settings) -> int:
    from cartridge import runs
    from streams import replay

    spec = runs.find(settings, parsed.run)
    if parsed.episode == LAST:
        episode = replay.last_episode(settings.kafka, spec.run)
        if episode is None:
            raise UsageError(f"episode is {LAST!r}: no episode of run {spec.run} has ended yet")
    else:
        try:
            episode = int(parsed.episode)
        except ValueError as error:
            raise UsageError(
                f"episode is {parsed.episode!r}: it must be a whole number or {LAST!r}"
            ) from error
    places = _places(settings, spec.run, episode)
    if places:
        steps = replay.steps_at(settings.kafka, places, run=spec.run, episode=episode)
    else:
        steps = replay.steps_by_scan(settings.kafka, run=spec.run, episode=episode)
    if not steps:
        raise UsageError(f"episode is {episode}: run {spec.run} has none of this id in cartridge.transitions")
    try:
        _print(steps, run=spec.run, episode=episode)
    except GameError as error:
        raise UsageError(f"episode is {episode} of run {spec.run}: {error}") from error
    return 0


def _places(settings: Settings, run: str, episode: int) -> list[Place]:
    """Where the sealed shards say that the episode is. None if it is not whole in them."""
    from cartridge import runs
    from streams import views, warehouse
    from streams.replay import Place

    shards = runs.shards_of(settings, run)
    rows = warehouse.connect(settings).execute(
        "SELECT log_partition, log_offset, bool_or(terminated OR truncated) FROM"
        f" ({views.rows_of(shards, settings.bucket)}) WHERE episode = ? GROUP BY ALL",
        [episode],
    )
    found = rows.fetchall()
    whole = any(ended for *_, ended in found)
    return [Place(partition, offset) for partition, offset, _ in found] if whole else []


def _print(steps: list[LoggedStep], *, run: str, episode: int) -> None:
    from games import registry

    game = registry.get(steps[0].chunk.env_id)
    console = Console(highlight=False, soft_wrap=True)
    first = steps[0].chunk
    console.print(
        f"run {run}   episode {episode}   {first.env_id} {first.build_id}   actor {first.actor}, incarnation"
        f" {first.incarnation}   {len(steps)} transitions",
        markup=False,
    )
    for step in steps:
        columns, row = step.columns, step.row
        made = datetime.datetime.fromtimestamp(columns.time_us[row] / 1e6, datetime.UTC)
        console.print(
            f"\nstep {columns.step[row]}   player {columns.player[row]}   weights v{step.chunk.weights_version}   "
            f"cartridge.transitions/{step.place.partition} offset {step.place.offset} row {row}   "
            f"{made:%Y-%m-%d %H:%M:%S.%f}Z",
            markup=False,
        )
        console.print(_board(game, step, columns.state[row].tobytes()), markup=False)
        action = game.action_text(columns.action[row].tobytes())
        rewards = " ".join(f"{reward:g}" for reward in columns.reward[row : row + 1].reshape(-1))
        console.print(f"  plays {action}   reward {rewards}", markup=False)
    last = steps[-1]
    ended = "terminated" if last.columns.terminated[last.row] else "truncated"
    over = last.columns.terminated[last.row] or last.columns.truncated[last.row]
    console.print(f"\n{ended if over else 'the log ends here'}", markup=False)
    console.print(_board(game, last, last.next_state), markup=False)


def _board(game: Game, step: LoggedStep, state: bytes) -> str:
    """A logged state, which may be of an older encoding, in indented lines. Raises GameError."""
    upgraded = game.upgrade_states(step.chunk.state_encoding, np.frombuffer(state, np.uint8).reshape(1, -1))
    return "\n".join(f"  {line}" for line in game.render_text(upgraded.tobytes()).splitlines())
