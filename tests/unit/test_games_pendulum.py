"""Pendulum equals Gymnasium's Pendulum-v1, and refuses states and torques that cannot be."""

from __future__ import annotations

import math
import re
import struct
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from games import registry
from games.contract import Box
from games.errors import BadActionText, BadHint, BadState, IllegalAction
from games.pendulum import kernels
from games.pendulum.state import STATE, typed
from games.trigonometry import sincos
from plain_chacha import PlainCursor

GAME = registry.get("pendulum")
ROWS = 20_000

Floats = npt.NDArray[np.float64]


def pack(theta: float, theta_dot: float, *, steps: int) -> bytes:
    return struct.pack("<2dQ", theta, theta_dot, steps)


def rows_of(*states: bytes) -> npt.NDArray[np.uint8]:
    return np.frombuffer(b"".join(states), np.uint8).reshape(-1, 24)


def numbers_of(states: npt.NDArray[np.uint8]) -> Floats:
    numbers: Floats = states.view("<f8").reshape(-1, 3)[:, :2]
    return numbers


def torques_of(*torques: float) -> npt.NDArray[np.uint8]:
    return np.array(torques, "<f4").view(np.uint8).reshape(-1, 4)


def pendulum() -> Any:
    env = gymnasium.make("Pendulum-v1", disable_env_checker=True)
    env.reset(seed=1)
    return env


def random_states(rows: int) -> npt.NDArray[np.uint8]:
    """States that go on, of every angle that play can reach."""
    generator = np.random.default_rng(8)
    states = np.zeros((rows, 24), np.uint8)
    records = typed(states)
    records["steps"] = generator.integers(0, 200, rows)
    records["theta"] = generator.uniform(-1, 1, rows) * (math.pi + 0.4 * records["steps"])
    records["theta_dot"] = generator.uniform(-8, 8, rows)
    return states


def random_torques(rows: int) -> npt.NDArray[np.float32]:
    torques = np.random.default_rng(9).uniform(-2, 2, rows).astype("<f4")
    torques[:: rows // 10] = 2.0
    torques[1 :: rows // 10] = -2.0
    return torques


def test_the_constants_are_gymnasiums() -> None:
    env = pendulum()
    theirs, space = env.unwrapped, GAME.spec.action_space
    assert (theirs.g, theirs.m, theirs.l) == (kernels.GRAVITY, kernels.MASS, kernels.LENGTH)
    assert (theirs.dt, theirs.max_speed) == (kernels.STEP_S, kernels.LARGEST_THETA_DOT)
    assert theirs.max_torque == kernels.LARGEST_TORQUE
    assert isinstance(space, Box)
    assert (space.low, space.high) == (tuple(env.action_space.low), tuple(env.action_space.high))
    assert env.spec.max_episode_steps == kernels.HORIZON == GAME.spec.max_horizon


def test_a_step_from_any_state_is_gymnasiums_bit_for_bit() -> None:
    states, torques = random_states(ROWS), random_torques(ROWS)
    outcome = GAME.step(states, torques.view(np.uint8).reshape(ROWS, 4))
    after, before = numbers_of(outcome.positions.states), numbers_of(states)
    env = pendulum().unwrapped
    expected, observed, rewards = np.empty_like(after), np.empty((ROWS, 3), np.float32), np.empty(ROWS)
    for row in range(ROWS):
        env.state = before[row]
        observed[row], rewards[row], terminated, truncated, _ = env.step(torques[row : row + 1])
        expected[row] = env.state
        assert (terminated, truncated) == (False, False)
    assert not outcome.terminated.any()
    # numpy takes sine and power from the C library, which now and then gives the neighbour of the nearest float.
    angles = np.ascontiguousarray(before[:, 0])
    sines = np.empty(ROWS)
    sincos(angles, sines, np.empty(ROWS))
    agree = sines == np.sin(angles)
    assert agree.mean() > 0.9
    assert after[agree].tobytes() == expected[agree].tobytes()
    np.testing.assert_allclose(after, expected, rtol=0, atol=1e-13)
    assert (outcome.rewards == rewards.astype(np.float32)).mean() > 0.999
    np.testing.assert_allclose(outcome.rewards, rewards, rtol=1.2e-7)
    assert (outcome.positions.obs == observed).mean() > 0.999
    np.testing.assert_allclose(outcome.positions.obs, observed, rtol=1.2e-7, atol=1e-12)


def test_whole_episodes_are_gymnasiums() -> None:
    env, generator = pendulum(), np.random.default_rng(2)
    for seed in range(12):
        position = GAME.reset(np.array([seed], np.uint64))
        env.reset()
        env.unwrapped.state = numbers_of(position.states)[0].copy()
        ended, steps = False, 0
        while not ended:
            torque = generator.uniform(-2, 2, 1).astype(np.float32)
            outcome = GAME.step(position.states, torques_of(*torque))
            obs, reward, terminated, truncated, _ = env.step(torque)
            position, ended, steps = outcome.positions, terminated or truncated, steps + 1
            np.testing.assert_allclose(numbers_of(position.states)[0], env.unwrapped.state, rtol=0, atol=1e-9)
            np.testing.assert_allclose(position.obs[0], obs, rtol=0, atol=1e-6)
            np.testing.assert_allclose(outcome.rewards[0], reward, rtol=1e-6, atol=1e-9)
            assert (outcome.terminated[0], outcome.truncated[0]) == (terminated, truncated)
            assert outcome.info[0] == steps
        assert steps == 200


def test_the_angle_of_a_reward_is_wrapped_as_python_does() -> None:
    # At whole turns and their neighbours a remainder that rounds would be off by one turn.
    turns = np.arange(-13, 14) * (2 * math.pi) + math.pi
    thetas = np.concatenate([turns, np.nextafter(turns, 99), np.nextafter(turns, -99), -turns, [0.0, 1e-300]])
    thetas = thetas[np.abs(thetas) < 83]
    outcome = GAME.step(
        rows_of(*(pack(theta, 0.0, steps=199) for theta in thetas)), torques_of(*[0.0] * len(thetas))
    )
    wrapped = [(theta + math.pi) % (2 * math.pi) - math.pi for theta in thetas.tolist()]
    assert outcome.rewards.tolist() == [float(np.float32(-angle * angle)) for angle in wrapped]
    assert outcome.truncated.all()


@pytest.mark.parametrize("rows", [1, 127, 128, 129, 1000])
def test_a_row_goes_the_same_way_in_a_batch_of_any_size_and_from_any_address(rows: int) -> None:
    states, actions = random_states(rows), torques_of(*np.linspace(-2, 2, rows))
    shifted = np.frombuffer(b"?" + states.tobytes() + actions.tobytes(), np.uint8, offset=1)
    together = GAME.step(shifted[: 24 * rows].reshape(rows, 24), shifted[24 * rows :].reshape(rows, 4))
    for row in range(rows):
        alone = GAME.step(states[row : row + 1], actions[row : row + 1])
        assert alone.positions.states.tobytes() == together.positions.states[row].tobytes()
        assert alone.positions.obs.tobytes() == together.positions.obs[row].tobytes()
        assert alone.rewards[0] == together.rewards[row]


@pytest.mark.parametrize(
    ("hint", "theta_within", "theta_dot_within"),
    [
        (b"", math.pi, 1.0),
        (struct.pack("<2d", 0.5, 8.0), 0.5, 8.0),
        (struct.pack("<2d", math.pi, 0.0), math.pi, 0.0),
    ],
)
def test_a_start_is_drawn_from_the_seeds_first_words(
    hint: bytes, theta_within: float, theta_dot_within: float
) -> None:
    seeds = np.array([0, 1, 7, 2**64 - 1, *range(100, 400)], np.uint64)
    start = GAME.reset(seeds, hint)
    for seed, state in zip(seeds.tolist(), start.states, strict=True):
        cursor = PlainCursor(seed, 0)
        expected = [
            -within + (within - -within) * cursor.uniform() for within in (theta_within, theta_dot_within)
        ]
        assert state.tobytes() == pack(*expected, steps=0)
    widest = np.abs(numbers_of(start.states)).max(axis=0)
    assert theta_within * 0.97 <= widest[0] <= theta_within
    assert theta_dot_within * 0.97 <= widest[1] <= theta_dot_within
    assert start.legal_masks.shape == (len(seeds), 0)
    assert not start.players.any()


def test_an_observation_is_cosine_sine_and_speed() -> None:
    states = random_states(2000)
    theta, theta_dot = numbers_of(states).T
    expected = np.array([np.cos(theta), np.sin(theta), theta_dot]).T
    np.testing.assert_allclose(GAME.observe(states).obs, expected, rtol=1.2e-7, atol=1e-15)


@pytest.mark.parametrize(
    ("hint", "message"),
    [
        (b"ab", r"hint = 0x6162: 2 bytes; give 16 bytes, x_init"),
        (struct.pack("<2d", 3.2, 1.0), r"x_init = 3.2, y_init = 1.0; give"),
        (struct.pack("<2d", -0.1, 1.0), r"x_init = -0.1"),
        (struct.pack("<2d", 1.0, 8.1), r"y_init = 8.1"),
        (struct.pack("<2d", math.nan, 1.0), r"x_init = nan"),
        (struct.pack("<2d", 1.0, math.nan), r"y_init = nan"),
    ],
)
def test_a_hint_that_makes_no_sense_is_refused(hint: bytes, message: str) -> None:
    with pytest.raises(BadHint, match=message):
        GAME.reset(np.zeros(1, np.uint64), hint)


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (pack(0, 0, steps=201), "above 200"),
        (pack(0, 0, steps=2**63), "above 200"),
        (pack(3.2, 0, steps=0), r"theta \(bytes 0-7\)"),
        (pack(-84, 0, steps=199), r"theta \(bytes 0-7\)"),
        (pack(math.nan, 0, steps=9), r"theta \(bytes 0-7\)"),
        (pack(math.inf, 0, steps=9), r"theta \(bytes 0-7\)"),
        (pack(0, 8.001, steps=9), r"theta_dot \(bytes 8-15\)"),
        (pack(0, math.nan, steps=9), r"theta_dot \(bytes 8-15\)"),
        (pack(0, 0, steps=200), "episode has ended"),
    ],
)
def test_an_impossible_or_ended_state_is_refused_with_its_row_and_bytes(state: bytes, reason: str) -> None:
    rows = random_states(300)
    rows[200] = np.frombuffer(state, np.uint8)
    before = rows.copy()
    with pytest.raises(BadState, match=reason) as refused:
        GAME.step(rows, torques_of(*[0.0] * 300))
    assert (refused.value.row, refused.value.value) == (200, state)
    assert (rows == before).all()


BEYOND = float(np.nextafter(np.float32(2), np.float32(3)))


@pytest.mark.parametrize("torque", [BEYOND, -BEYOND, 1e30, math.inf, -math.inf, math.nan])
def test_a_torque_from_outside_is_refused_not_clipped(torque: float) -> None:
    torques = [0.0] * 300
    torques[131] = torque
    with pytest.raises(IllegalAction, match=r"torque .* is not within -2 to 2") as refused:
        GAME.step(random_states(300), torques_of(*torques))
    assert refused.value.row == 131
    with pytest.raises(IllegalAction, match=re.escape(f"torque {np.float32(torque)!s} ")):
        GAME.action_text(struct.pack("<f", torque))


STEPS = st.integers(0, 201) | st.sampled_from([0, 199, 200, 201, 2**64 - 1])
SPEEDS = st.floats() | st.floats(-8, 8) | st.sampled_from([-8.0, 8.0, math.nextafter(8.0, 9)])
SHARES = st.floats() | st.floats(-1, 1) | st.sampled_from([-1.0, 1.0])


@settings(max_examples=1000, deadline=None)
@given(SHARES, SPEEDS, STEPS, st.floats(width=32) | st.floats(-2, 2, width=32))
def test_a_state_is_accepted_as_the_layout_says_and_its_successor_too(
    share: float, theta_dot: float, steps: int, torque: float
) -> None:
    largest = 3.15 + 0.401 * min(steps, 200)
    theta = share * largest
    state = pack(theta, theta_dot, steps=steps)
    row, action = rows_of(state), torques_of(torque)
    possible = steps <= 200 and abs(theta) <= largest and abs(theta_dot) <= 8
    if not possible:
        with pytest.raises(BadState, match=r"no torque|above 200"):
            GAME.observe(row)
    else:
        assert GAME.observe(row).states.tobytes() == state
    if not possible or steps == 200:
        with pytest.raises(BadState):
            GAME.step(row, action)
    elif not abs(torque) <= 2:
        with pytest.raises(IllegalAction):
            GAME.step(row, action)
    else:
        outcome = GAME.step(row, action)
        assert (outcome.terminated[0], outcome.truncated[0]) == (0, steps == 199)
        assert outcome.info[0] == typed(outcome.positions.states)["steps"][0] == steps + 1
        assert -17 < outcome.rewards[0] <= 0
        assert GAME.observe(outcome.positions.states).obs.tobytes() == outcome.positions.obs.tobytes()


def test_typed_state_and_bytes_are_the_same_memory() -> None:
    states = random_states(3)
    typed(states)["theta"][2] = 0.125
    assert STATE.itemsize == GAME.spec.state_bytes
    assert states[2, :8].tobytes() == struct.pack("<d", 0.125)


@given(st.floats(-2, 2, width=32))
def test_a_torque_survives_its_text(torque: float) -> None:
    action = struct.pack("<f", torque)
    assert GAME.parse_action(f" {GAME.action_text(action)}\n") == action


def test_torques_are_read_and_written_as_people_do() -> None:
    assert GAME.action_text(struct.pack("<f", -1.25)) == "-1.25"
    assert GAME.action_text(struct.pack("<f", 0.1)) == "0.1"
    for text, torque in (("2", 2.0), ("+.5", 0.5), ("-1.", -1.0), ("1e-3", np.float32(0.001)), ("1E0", 1.0)):
        assert GAME.parse_action(text) == struct.pack("<f", torque)
    for text in ("", "2.01", "-3", "nan", "inf", "1e400", "0x1", "1_0", "١", "1,5", "--1", "e1"):
        with pytest.raises(BadActionText, match="type a number from -2 to 2"):
            GAME.parse_action(text)


def test_render_shows_the_rod_and_numbers() -> None:
    assert GAME.render_text(pack(math.pi / 4, -1.5, steps=20)) == "\n".join(
        [
            ".................",
            "..@..............",
            "...**............",
            ".....***.........",
            ".......*o........",
            ".................",
            ".................",
            ".................",
            ".................",
            "theta +0.7854 rad, -1.5000 rad/s",
            "step 20 of 200: goes on",
        ]
    )
    hanging = GAME.render_text(pack(math.pi, 0.0, steps=200)).splitlines()
    assert [line[8] for line in hanging[:9]] == [".", ".", ".", ".", "o", "*", "*", "*", "@"]
    assert hanging[-1] == "step 200 of 200: time is up"


def test_render_refuses_impossible_states() -> None:
    with pytest.raises(BadState):
        GAME.render_text(b"\xff" * 24)
