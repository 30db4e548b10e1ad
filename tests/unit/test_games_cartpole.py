"""CartPole equals Gymnasium's CartPole-v1, and refuses states that no play leads to."""

from __future__ import annotations

import math
import struct
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from games import registry
from games.cartpole import kernels
from games.cartpole.state import STATE, typed
from games.contract import encode_discrete
from games.errors import BadActionText, BadHint, BadState, IllegalAction
from games.trigonometry import sincos
from plain_chacha import PlainCursor

GAME = registry.get("cartpole")
DEGREES_12 = 12 * 2 * math.pi / 360  # not math.radians(12), which is the neighbouring float
ROWS = 20_000

Floats = npt.NDArray[np.float64]


def pack(*numbers: float, steps: int) -> bytes:
    return struct.pack("<4dQ", *numbers, steps)


def rows_of(*states: bytes) -> npt.NDArray[np.uint8]:
    return np.frombuffer(b"".join(states), np.uint8).reshape(-1, 40)


def numbers_of(states: npt.NDArray[np.uint8]) -> Floats:
    numbers: Floats = states.view("<f8").reshape(-1, 5)[:, :4]
    return numbers


def cartpole() -> Any:
    env = gymnasium.make("CartPole-v1", disable_env_checker=True)
    env.reset(seed=1)
    return env


class Reference:
    """What is accepted and what ended, in the words of the layout's table; no code in common with the kernels."""

    def __init__(self, state: bytes) -> None:
        self.numbers: tuple[float, ...] = struct.unpack("<4d8x", state)
        self.x, _, self.theta, _ = self.numbers
        self.steps = int.from_bytes(state[32:], "little")

    @property
    def fallen(self) -> bool:
        return not (-2.4 <= self.x <= 2.4 and -DEGREES_12 <= self.theta <= DEGREES_12)

    @property
    def goes_on(self) -> bool:
        return not self.fallen and self.steps < 500

    @property
    def possible(self) -> bool:
        if not all(math.isfinite(number) for number in self.numbers) or self.steps > 500:
            return False
        if self.steps == 0:
            return max(map(abs, self.numbers)) <= DEGREES_12
        bounds = (7.3, 242, 0.65, 23) if self.fallen else (2.4, 241, DEGREES_12, 22)
        return not any(abs(number) > bound for number, bound in zip(self.numbers, bounds, strict=True))


def random_states(rows: int) -> npt.NDArray[np.uint8]:
    """States that go on, spread wider than play does."""
    generator = np.random.default_rng(8)
    states = np.zeros((rows, 40), np.uint8)
    records = typed(states)
    records["x"] = generator.uniform(-2.4, 2.4, rows)
    records["x_dot"] = generator.normal(0, 2, rows)
    records["theta"] = generator.uniform(-0.2094, 0.2094, rows)
    records["theta_dot"] = generator.normal(0, 3, rows)
    records["steps"] = generator.integers(1, 500, rows)
    return states


def test_the_constants_are_gymnasiums() -> None:
    env = cartpole()
    theirs = env.unwrapped
    assert theirs.gravity == kernels.GRAVITY
    assert theirs.total_mass == kernels.TOTAL_MASS
    assert theirs.polemass_length == kernels.POLE_MASS_LENGTH
    assert theirs.length == kernels.HALF_LENGTH
    assert (theirs.force_mag, theirs.tau) == (kernels.FORCE, kernels.STEP_S)
    assert (theirs.x_threshold, theirs.theta_threshold_radians) == (kernels.LARGEST_X, kernels.LARGEST_THETA)
    assert kernels.HORIZON == GAME.spec.max_horizon == env.spec.max_episode_steps


def test_a_step_from_any_state_is_gymnasiums_bit_for_bit() -> None:
    states = random_states(ROWS)
    actions = np.random.default_rng(9).integers(0, 2, ROWS)
    outcome = GAME.step(states, encode_discrete(actions))
    after, before = numbers_of(outcome.positions.states), numbers_of(states)
    env = cartpole().unwrapped
    expected, ends, rewards = np.empty_like(after), [], []
    for row in range(ROWS):
        env.state, env.steps_beyond_terminated = before[row], None
        _, reward, terminated, _, _ = env.step(int(actions[row]))
        expected[row] = env.state
        ends.append(terminated)
        rewards.append(reward)
    assert outcome.terminated.astype(bool).tolist() == ends
    assert outcome.rewards.tolist() == rewards
    # numpy takes sine and cosine from the C library, which now and then gives the neighbour of the nearest float.
    angles = np.ascontiguousarray(before[:, 2])
    sines, cosines = np.empty(ROWS), np.empty(ROWS)
    sincos(angles, sines, cosines)
    agree = (sines == np.sin(angles)) & (cosines == np.cos(angles))
    assert agree.mean() > 0.99
    assert after[agree].tobytes() == expected[agree].tobytes()
    np.testing.assert_allclose(after, expected, rtol=0, atol=1e-14)
    assert outcome.positions.obs[agree].tobytes() == expected[agree].astype(np.float32).tobytes()


@pytest.mark.parametrize("balanced", [False, True])
def test_whole_episodes_are_gymnasiums(balanced: bool) -> None:
    env, generator, lengths = cartpole(), np.random.default_rng(2), []
    for seed in range(8):
        position = GAME.reset(np.array([seed], np.uint64))
        env.reset()
        env.unwrapped.state = numbers_of(position.states)[0].copy()
        ended = False
        while not ended:
            x, x_dot, theta, theta_dot = position.obs[0].tolist()
            lean = theta + 0.3 * theta_dot + 0.05 * x + 0.1 * x_dot
            action = int(lean > 0) if balanced else int(generator.integers(2))
            outcome = GAME.step(position.states, encode_discrete(np.array([action])))
            obs, reward, terminated, truncated, _ = env.step(action)
            position, ended = outcome.positions, terminated or truncated
            np.testing.assert_allclose(numbers_of(position.states)[0], env.unwrapped.state, rtol=0, atol=1e-9)
            np.testing.assert_allclose(position.obs[0], obs, rtol=1e-6, atol=1e-6)
            assert (outcome.rewards[0], outcome.terminated[0], outcome.truncated[0]) == (
                reward,
                terminated,
                truncated,
            )
        lengths.append(int(outcome.info[0]))
        assert typed(position.states)["steps"][0] == lengths[-1]
    assert (set(lengths) == {500}) == balanced


def test_who_falls_at_the_last_step_has_terminated_only() -> None:
    # The one difference: Gymnasium's time limit says truncated as well; docs/adr/0012.
    state = rows_of(pack(2.39, 3.0, 0.0, 0.0, steps=499))
    outcome = GAME.step(state, encode_discrete(np.array([1])))
    env = cartpole()
    env.unwrapped.state, env._elapsed_steps = numbers_of(state)[0], 499
    assert env.step(1)[2:4] == (True, True)
    assert (outcome.terminated[0], outcome.truncated[0]) == (1, 0)
    assert outcome.positions.legal_masks[0, 0] == 0


@pytest.mark.parametrize("rows", [1, 127, 128, 129, 1000])
def test_a_row_goes_the_same_way_in_a_batch_of_any_size_and_from_any_address(rows: int) -> None:
    states, actions = random_states(rows), encode_discrete(np.arange(rows) % 2)
    shifted = np.frombuffer(b"?" + states.tobytes(), np.uint8, offset=1).reshape(rows, 40)
    together = GAME.step(shifted, actions)
    for row in range(rows):
        alone = GAME.step(states[row : row + 1], actions[row : row + 1])
        assert alone.positions.states.tobytes() == together.positions.states[row].tobytes()
        assert alone.positions.obs.tobytes() == together.positions.obs[row].tobytes()
        assert alone.terminated[0] == together.terminated[row]


@pytest.mark.parametrize(
    ("hint", "low", "high"), [(b"", -0.05, 0.05), (struct.pack("<2d", -0.2, 0.1), -0.2, 0.1)]
)
def test_a_start_is_drawn_from_the_seeds_first_words(hint: bytes, low: float, high: float) -> None:
    seeds = np.array([0, 1, 7, 2**64 - 1, *range(100, 400)], np.uint64)
    start = GAME.reset(seeds, hint)
    for seed, state in zip(seeds.tolist(), start.states, strict=True):
        cursor = PlainCursor(seed, 0)
        expected = [low + (high - low) * cursor.uniform() for _ in range(4)]
        assert state.tobytes() == pack(*expected, steps=0)
    numbers = numbers_of(start.states)
    assert low <= numbers.min() < low + 0.01
    assert high - 0.01 < numbers.max() <= high
    assert start.obs.tobytes() == numbers.astype(np.float32).tobytes()
    assert set(start.legal_masks[:, 0].tolist()) == {3}


def test_a_start_of_no_width_and_of_the_whole_one_goes_on() -> None:
    for low, high in ((0.0, 0.0), (DEGREES_12, DEGREES_12), (-DEGREES_12, DEGREES_12)):
        start = GAME.reset(np.arange(500, dtype=np.uint64), struct.pack("<2d", low, high))
        assert np.abs(numbers_of(start.states)).max() <= DEGREES_12
        GAME.step(start.states, encode_discrete(np.zeros(500, np.int64)))


@pytest.mark.parametrize(
    ("hint", "message"),
    [
        (b"ab", "hint = 0x6162: 2 bytes; give 16 bytes, low and high"),
        (struct.pack("<2d", 0.1, 0.0), r"low = 0.1, high = 0.0; give"),
        (struct.pack("<2d", -0.21, 0.0), r"low = -0.21"),
        (struct.pack("<2d", 0.0, math.inf), r"high = inf"),
        (struct.pack("<2d", math.nan, 0.0), r"low = nan"),
    ],
)
def test_a_hint_that_makes_no_sense_is_refused(hint: bytes, message: str) -> None:
    with pytest.raises(BadHint, match=message):
        GAME.reset(np.zeros(1, np.uint64), hint)


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (pack(0, 0, 0, 0, steps=501), "above 500"),
        (pack(0, 0, 0, 0, steps=2**63), "above 500"),
        (pack(0.3, 0, 0, 0, steps=0), "steps .* are 0"),
        (pack(0, 0, 0, math.nan, steps=0), "steps .* are 0"),
        (pack(math.nan, 0, 0, 0, steps=1), r"x \(bytes 0-7\)"),
        (pack(-7.4, 0, 0, 0, steps=1), r"x \(bytes 0-7\)"),
        (pack(0, 241.5, 0, 0, steps=1), r"x_dot \(bytes 8-15\)"),
        (pack(0, -math.inf, 0, 0, steps=1), r"x_dot \(bytes 8-15\)"),
        (pack(0, 0, 0.66, 0, steps=1), r"theta \(bytes 16-23\)"),
        (pack(0, 0, math.nan, 0, steps=1), r"theta \(bytes 16-23\)"),
        (pack(0, 0, 0, -22.5, steps=1), r"theta_dot \(bytes 24-31\)"),
        (pack(0, 0, 0, math.nan, steps=500), r"theta_dot \(bytes 24-31\)"),
        (pack(2.41, 0, 0, 0, steps=9), "episode has ended"),
        (pack(0, 0, 0.21, 0, steps=9), "episode has ended"),
        (pack(0, 0, 0, 0, steps=500), "episode has ended"),
    ],
)
def test_an_impossible_or_ended_state_is_refused_with_its_row_and_bytes(state: bytes, reason: str) -> None:
    rows = random_states(300)
    rows[200] = np.frombuffer(state, np.uint8)
    before = rows.copy()
    with pytest.raises(BadState, match=reason) as refused:
        GAME.step(rows, encode_discrete(np.zeros(300, np.int64)))
    assert (refused.value.row, refused.value.value) == (200, state)
    assert (rows == before).all()


@pytest.mark.parametrize("action", [2, 256, 2**16, 2**32 - 1])
def test_an_action_that_is_no_push_is_refused(action: int) -> None:
    actions = np.zeros(300, np.int64)
    actions[131] = action
    with pytest.raises(
        IllegalAction, match=rf"push {action} is neither 0 \(left\) nor 1 \(right\)"
    ) as refused:
        GAME.step(random_states(300), encode_discrete(actions))
    assert refused.value.row == 131
    with pytest.raises(IllegalAction, match=f"push {action}"):
        GAME.action_text(action.to_bytes(4, "little"))


EDGES = st.sampled_from(
    [
        bound * sign * (1 + nudge)
        for bound in (2.4, DEGREES_12, 22.0, 23.0, 241.0, 242.0, 7.3, 0.65)
        for sign in (1, -1)
        for nudge in (0.0, 1e-15, -1e-15)
    ]
)
NUMBERS = st.floats() | st.floats(-0.3, 0.3) | EDGES
STEPS = st.integers(0, 501) | st.sampled_from([0, 1, 499, 500, 501, 2**64 - 1])


@settings(max_examples=1000, deadline=None)
@given(st.tuples(NUMBERS, NUMBERS, NUMBERS, NUMBERS), STEPS, st.integers(0, 2))
def test_a_state_is_accepted_as_the_layout_says_and_its_successor_too(
    numbers: tuple[float, ...], steps: int, action: int
) -> None:
    state = pack(*numbers, steps=steps)
    expected = Reference(state)
    row, pushes = rows_of(state), encode_discrete(np.array([action]))
    if not expected.possible:
        with pytest.raises(BadState, match=r"no push|no reset|above 500"):
            GAME.observe(row)
    else:
        position = GAME.observe(row)
        assert position.legal_masks[0, 0] == (3 if expected.goes_on else 0)
        assert position.states.tobytes() == state
    if not expected.possible or not expected.goes_on:
        with pytest.raises(BadState):
            GAME.step(row, pushes)
    elif action > 1:
        with pytest.raises(IllegalAction):
            GAME.step(row, pushes)
    else:
        outcome = GAME.step(row, pushes)
        successor = Reference(outcome.positions.states.tobytes())
        assert successor.possible
        assert outcome.terminated[0] == successor.fallen
        assert outcome.truncated[0] == (not successor.fallen and steps == 499)
        assert outcome.info[0] == successor.steps == steps + 1
        assert GAME.observe(outcome.positions.states).obs.tobytes() == outcome.positions.obs.tobytes()


def test_typed_state_and_bytes_are_the_same_memory() -> None:
    states = random_states(3)
    typed(states)["theta"][2] = 0.125
    assert STATE.itemsize == GAME.spec.state_bytes
    assert states[2, 16:24].tobytes() == struct.pack("<d", 0.125)


def test_pushes_go_through_their_text() -> None:
    for push, name in enumerate(("left", "right")):
        action = push.to_bytes(4, "little")
        assert GAME.action_text(action) == name
        assert GAME.parse_action(f" {name.upper()}\n") == GAME.parse_action(str(push)) == action
    for text in ("", "2", "-1", "up", "l eft"):
        with pytest.raises(BadActionText, match="type left or right, or 0 or 1"):
            GAME.parse_action(text)


def test_render_shows_cart_pole_and_numbers() -> None:
    assert GAME.render_text(pack(0.5, -0.25, 0.2, 1.0, steps=17)) == "\n".join(
        [
            "                                 |",
            "                                 /",
            "                                |",
            "                                /",
            "                               |",
            "  ----------------------------[o]------------------",
            "-2.4                      0                      2.4",
            "x +0.5000 m, -0.2500 m/s; theta +0.2000 rad, +1.0000 rad/s",
            "step 17 of 500: goes on",
        ]
    )


@pytest.mark.parametrize(
    ("state", "line"),
    [
        (pack(0, 0, -0.22, 0, steps=9), "step 9 of 500: the pole has fallen"),
        (pack(-7.2, -240, 0, 0, steps=9), "step 9 of 500: the cart has left the track"),
        (pack(7.2, 240, 0.64, 0, steps=9), "step 9 of 500: the pole has fallen"),
        (pack(0, 0, 0, 0, steps=500), "step 500 of 500: time is up"),
    ],
)
def test_render_says_how_it_ended(state: bytes, line: str) -> None:
    lines = GAME.render_text(state).splitlines()
    assert lines[-1] == line
    assert len(lines) == 9
    assert max(map(len, lines[:7])) <= 60


def test_render_refuses_impossible_states() -> None:
    with pytest.raises(BadState):
        GAME.render_text(bytes(39) + b"\xff")
