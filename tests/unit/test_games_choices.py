"""Whatever the action space, a policy chooses from a list: there and back, and what each decision sees."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chunk_samples import AGENTS, FLOATS, TUPLE, VECTOR, spec_of
from games import registry
from games.choices import LEVELS, Choices
from games.contract import Box, GameSpec, MultiDiscrete, decode_actions
from games.errors import BadBatch, BadSpec
from games.spec import action_encoding


def spec_with(space: MultiDiscrete | Box, numbers: int) -> GameSpec:
    encoding = replace(spec_of(TUPLE).encoding, action=action_encoding(space))
    return replace(spec_of(TUPLE), action_space=space, action_bytes=4 * numbers, encoding=encoding)


@pytest.mark.parametrize(
    "layout", [FLOATS, TUPLE, VECTOR, AGENTS], ids=["discrete", "tuple", "vector", "agents"]
)
def test_choices_survive_their_actions(layout: object) -> None:
    spec = spec_of(layout)  # type: ignore[arg-type]
    choices = Choices(spec)
    chosen = np.arange(choices.count * choices.agents, dtype=np.uint32) % choices.count
    actions = choices.encode(chosen)
    assert actions.shape == (len(chosen) // choices.agents, spec.action_bytes)
    assert choices.decode(decode_actions(spec.encoding.action, actions)).tolist() == chosen.tolist()


@pytest.mark.parametrize("env_id", registry.names())
def test_every_game_can_be_chosen_in_and_every_choice_without_a_mask_is_legal(env_id: str) -> None:
    game = registry.get(env_id)
    choices = Choices(game.spec)
    start = game.reset(np.arange(4, dtype=np.uint64))
    legal = choices.legal(start.legal_masks)
    assert legal.shape == (4 * choices.agents, -(-choices.count // 64))
    assert choices.observations(start.obs).shape == (4 * choices.agents, choices.obs_size)
    if choices.mask_words == 0:
        for choice in range(choices.count):
            game.step(start.states, choices.encode(np.full(4, choice, np.uint32)))
        assert sum(int(word).bit_count() for word in legal[0]) == choices.count
    else:
        assert choices.masks(start.legal_masks).tobytes() == legal.tobytes()


def test_tuples_are_listed_with_the_last_component_fastest() -> None:
    spec = spec_with(MultiDiscrete((2, 3)), 2)
    actions = Choices(spec).encode(np.arange(6, dtype=np.uint32))
    assert decode_actions(spec.encoding.action, actions).tolist() == [
        [0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2]
    ]  # fmt: skip


@given(st.floats(-2, 2, width=32))
def test_a_continuous_action_is_the_nearest_of_the_levels(torque: float) -> None:
    choices = Choices(spec_with(Box((-2.0,), (2.0,), (1,)), 1))
    assert choices.count == LEVELS
    chosen = int(choices.decode(np.array([[torque]], np.float32))[0])
    levels = np.linspace(-2, 2, LEVELS, dtype=np.float32)
    assert abs(levels[chosen] - torque) <= np.abs(levels - torque).min() + 1e-6


def test_both_bounds_are_among_the_levels() -> None:
    spec = spec_with(Box((-2.0,), (2.0,), (1,)), 1)
    actions = Choices(spec).encode(np.array([0, LEVELS - 1], np.uint32))
    assert decode_actions(spec.encoding.action, actions).tolist() == [[-2.0], [2.0]]


@pytest.mark.parametrize(
    ("space", "numbers"),
    [
        (MultiDiscrete((64, 65)), 2),
        (Box((-1.0,) * 4, (1.0,) * 4, (4,)), 4),
        (Box((-np.inf,), (np.inf,), (1,)), 1),
    ],
)
def test_what_cannot_be_listed_is_refused(space: MultiDiscrete | Box, numbers: int) -> None:
    with pytest.raises(BadSpec, match="cannot be listed in 4096 choices"):
        Choices(spec_with(space, numbers))


def test_an_agent_sees_its_own_part_and_who_it_is() -> None:
    choices = Choices(spec_of(AGENTS))
    joint = np.arange(20, dtype=np.float32).reshape(2, 10)
    assert choices.observations(joint).tolist() == [
        [0, 0, 0, 0, 1, 0, 0, 0],
        [1, 2, 0, 0, 0, 1, 0, 0],
        [3, 4, 5, 0, 0, 0, 1, 0],
        [6, 7, 8, 9, 0, 0, 0, 1],
        [10, 0, 0, 0, 1, 0, 0, 0],
        [11, 12, 0, 0, 0, 1, 0, 0],
        [13, 14, 15, 0, 0, 0, 1, 0],
        [16, 17, 18, 19, 0, 0, 0, 1],
    ]
    masks = np.arange(8, dtype=np.uint64).reshape(2, 4)
    assert choices.masks(masks).tolist() == [[word] for word in range(8)]


def test_columns_of_another_game_are_refused_before_a_kernel_sees_them() -> None:
    choices = Choices(spec_of(AGENTS))
    with pytest.raises(BadBatch, match="obs: is float32"):
        choices.observations(np.ones((1, 8), np.float32))
    with pytest.raises(BadBatch, match="legal_masks: is uint64"):
        choices.masks(np.ones((1, 1), np.uint64))


def test_bounds_that_meet_and_bounds_as_wide_as_floats_go_have_choices() -> None:
    widest = float(np.finfo(np.float32).max)
    spec = spec_with(Box((1.0, -widest), (1.0, widest), (2,)), 2)
    choices = Choices(spec)
    assert choices.count == LEVELS
    actions = choices.encode(np.arange(LEVELS, dtype=np.uint32))
    numbers = decode_actions(spec.encoding.action, actions)
    assert np.isfinite(numbers).all()
    assert choices.decode(numbers).tolist() == list(range(LEVELS))


def test_every_choice_of_an_agent_is_its_own() -> None:
    assert Choices(spec_of(FLOATS)).own.tolist() == [[2**64 - 1]]
    arena = Choices(registry.get("arena").spec)
    assert [int(word).bit_count() for word in arena.own[:, 0]] == [11, 7, 11, 7]
