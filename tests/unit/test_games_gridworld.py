"""Gridworld's kernels equal a plain-Python reference, and states of the first layout are still read."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from games import registry
from games.contract import encode_discrete
from games.errors import BadActionText, BadBatch, BadEncoding, BadHint, BadState, IllegalAction
from games.gridworld.state import STATE, typed
from plain_chacha import PlainCursor

GAME = registry.get("gridworld")
SIDES = st.integers(2, 16)
MOVES = [(0, -1), (0, 1), (-1, 0), (1, 0)]

# As a `state:packed_u8:v1` game wrote them: x, y, w, h. The last one had arrived.
RECORDED_V1 = ["00000505", "03010505", "0f0e1010", "00010203", "04040505"]


class Reference:
    """The rules with coordinates and dictionaries; no code in common with the kernels."""

    def __init__(self, x: int, y: int, w: int, h: int, steps: int = 0) -> None:
        self.x, self.y, self.w, self.h, self.steps = x, y, w, h, steps

    @classmethod
    def start(cls, seed: int, w: int, h: int) -> Reference:
        cells = [(x, y) for y in range(h) for x in range(w) if (x, y) != (w - 1, h - 1)]
        x, y = cells[PlainCursor(seed, 0).below(len(cells))]
        return cls(x, y, w, h)

    @property
    def possible(self) -> bool:
        sizes = range(2, 17)
        return (
            self.w in sizes
            and self.h in sizes
            and self.x in range(self.w)
            and self.y in range(self.h)
            and self.steps <= 4 * self.w * self.h
        )

    @property
    def arrived(self) -> bool:
        return (self.x, self.y) == (self.w - 1, self.h - 1)

    @property
    def late(self) -> bool:
        return not self.arrived and self.steps == 4 * self.w * self.h

    @property
    def ended(self) -> bool:
        return self.arrived or self.steps == 4 * self.w * self.h

    def play(self, action: int) -> Reference:
        x, y = self.x + MOVES[action][0], self.y + MOVES[action][1]
        inside = x in range(self.w) and y in range(self.h)
        return Reference(*((x, y) if inside else (self.x, self.y)), self.w, self.h, self.steps + 1)

    def state(self) -> bytes:
        return bytes([self.x, self.y, self.w, self.h]) + self.steps.to_bytes(2, "little")

    def obs(self) -> list[float]:
        parts = [(self.x, self.w - 1), (self.y, self.h - 1), (self.w, 16), (self.h, 16)]
        return [float(np.float32(part) / np.float32(whole)) for part, whole in parts]

    def info(self) -> int:
        return self.steps + (self.w - 1 - self.x + self.h - 1 - self.y) * 65536


def rows_of(references: list[Reference]) -> npt.NDArray[np.uint8]:
    return np.frombuffer(b"".join(one.state() for one in references), np.uint8).reshape(-1, 6)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 2**64 - 1), max_size=12), SIDES, SIDES)
def test_a_reset_draws_the_start_as_the_reference_does(seeds: list[int], w: int, h: int) -> None:
    start = GAME.reset(np.array(seeds, np.uint64), bytes([w, h]))
    references = [Reference.start(seed, w, h) for seed in seeds]
    assert list(map(bytes, start.states)) == [one.state() for one in references]
    assert start.obs.tolist() == [one.obs() for one in references]
    assert start.legal_masks.tolist() == [[15]] * len(seeds)
    assert start.players.tolist() == [0] * len(seeds)


def test_starts_are_all_cells_but_the_goal_alike() -> None:
    count = 24_000
    start = typed(GAME.reset(np.arange(count, dtype=np.uint64)).states)
    seen = Counter(zip(start["x"].tolist(), start["y"].tolist(), strict=True))
    assert sorted(seen) == sorted(set(itertools.product(range(5), repeat=2)) - {(4, 4)})
    assert max(abs(times - count / 24) for times in seen.values()) < 5 * (count / 24) ** 0.5


@pytest.mark.parametrize(("w", "h"), [(2, 2), (5, 5), (3, 7), (16, 16), (2, 16)])
def test_every_step_from_every_cell_equals_the_reference(w: int, h: int) -> None:
    horizon = 4 * w * h
    before = [
        Reference(x, y, w, h, steps)
        for x in range(w)
        for y in range(h)
        for steps in (0, 1, min(255, horizon - 2), horizon - 1)
        if (x, y) != (w - 1, h - 1)
    ]
    for action in range(4):
        outcome = GAME.step(rows_of(before), encode_discrete(np.full(len(before), action)))
        after = [one.play(action) for one in before]
        assert list(map(bytes, outcome.positions.states)) == [one.state() for one in after]
        assert outcome.positions.obs.tolist() == [one.obs() for one in after]
        assert outcome.positions.legal_masks[:, 0].tolist() == [15 * (not one.ended) for one in after]
        assert outcome.positions.players.tolist() == [0] * len(after)
        assert outcome.rewards.tolist() == [float(one.arrived) for one in after]
        assert outcome.terminated.tolist() == [int(one.arrived) for one in after]
        assert outcome.truncated.tolist() == [int(one.late) for one in after]
        assert outcome.info.tolist() == [one.info() for one in after]


@pytest.mark.parametrize(("w", "h"), [(2, 2), (5, 5), (16, 16)])
def test_an_episode_that_never_arrives_is_cut_off_at_its_horizon(w: int, h: int) -> None:
    position = GAME.reset(np.zeros(1, np.uint64), bytes([w, h]))
    for step in range(1, 4 * w * h + 1):
        outcome = GAME.step(position.states, encode_discrete(np.array([2])))  # left, at the end of nowhere
        assert (int(outcome.truncated[0]), int(outcome.terminated[0])) == (int(step == 4 * w * h), 0)
        position = outcome.positions
    assert 4 * w * h <= GAME.spec.max_horizon
    with pytest.raises(BadState, match="has ended"):
        GAME.step(position.states, encode_discrete(np.array([3])))


def test_the_shortest_way_takes_as_many_steps_as_info_says() -> None:
    position = GAME.reset(np.arange(300, dtype=np.uint64), b"\x06\x09")
    start = typed(position.states)
    left = (5 - start["x"].astype(int)) + (8 - start["y"].astype(int))
    for step in range(1, 14):
        x = typed(position.states)["x"]
        outcome = GAME.step(position.states, encode_discrete(np.where(x < 5, 3, 1)))
        assert (outcome.info >> np.uint64(16)).tolist() == (left - step).tolist()
        assert outcome.terminated.tolist() == (left == step).tolist()
        position = GAME.observe(np.ascontiguousarray(outcome.positions.states[left > step]))
        left = left[left > step]
    assert len(left) == 0


@pytest.mark.parametrize(
    ("hint", "message"),
    [
        (b"\x05", "hint = 0x05: 1 bytes; give 2 bytes, columns and rows, 2-16 each"),
        (b"\x05\x05\x05", "3 bytes"),
        (bytes(100), "100 bytes"),
        (b"\x01\x05", "hint = 0x0105: a grid of 1 by 5; give 2 bytes"),
        (b"\x05\x00", "5 by 0"),
        (b"\x11\x05", "17 by 5"),
        (b"\x05\xff", "5 by 255"),
    ],
)
def test_a_hint_that_is_no_size_is_refused(hint: bytes, message: str) -> None:
    with pytest.raises(BadHint, match=message) as refused:
        GAME.reset(np.zeros(2, np.uint64), hint)
    assert len(str(refused.value)) < 160


def test_an_empty_hint_is_5_by_5_and_the_seed_alone_decides() -> None:
    seeds = np.arange(50, dtype=np.uint64)
    assert GAME.reset(seeds).states.tobytes() == GAME.reset(seeds, b"\x05\x05").states.tobytes()
    assert GAME.reset(seeds).states[:, 2:].tolist() == [[5, 5, 0, 0]] * 50


def test_recorded_states_of_the_first_layout_are_still_read() -> None:
    old = np.frombuffer(bytes.fromhex("".join(RECORDED_V1)), np.uint8).reshape(-1, 4)
    new = GAME.upgrade_states("state:packed_u8:v1", old)
    assert [bytes(row).hex() for row in new] == [recorded + "0000" for recorded in RECORDED_V1]
    positions = GAME.observe(new)
    assert positions.legal_masks[:, 0].tolist() == [15, 15, 15, 15, 0]
    after = GAME.step(np.ascontiguousarray(new[:4]), encode_discrete(np.array([1, 3, 1, 0])))
    assert [bytes(row).hex() for row in after.positions.states] == [
        "000105050100",
        "040105050100",
        "0f0f10100100",
        "000002030100",
    ]
    assert after.terminated.tolist() == [0, 0, 1, 0]


def test_impossible_states_of_the_first_layout_are_refused() -> None:
    with pytest.raises(BadState, match=r"states\[1\] = 0x050005050000: x, y"):
        GAME.upgrade_states("state:packed_u8:v1", np.array([[0, 0, 5, 5], [5, 0, 5, 5]], np.uint8))
    with pytest.raises(BadBatch, match=r"states: is uint8\[1, 6\]; give uint8\[1, 4\]"):
        GAME.upgrade_states("state:packed_u8:v1", np.zeros((1, 6), np.uint8))
    with pytest.raises(BadEncoding, match="v3"):
        GAME.upgrade_states("state:packed_u8:v3", np.zeros((1, 6), np.uint8))


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ("00 00 01 05 00 00", "the size"),
        ("00 00 05 00 00 00", "the size"),
        ("00 00 11 05 00 00", "the size"),
        ("00 00 05 ff 00 00", "the size"),
        ("05 00 05 05 00 00", "outside of the grid"),
        ("00 05 05 05 00 00", "outside of the grid"),
        ("00 00 05 05 65 00", "more steps"),
        ("00 00 05 05 00 01", "more steps"),
        ("00 00 10 10 01 04", "more steps"),
        ("04 04 05 05 03 00", "has ended"),
        ("00 00 05 05 64 00", "has ended"),
    ],
)
def test_an_impossible_or_ended_state_is_refused_with_its_row_and_bytes(state: str, reason: str) -> None:
    rows = GAME.reset(np.zeros(3, np.uint64)).states
    rows[1] = np.frombuffer(bytes.fromhex(state), np.uint8)
    before = rows.copy()
    with pytest.raises(BadState, match=reason) as refused:
        GAME.step(rows, encode_discrete(np.array([0, 4, 0])))
    assert refused.value.row == 1
    assert refused.value.value == bytes.fromhex(state)
    assert "\n" not in str(refused.value)
    assert (rows == before).all()


@pytest.mark.parametrize("action", [4, 255, 256, 65536, 2**24, 2**32 - 1])
def test_an_action_that_is_no_direction_is_refused(action: int) -> None:
    start = GAME.reset(np.zeros(2, np.uint64))
    with pytest.raises(IllegalAction, match=rf"actions\[1\] = .*: {action} is no direction") as refused:
        GAME.step(start.states, encode_discrete(np.array([0, action])))
    assert refused.value.row == 1
    with pytest.raises(IllegalAction, match="is no direction"):
        GAME.action_text(action.to_bytes(4, "little"))


BYTE = st.integers(0, 255)
STATES = st.builds(lambda row, steps: (*row, steps), st.tuples(BYTE, BYTE, BYTE, BYTE), st.integers(0, 65535))
NEAR = st.builds(
    lambda w, h, x, y, steps: (min(x, w), min(y, h), w, h, max(0, min(steps, 4 * w * h + 1))),
    *(st.integers(1, 17), st.integers(1, 17), st.integers(0, 17), st.integers(0, 17), st.integers(0, 1200)),
)


@settings(max_examples=400, deadline=None)
@given(STATES | NEAR, st.integers(0, 4) | st.integers(0, 2**32 - 1))
def test_any_bytes_are_stepped_as_the_reference_does_or_refused(
    fields: tuple[int, int, int, int, int], action: int
) -> None:
    one = Reference(*fields)
    row = rows_of([one])
    if not one.possible:
        with pytest.raises(BadState):
            GAME.observe(row)
    else:
        assert GAME.observe(row).obs.tolist() == [one.obs()]
    if one.possible and not one.ended and action < 4:
        outcome = GAME.step(row, encode_discrete(np.array([action])))
        assert outcome.positions.states.tobytes() == one.play(action).state()
    else:
        with pytest.raises(BadState if not one.possible or one.ended else IllegalAction):
            GAME.step(row, encode_discrete(np.array([action])))


def test_typed_state_and_bytes_are_the_same_memory() -> None:
    states = rows_of([Reference(1, 2, 3, 4, 40)]).copy()
    assert STATE.itemsize == 6
    assert typed(states).tolist() == [(1, 2, 3, 4, 40)]
    typed(states)["steps"] = 300
    assert states[0, 4:].tolist() == [44, 1]


def test_moves_have_names() -> None:
    names = [GAME.action_text(row.tobytes()) for row in encode_discrete(np.arange(4))]
    assert names == ["up", "down", "left", "right"]
    for action, name in enumerate(names):
        for text in (name, f" {name.upper()}\n", name[0], str(action)):
            assert GAME.parse_action(text) == action.to_bytes(4, "little")


@pytest.mark.parametrize("text", ["", "4", "-1", "upp", "north", "²"])
def test_a_move_that_is_not_one_is_refused_in_words(text: str) -> None:
    with pytest.raises(BadActionText, match="type up, down, left or right"):
        GAME.parse_action(text)


def test_render_shows_walker_and_goal_and_refuses_impossible_states() -> None:
    assert GAME.render_text(Reference(1, 0, 3, 2, 7).state()) == ". @ .\n. . G\nstep 7 of 24"
    assert GAME.render_text(Reference(2, 1, 3, 2, 7).state()).endswith("@\nstep 7 of 24, at the goal")
    assert GAME.render_text(Reference(0, 1, 3, 2, 24).state()).endswith("G\nstep 24 of 24, out of time")
    with pytest.raises(BadState):
        GAME.render_text(Reference(0, 0, 1, 1).state())
