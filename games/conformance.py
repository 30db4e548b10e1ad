"""What every game must hold to, checked by playing it.

Enters: a game. Leaves: nothing, or a `Nonconformity` that says what is broken and where.
Invariant: every claim of the contract and of the game's own spec that play can show to be false is checked here, once.

    >>> from games import registry
    >>> check(registry.get("tictactoe"), seed=1, rows=8)
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from games.batch import Outcomes, Positions, unpack_masks
from games.contract import Game
from games.encodings import encode_discrete
from games.errors import BadBatch, GameError
from games.spec import Discrete


class Nonconformity(AssertionError):
    """The game breaks the contract."""


def check(game: Game, *, seed: int, rows: int = 64) -> None:
    """Play `rows` random episodes to their ends, and check every step.

    Args:
        game: of discrete actions.
        seed: of the episodes and of the moves.
        rows: episodes, at least 2.

    Raises:
        Nonconformity: the first broken claim.
    """
    spec = game.spec
    if not isinstance(spec.action_space, Discrete):
        raise Nonconformity(f"{spec.env_id}: only games of discrete actions can be checked")
    generator = np.random.default_rng(seed)
    seeds = generator.integers(0, 2**63, rows).astype(np.uint64)
    position = game.reset(seeds)
    _same("reset again", position, game.reset(seeds))
    if not _legal(game, position).any(axis=1).all():
        raise Nonconformity(f"{spec.env_id}: an episode starts without a legal action")
    for step in range(spec.max_horizon + 1):
        if not len(position):
            return
        if step == spec.max_horizon:
            raise Nonconformity(f"{spec.env_id}: an episode is longer than max_horizon = {spec.max_horizon}")
        _check_position(game, position)
        _check_illegal(game, position)
        actions = random_actions(game, position, generator)
        kept = position.states.copy()
        outcome = game.step(position.states, actions)
        if (kept != position.states).any():
            raise Nonconformity(f"{spec.env_id}: step changes the states that it is given")
        _check_outcome(game, position, actions, outcome)
        position = _take(outcome.positions, np.flatnonzero(_ended(outcome) == 0))


def random_actions(game: Game, position: Positions, generator: np.random.Generator) -> npt.NDArray[np.uint8]:
    """One uniformly drawn legal action a row, u8[N, A]; every row must have one."""
    legal = _legal(game, position)
    return encode_discrete(np.argmax(legal * generator.uniform(0.5, 1.0, legal.shape), axis=1))


def _check_position(game: Game, position: Positions) -> None:
    """What a position says follows from its state, one row or many."""
    spec = game.spec
    _same("observe", position, game.observe(position.states))
    _same("observe of row 0", _take(position, np.array([0])), game.observe(position.states[:1].copy()))
    if (position.players >= spec.players).any():
        raise Nonconformity(f"{spec.env_id}: player {position.players.max()} of {spec.players} is to move")
    if not np.isfinite(position.obs).all():
        raise Nonconformity(f"{spec.env_id}: an observation is not finite")
    unused = 64 * spec.mask_words - _actions(game)
    if unused and (position.legal_masks[:, -1] >> np.uint64(64 - unused)).any():
        raise Nonconformity(f"{spec.env_id}: a legal mask has bits of actions that there are not")
    for state in position.states[:2]:
        if not game.render_text(state.tobytes()).strip():
            raise Nonconformity(f"{spec.env_id}: a state renders to nothing")


def _check_illegal(game: Game, position: Positions) -> None:
    """The mask says what the step takes: every legal action goes, every other is refused; words go both ways."""
    legal = _legal(game, position)
    for row in range(min(4, len(position))):
        state = position.states[row : row + 1]
        for action in range(_actions(game)):
            encoded = encode_discrete(np.array([action]))
            if game.parse_action(game.action_text(encoded.tobytes())) != encoded.tobytes():
                raise Nonconformity(f"{game.spec.env_id}: action {action} does not survive its own text")
            try:
                game.step(state.copy(), encoded)
                took = True
            except GameError:
                took = False
            if took != legal[row, action]:
                raise Nonconformity(
                    f"{game.spec.env_id}: action {action} in state {state.tobytes().hex()} is "
                    f"{'taken' if took else 'refused'}, but its mask bit is {int(legal[row, action])}"
                )


def _check_outcome(game: Game, before: Positions, actions: npt.NDArray[np.uint8], outcome: Outcomes) -> None:
    """Determinism, buffers, ends, rewards."""
    spec = game.spec
    again = Outcomes.empty(spec, len(before))
    if game.step(before.states, actions, out=again) is not again:
        raise Nonconformity(f"{spec.env_id}: step does not return the buffers that it was given")
    _same("step again", outcome.positions, again.positions)
    for field in ("rewards", "terminated", "truncated", "info"):
        if getattr(outcome, field).tobytes() != getattr(again, field).tobytes():
            raise Nonconformity(f"{spec.env_id}: the same step gives other {field}")
    ended = _ended(outcome)
    if (outcome.terminated & outcome.truncated).any() or (ended > 1).any():
        raise Nonconformity(f"{spec.env_id}: an episode is both terminated and truncated, or neither 0 nor 1")
    if (_legal(game, outcome.positions).any(axis=1) == ended.astype(bool)).any():
        raise Nonconformity(
            f"{spec.env_id}: an ended episode has legal actions, or one that goes on has none"
        )
    _same("observe a successor", outcome.positions, game.observe(outcome.positions.states))
    if not np.isfinite(outcome.rewards).all():
        raise Nonconformity(f"{spec.env_id}: a reward is not finite")
    _check_whole_refusal(game, outcome, actions)


def _check_whole_refusal(game: Game, outcome: Outcomes, actions: npt.NDArray[np.uint8]) -> None:
    """Episodes that have ended take no step, and wrong shapes are told apart from wrong rows."""
    ended = np.flatnonzero(_ended(outcome))
    if len(ended):
        row = slice(int(ended[0]), int(ended[0]) + 1)
        try:
            game.step(outcome.positions.states[row], actions[row])
        except GameError:
            pass
        else:
            raise Nonconformity(f"{game.spec.env_id}: a step is taken after the end")
    try:
        game.step(outcome.positions.states[:, :-1], actions)
    except BadBatch:
        return
    raise Nonconformity(f"{game.spec.env_id}: a state column of the wrong size is taken")


def _actions(game: Game) -> int:
    space = game.spec.action_space
    return space.n if isinstance(space, Discrete) else 0


def _legal(game: Game, position: Positions) -> npt.NDArray[np.bool_]:
    return unpack_masks(position.legal_masks, _actions(game))


def _ended(outcome: Outcomes) -> npt.NDArray[np.uint8]:
    return outcome.terminated + outcome.truncated


def _take(position: Positions, rows: npt.NDArray[np.intp]) -> Positions:
    return Positions(
        states=position.states[rows],
        obs=position.obs[rows],
        legal_masks=position.legal_masks[rows],
        players=position.players[rows],
    )


def _same(what: str, one: Positions, other: Positions) -> None:
    for field in ("states", "obs", "legal_masks", "players"):
        if getattr(one, field).tobytes() != getattr(other, field).tobytes():
            raise Nonconformity(f"{what}: other {field}")
