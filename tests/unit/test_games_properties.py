"""What holds for every registered game, on positions and bytes that hypothesis thinks up."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from games import registry
from games.batch import Outcomes, Positions
from games.contract import Game, decode_actions, encode_actions
from games.encodings import action_layout, decode_obs
from games.errors import BadActionText, BadBatch, BadHint, BadState, GameError, IllegalAction, RowError
from games.moves import draw_actions, legal, mask_groups
from games.render.svg import svg

T = TypeVar("T")

GAMES = pytest.mark.parametrize("env_id", registry.names())
seeds = st.integers(0, 2**64 - 1)
choices = st.integers(0, 2**32 - 1)


def bytes_of(position: Positions) -> tuple[bytes, ...]:
    return tuple(
        column.tobytes() for column in (position.states, position.obs, position.legal_masks, position.players)
    )


def everything(outcome: Outcomes) -> tuple[bytes, ...]:
    rest = (outcome.rewards, outcome.terminated, outcome.truncated, outcome.info)
    return (*bytes_of(outcome.positions), *(column.tobytes() for column in rest))


def answered(call: Callable[[], T], *refusals: type[GameError]) -> T | GameError:
    """What a call gives, or how it is refused: in one line."""
    try:
        return call()
    except refusals as refusal:
        error = refusal
    assert len(str(error).splitlines()) == 1
    return error


def action_for(game: Game, position: Positions, choice: int) -> npt.NDArray[np.uint8]:
    """A legal action u8[1, A] that a number stands for."""
    return draw_actions(game.spec, position.legal_masks, np.random.default_rng(choice))


def walked(game: Game, seed: int, moves: list[int]) -> Positions:
    """Where moves lead from a start, one before the end at the latest."""
    position = game.reset(np.array([seed], np.uint64))
    for choice in moves:
        outcome = game.step(position.states, action_for(game, position, choice))
        if outcome.terminated[0] or outcome.truncated[0]:
            break
        position = outcome.positions
    return position


@GAMES
@settings(max_examples=40, deadline=None)
@given(seed=seeds, moves=st.lists(choices, max_size=30))
def test_a_walk_is_the_same_a_second_time_and_its_states_say_all(
    env_id: str, seed: int, moves: list[int]
) -> None:
    game = registry.get(env_id)
    position = game.reset(np.array([seed], np.uint64))
    assert bytes_of(position) == bytes_of(game.reset(np.array([seed], np.uint64)))
    for choice in moves:
        assert bytes_of(game.observe(position.states)) == bytes_of(position)
        action = action_for(game, position, choice)
        outcome = game.step(position.states, action)
        assert everything(outcome) == everything(game.step(position.states.copy(), action.copy()))
        over = bool(outcome.terminated[0] or outcome.truncated[0])
        for group in mask_groups(game.spec):
            assert legal(group, outcome.positions.legal_masks).any() == (not over)
        position = outcome.positions
        if over:
            with pytest.raises(BadState):
                game.step(position.states, action)
            break


@GAMES
@settings(max_examples=60, deadline=None)
@given(
    seed=seeds,
    moves=st.lists(choices, max_size=12),
    changes=st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 255)), min_size=1, max_size=3),
    choice=choices,
)
def test_a_changed_state_is_refused_or_goes_on(
    env_id: str, seed: int, moves: list[int], changes: list[tuple[int, int]], choice: int
) -> None:
    game = registry.get(env_id)
    state = walked(game, seed, moves).states
    for at, byte in changes:
        state[0, at % game.spec.state_bytes] = byte
    kept = state.tobytes()
    position = answered(lambda: game.observe(state), BadState)
    if isinstance(position, GameError):
        assert isinstance(position, BadState)
        assert (position.row, position.value) == (0, kept)
        with pytest.raises(BadState):
            game.plan(kept)
        return
    assert position.states.tobytes() == state.tobytes() == kept
    assert np.isfinite(position.obs).all()
    assert svg(game.plan(kept)).startswith("<svg ")
    action = action_for(game, position, choice)
    outcome = answered(lambda: game.step(state, action), BadState)
    if isinstance(outcome, GameError):  # it had ended; of a game with a mask the mask says so
        assert not position.legal_masks.any()
        return
    assert bytes_of(game.observe(outcome.positions.states)) == bytes_of(outcome.positions)


@GAMES
@settings(max_examples=60, deadline=None)
@given(state=st.binary(max_size=64), action=st.binary(min_size=64, max_size=64))
def test_any_bytes_are_answered_or_refused_and_nothing_is_changed(
    env_id: str, state: bytes, action: bytes
) -> None:
    game = registry.get(env_id)
    spec = game.spec
    states = np.frombuffer(state.ljust(spec.state_bytes, b"\0")[: spec.state_bytes], np.uint8)[None].copy()
    actions = np.frombuffer(action[: spec.action_bytes], np.uint8)[None].copy()
    before = states.tobytes(), actions.tobytes()
    outcome = answered(lambda: game.step(states, actions), BadState, IllegalAction)
    assert isinstance(outcome, Outcomes) or (isinstance(outcome, RowError) and outcome.row == 0)
    assert before == (states.tobytes(), actions.tobytes())


@GAMES
@settings(max_examples=40, deadline=None)
@given(seed=seeds, moves=st.lists(choices, max_size=10), number=st.integers(0, 2**32 - 1))
def test_an_action_of_any_number_is_taken_exactly_if_it_is_legal(
    env_id: str, seed: int, moves: list[int], number: int
) -> None:
    game = registry.get(env_id)
    spec = game.spec
    position = walked(game, seed, moves)
    name = spec.encoding.action
    given_numbers = decode_actions(name, action_for(game, position, 1)).reshape(1, -1)
    dtype, components = action_layout(name)
    for component in range(components):
        numbers = given_numbers.copy()
        numbers[0, component] = np.array(number, "<u4").view(dtype)
        action = encode_actions(name, numbers)
        if is_legal(game, position, component, numbers):
            game.step(position.states, action)
            assert game.parse_action(game.action_text(action.tobytes())) == action.tobytes()
        else:
            with pytest.raises(IllegalAction):
                game.step(position.states, action)


def is_legal(game: Game, position: Positions, component: int, numbers: npt.NDArray[Any]) -> bool:
    """By the mask, or by the bounds of the space."""
    space: Any = game.spec.action_space
    number = numbers[0, component]
    groups = mask_groups(game.spec)
    if groups:
        group = groups[component]
        return bool(number < group.actions and legal(group, position.legal_masks)[0, int(number)])
    if hasattr(space, "nvec"):
        return bool(number < space.nvec[component])
    return bool(np.float32(space.low[component]) <= number <= np.float32(space.high[component]))


@GAMES
@settings(max_examples=60, deadline=None)
@given(text=st.text(max_size=30))
def test_any_text_is_a_move_or_refused_in_one_line(env_id: str, text: str) -> None:
    game = registry.get(env_id)
    action = answered(lambda: game.parse_action(text), BadActionText)
    assert isinstance(action, GameError) or game.parse_action(game.action_text(action)) == action


@GAMES
@settings(max_examples=40, deadline=None)
@given(hint=st.binary(max_size=40), seed=seeds)
def test_any_hint_is_understood_or_refused(env_id: str, hint: bytes, seed: int) -> None:
    game = registry.get(env_id)
    position = answered(lambda: game.reset(np.array([seed], np.uint64), hint), BadHint)
    if isinstance(position, GameError):
        assert hint
        return
    assert not hint or game.spec.hint
    assert bytes_of(game.observe(position.states)) == bytes_of(position)


@GAMES
@settings(max_examples=20, deadline=None)
@given(rows=st.lists(st.tuples(seeds, st.lists(choices, max_size=6)), min_size=1, max_size=6), choice=choices)
def test_a_batch_is_its_rows(env_id: str, rows: list[tuple[int, list[int]]], choice: int) -> None:
    game = registry.get(env_id)
    alone = [walked(game, seed, moves) for seed, moves in rows]
    states = np.concatenate([position.states for position in alone])
    together = game.observe(states)
    assert bytes_of(together) == tuple(map(b"".join, zip(*map(bytes_of, alone), strict=True)))
    actions = np.concatenate([action_for(game, position, choice) for position in alone])
    singles = [
        game.step(position.states, actions[row : row + 1].copy()) for row, position in enumerate(alone)
    ]
    stepped = everything(game.step(states, actions))
    assert stepped == tuple(map(b"".join, zip(*map(everything, singles), strict=True)))


@GAMES
@settings(max_examples=30, deadline=None)
@given(seed=seeds, moves=st.lists(choices, max_size=8))
def test_observations_are_read_by_their_name_alone(env_id: str, seed: int, moves: list[int]) -> None:
    game = registry.get(env_id)
    position = walked(game, seed, moves)
    wire = np.frombuffer(position.obs.tobytes(), np.uint8).reshape(1, -1)
    assert decode_obs(game.spec.encoding.obs, wire).tobytes() == position.obs.tobytes()


@GAMES
@settings(max_examples=20, deadline=None)
@given(size=st.integers(0, 200), data=st.data())
def test_older_states_of_any_bytes_are_upgraded_or_refused(env_id: str, size: int, data: Any) -> None:
    game = registry.get(env_id)
    for name in game.spec.decodes:
        states = np.frombuffer(data.draw(st.binary(min_size=size, max_size=size)), np.uint8)[None]
        upgraded = answered(partial(game.upgrade_states, name, states), BadState, BadBatch)
        if isinstance(upgraded, GameError):
            continue
        assert game.observe(upgraded).states.tobytes() == upgraded.tobytes()
    with pytest.raises(GameError):
        game.upgrade_states("state:of_nobody:v1", np.zeros((1, size), np.uint8))
