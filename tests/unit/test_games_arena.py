"""The arena equals a plain-Python reference in play; its symmetries, its words, and what it refuses."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import arena_oracle as oracle
from games import registry
from games.arena.arenas import MAPS
from games.arena.kernels import HORIZON
from games.arena.loadouts import ACTIONS
from games.arena.state import AGENTS, STATE, STATE_BYTES, typed
from games.batch import Outcomes, Positions
from games.encodings import decode_actions, encode_actions
from games.errors import BadActionText, BadHint, BadState, IllegalAction
from games.moves import random_actions
from turned_arena import ACROSS, turned_actions, turned_obs, turned_states

GAME = registry.get("arena")
SPEC = GAME.spec
ROWS = tuple(grid_map.rows for grid_map in MAPS)
ZEROS = np.zeros(1, np.uint64)

Column = npt.NDArray[np.uint8]


def played(episodes: int, *, seed: int) -> Iterator[tuple[Positions, Column, Outcomes]]:
    """Random play to the ends of so many episodes: positions, actions, outcomes."""
    generator = np.random.default_rng(seed)
    position = GAME.reset(generator.integers(0, 2**64, episodes, np.uint64))
    while len(position):
        actions = random_actions(GAME, position, generator)
        outcome = GAME.step(position.states, actions)
        yield position, actions, outcome
        going = np.flatnonzero((outcome.terminated | outcome.truncated) == 0)
        position = GAME.observe(np.ascontiguousarray(outcome.positions.states[going]))


PLAY = tuple(played(24, seed=8))


def joint(*numbers: int) -> Column:
    return encode_actions(SPEC.encoding.action, np.array([numbers]))


def words(text: str) -> Column:
    return np.frombuffer(GAME.parse_action(text), np.uint8).reshape(1, -1)


def drawn(picture: str, *, flag: int = 120, steps: int = 0, health: tuple[int, ...] = (2, 3, 2, 3)) -> Column:
    """A state on map 0 with agents by their letters, who is not drawn out: its upper rows, as far as of interest."""
    flat = "".join(row.ljust(11) for row in picture.split("/"))
    cells = [flat.find(letter) % 256 for letter in "SGsg"]
    left = [points if cell != 255 else 0 for points, cell in zip(health, cells, strict=True)]
    head = np.zeros(20, np.uint8)
    head[16:] = 0, oracle.status_of(left, steps), steps, flag
    return np.concatenate([head, np.array([*cells, *left], np.uint8)]).reshape(1, -1)


def letters(states: Column) -> str:
    """Where the agents are, e.g. "S0 G1 s- g3"."""
    cells = typed(states)[0]["cells"].tolist()
    return " ".join(f"{a}{'-' if cell == 255 else cell}" for a, cell in zip("SGsg", cells, strict=True))


def float_rows(rows: list[list[float]]) -> bytes:
    return np.array(rows, np.float32).tobytes()


def test_starts_equal_the_reference() -> None:
    seeds = np.array([0, 1, 2, 2**32, 2**63, 2**64 - 1, *range(100, 140)], np.uint64)
    for hint in (b"", *(bytes([number]) for number in range(len(MAPS)))):
        start = GAME.reset(seeds, hint)
        wanted = [oracle.start(ROWS, seed, hint[0] if hint else None) for seed in seeds.tolist()]
        assert start.states.tobytes() == b"".join(position.state() for position in wanted)
        assert start.players.tolist() == [0] * len(seeds)
    assert set(typed(GAME.reset(seeds).states)["map"].tolist()) == set(range(len(MAPS)))


def test_steps_equal_the_reference() -> None:
    for position, actions, outcome in PLAY:
        numbers = decode_actions(SPEC.encoding.action, actions).tolist()
        for row, state in enumerate(map(bytes, position.states)):
            before = oracle.Position.of(state)
            wanted = oracle.step(ROWS[before.map], before, tuple(numbers[row]))
            assert bytes(outcome.positions.states[row]) == wanted.position.state()
            assert tuple(outcome.rewards[row].tolist()) == wanted.rewards
            assert int(outcome.info[row]) == wanted.info
            assert bool(outcome.terminated[row]) == (wanted.position.status in (1, 2, 3))
            assert bool(outcome.truncated[row]) == (wanted.position.status == 4)


def test_masks_equal_the_reference() -> None:
    for _, _, outcome in PLAY:
        after = outcome.positions
        for state, masks in zip(map(bytes, after.states), after.legal_masks.tolist(), strict=True):
            position = oracle.Position.of(state)
            assert masks == oracle.masks(ROWS[position.map], position)


def test_observations_equal_the_reference() -> None:
    for _, _, outcome in PLAY[::3]:
        after = outcome.positions
        for state, obs in zip(map(bytes, after.states), after.obs, strict=True):
            position = oracle.Position.of(state)
            rows = ROWS[position.map]
            for agent in range(4):
                part = obs[SPEC.agent_obs(agent)]
                assert part.tobytes() == float_rows([oracle.observation(rows, position, agent)])


def test_an_observation_shows_ground_agents_and_flag_by_sign() -> None:
    # The red scout on c1 sees its hurt ally to the left, the wall below, a hurt opponent and the flag to the right.
    state = drawn("G.S.s....../g", flag=27, health=(1, 2, 1, 3))
    part = GAME.observe(state).obs[0, SPEC.agent_obs(0)]
    ground, agents = part[:162].reshape(2, 9, 9)
    assert ground[3:6, 2:7].tolist() == [[0] * 5, [1] * 5, [1, 1, -1, 1, 1]]  # the upper row is off the map
    assert agents[4:6, 2:7].tolist() == [[np.float32(2 / 3), 0, 0, 0, -0.5], [-1, 0, 0, 0, 0]]
    assert part[162:].tolist() == [1, 0.5, 0.75, 0, np.float32(0.2), 0.5, np.float32(2 / 3), 1]


def test_play_met_everything_that_can_happen() -> None:
    info = np.concatenate([outcome.info for _, _, outcome in PLAY])
    for bit in range(16):
        assert (info >> np.uint64(bit) & np.uint64(1)).any(), f"info bit {bit}"
    ends = set((info >> np.uint64(16) & np.uint64(255)).tolist())
    assert ends >= {0, 1, 2}


def test_rewards_sum_to_zero_at_every_step() -> None:
    for _, _, outcome in PLAY:
        assert (outcome.rewards.sum(axis=1) == 0).all()


def test_the_horizon_truncates() -> None:
    state = drawn("S.........s//G.........g", steps=HORIZON - 1)
    outcome = GAME.step(state, joint(0, 0, 0, 0))
    assert (outcome.terminated[0], outcome.truncated[0]) == (0, 1)
    assert not outcome.positions.legal_masks.any()
    with pytest.raises(BadState, match="the episode has ended"):
        GAME.step(outcome.positions.states, joint(0, 0, 0, 0))


@pytest.mark.parametrize(
    ("picture", "action", "after"),
    [
        ("S.........s//G.........g", "east south west south", "S1 G33 s9 g43"),
        ("S.s//G.........g", "e - w -", "S0 G22 s2 g32"),  # two want one cell
        ("Ss//G.........g", "e - w -", "S0 G22 s1 g32"),  # two want each other's
        ("SGs//..........g", "e e - -", "S0 G1 s2 g32"),  # a queue behind one who stays
        ("SGsg", "e e e -", "S0 G1 s2 g3"),  # of four
        ("SGs//..........g", "e e e -", "S1 G2 s3 g32"),  # a queue that moves
        ("S.sg//G", "e - w w", "S0 G22 s2 g3"),  # in the way is one who wanted to leave
        ("SG/sg", "e s n w", "S1 G12 s0 g11"),  # around in a ring of four
        ("Sg/.G/..........s", "se n - w", "S12 G1 s32 g0"),  # and of three
        ("Ss//G.........g", "se - sw -", "S12 G22 s11 g32"),  # crosswise
    ],
)
def test_moves_are_settled_together(picture: str, action: str, after: str) -> None:
    state = drawn(picture)
    wanted = oracle.step(ROWS[0], oracle.Position.of(bytes(state[0])), tuple(words(action).view("<u4")[0]))
    outcome = GAME.step(state, words(action))
    assert bytes(outcome.positions.states[0]) == wanted.position.state()
    assert letters(outcome.positions.states) == after
    assert int(outcome.info[0]) == wanted.info


def test_shots_hit_together_and_the_out_leave_before_the_moves() -> None:
    # The scouts put each other out; the red guard moves to where the red scout was.
    state = drawn("GS.s.......g", health=(1, 3, 1, 3))
    outcome = GAME.step(state, words("shoot-scout east shoot-scout stay"))
    assert letters(outcome.positions.states) == "S- G1 s- g11"
    assert outcome.rewards[0].tolist() == [0, 0, 0, 0]
    assert int(outcome.info[0]) & 0xFFFF == 0b0000_0000_0101_1010
    assert outcome.positions.legal_masks[0, [0, 2]].tolist() == [1, 1]


def test_a_team_that_is_out_has_lost() -> None:
    state = drawn("GS.s", health=(2, 3, 1, 3))
    outcome = GAME.step(state, words("shoot-scout shoot-scout stay stay"))
    assert outcome.rewards[0].tolist() == [3, 3, -4, -2]  # both hits count
    assert (outcome.terminated[0], int(typed(outcome.positions.states)[0]["status"])) == (1, 1)
    both = GAME.step(drawn("S.s", health=(1, 3, 1, 3)), words("shoot-scout stay shoot-scout stay"))
    assert both.rewards[0].tolist() == [0, 0, 0, 0]
    assert (both.terminated[0], int(typed(both.positions.states)[0]["status"])) == (1, 3)


def test_the_flag_is_worth_one_and_appears_elsewhere() -> None:
    state = drawn("S.........s...........G.........g", flag=1)
    outcome = GAME.step(state, words("east stay stay stay"))
    after = typed(outcome.positions.states)[0]
    assert outcome.rewards[0].tolist() == [1, 0, -0.5, -0.5]
    assert int(outcome.info[0]) >> 12 & 15 == 1
    assert int(after["flag"]) not in after["cells"].tolist()
    assert int(after["counter"]) == 1


def test_neither_team_has_the_better_side() -> None:
    for position, actions, outcome in PLAY:
        mirror = GAME.observe(turned_states(position.states))
        assert (mirror.obs == turned_obs(position.obs)).all()
        numbers = turned_actions(decode_actions(SPEC.encoding.action, actions))
        other = GAME.step(mirror.states, encode_actions(SPEC.encoding.action, numbers))
        assert (other.rewards == outcome.rewards[:, ACROSS]).all()
        assert (other.terminated == outcome.terminated).all()
        wanted = turned_states(outcome.positions.states)
        taken = (outcome.info >> np.uint64(12) & np.uint64(15)) > 0
        wanted[taken, 19] = other.positions.states[taken, 19]  # drawn anew, so not the turned one
        assert other.positions.states.tobytes() == wanted.tobytes()


@settings(max_examples=400, deadline=None)
@given(st.permutations([0, 1, 2, 11, 12, 22, 23]), st.sets(st.integers(0, 3)), st.integers(0, 2**32 - 1))
def test_a_crowd_moves_as_the_reference_says(cells: list[int], out: set[int], seed: int) -> None:
    left = [0 if agent in out else int(points) for agent, points in enumerate((2, 3, 2, 3))]
    if not any(left[:2]) or not any(left[2:]):
        return
    places = [255 if agent in out else cells[agent] for agent in range(4)]
    state = drawn("", flag=cells[4])
    state[0, 17:20] = 0, 50, cells[4]
    state[0, 20:] = [*places, *left]
    position = GAME.observe(state)
    actions = random_actions(GAME, position, np.random.default_rng(seed))
    numbers = decode_actions(SPEC.encoding.action, actions)[0].tolist()
    wanted = oracle.step(ROWS[0], oracle.Position.of(bytes(state[0])), tuple(numbers))
    outcome = GAME.step(state, actions)
    assert bytes(outcome.positions.states[0]) == wanted.position.state()
    assert tuple(outcome.rewards[0].tolist()) == wanted.rewards
    assert int(outcome.info[0]) == wanted.info


@pytest.mark.parametrize(
    ("at", "bytes_", "reason"),
    [
        (16, [4], r"the map \(byte 16\) is above 3"),
        (17, [1], "status"),
        (17, [4], "status"),
        (18, [101], "steps"),
        (18, [100], "status"),
        (19, [13], "flag"),  # a wall
        (19, [121], "flag"),
        (19, [255], "flag"),
        (19, [0], "flag"),  # under an agent
        (20, [13], "an agent"),
        (20, [121], "an agent"),
        (20, [255], "an agent"),  # out, with health
        (20, [10], "an agent"),  # in another's cell
        (24, [3], "an agent"),
        (24, [0], "an agent"),  # in, without health
        (20, [255, 255, 10, 32, 0, 0, 2, 3], "status"),
    ],
)
def test_an_impossible_state_is_refused_with_its_row_and_bytes(
    at: int, bytes_: list[int], reason: str
) -> None:
    states = np.concatenate([drawn("S.........s//G.........g")] * 3)
    states[1, at : at + len(bytes_)] = bytes_
    assert not oracle.is_position(ROWS, bytes(states[1]))
    for call in (lambda: GAME.observe(states), lambda: GAME.step(states, np.zeros((3, 16), np.uint8))):
        with pytest.raises(BadState, match=reason) as refused:
            call()
        assert (refused.value.row, refused.value.value) == (1, bytes(states[1]))
        assert "\n" not in str(refused.value)


@settings(max_examples=500, deadline=None)
@given(
    st.integers(0, len(PLAY) - 1),
    st.lists(st.tuples(st.integers(16, 27), st.integers(0, 255)), max_size=3),
    st.binary(min_size=16, max_size=16),
)
def test_changed_bytes_are_taken_exactly_if_they_fit(
    at: int, changes: list[tuple[int, int]], action: bytes
) -> None:
    state = PLAY[at][2].positions.states[:1].copy()
    for offset, byte in changes:
        state[0, offset] = byte
    if oracle.is_position(ROWS, bytes(state[0])):
        assert np.isfinite(GAME.observe(state).obs).all()
        with pytest.raises((BadState, IllegalAction)):
            GAME.step(state, np.frombuffer(action + b"\xff", np.uint8)[1:].reshape(1, -1))
    else:
        with pytest.raises(BadState):
            GAME.observe(state)


@given(st.binary(min_size=28, max_size=28), st.binary(min_size=16, max_size=16))
def test_any_bytes_are_refused_or_stepped(state: bytes, action: bytes) -> None:
    states, actions = (np.frombuffer(row, np.uint8).reshape(1, -1) for row in (state, action))
    assert not oracle.is_position(ROWS, state)  # by luck one in 10^13
    with pytest.raises(BadState):
        GAME.step(states, actions)


def test_exactly_the_actions_of_the_masks_are_taken() -> None:
    for position, actions, _ in PLAY[::5]:
        state, given_numbers = position.states[:1], decode_actions(SPEC.encoding.action, actions)[0]
        for agent, known in enumerate(SPEC.agents):
            for number in [*range(known.actions + 2), 256, 2**32 - 1]:
                numbers = given_numbers.copy()
                numbers[agent] = number
                encoded = encode_actions(SPEC.encoding.action, numbers.reshape(1, -1))
                if number < 64 and int(position.legal_masks[0, agent]) >> number & 1:
                    GAME.step(state, encoded)
                    continue
                with pytest.raises(IllegalAction, match=rf"{AGENTS[agent]} .*{number}"):
                    GAME.step(state, encoded)


@pytest.mark.parametrize("hint", [b"\x04", b"\xff", b"0", b"\x00\x00", b"map 1"])
def test_a_hint_that_names_no_map_is_refused(hint: bytes) -> None:
    with pytest.raises(BadHint, match="arena takes 1 byte, the number of a map, 0-3"):
        GAME.reset(ZEROS, hint)


def test_loadouts_differ_and_the_spec_says_so() -> None:
    assert [agent.name for agent in SPEC.agents] == list(AGENTS)
    assert [agent.actions for agent in SPEC.agents] == [11, 7, 11, 7]
    assert [agent.obs_shape for agent in SPEC.agents] == [(170,), (106,), (170,), (106,)]
    assert (SPEC.reward_width, SPEC.mask_words, SPEC.obs_size) == (4, 4, 552)
    assert (STATE.itemsize, SPEC.state_bytes, SPEC.grid) == (STATE_BYTES, STATE_BYTES, (11, 11))


def test_what_is_hidden_changes_no_observation() -> None:
    # The blue guard behind the wall at c2, to the eyes of the red scout left of it.
    here, there = (drawn(f"/.S.{hidden}/s/G", steps=9) for hidden in ("g", ".g"))
    one, other = (GAME.observe(state).obs[0, SPEC.agent_obs(0)] for state in (here, there))
    assert (one == other).all()
    seen = GAME.observe(drawn("g/.S/s/G", steps=9)).obs[0, SPEC.agent_obs(0)]
    assert (one != seen).any()


def test_every_map_is_fair_and_hangs_together() -> None:
    for grid_map in MAPS:
        assert (grid_map.walls == grid_map.walls[::-1, ::-1]).all()
        free = set(grid_map.open_cells.tolist())
        found, fresh = set[int](), {min(free)}
        while fresh:
            found |= fresh
            across = {to for cell in fresh for to in (cell - 1, cell + 1) if to // 11 == cell // 11}
            fresh = (across | {cell + down for cell in fresh for down in (-11, 11)}) & free - found
        assert found == free, grid_map.name


def test_actions_go_both_ways_in_words() -> None:
    for scout in range(11):
        for guard in range(7):
            action = joint(scout, guard, 10 - scout, 6 - guard).tobytes()
            text = GAME.action_text(action)
            assert text.split()[:2] == [ACTIONS[0][scout], ACTIONS[1][guard]]
            assert (
                GAME.parse_action(text)
                == GAME.parse_action(f" {text.upper().replace(' ', ', ')}\n")
                == action
            )
            assert GAME.parse_action(f"{scout} {guard} {10 - scout} {6 - guard}") == action
    assert GAME.parse_action("nw s - shoot-guard") == joint(5, 2, 0, 6).tobytes()
    with pytest.raises(IllegalAction, match="red_guard has no action 7; give 0-6"):
        GAME.action_text(joint(0, 7, 0, 0).tobytes())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "0 actions; type one each for red_scout"),
        ("north north north", "3 actions"),
        ("north nw north north", "red_guard has no 'nw'; type one of stay, north"),
        ("north 7 north north", "red_guard has no '7'"),
        ("up stay stay stay", "red_scout has no 'up'"),
    ],
)
def test_a_move_that_is_not_one_is_refused_in_words(text: str, message: str) -> None:
    with pytest.raises(BadActionText, match=message):
        GAME.parse_action(text)


def test_render_shows_the_map_with_everything_on_it() -> None:
    lines = GAME.render_text(bytes(drawn("S.........s//G", steps=7, health=(1, 3, 2, 3))[0])).splitlines()
    assert lines[:4] == [
        "   a b c d e f g h i j k",
        " 1 S . . . . . . . . . s",
        " 2 . . # . . # . . # . .",
        " 3 G . . . . . . . . . .",
    ]
    assert lines[11:] == [
        "11 . . . . . . . . . . *",
        "S red_scout at a1, health 1 of 2",
        "G red_guard at a3, health 3 of 3",
        "s blue_scout at k1, health 2 of 2",
        "g blue_guard is out",
        "map 0 (pillars), step 7 of 100, goes on",
    ]
    with pytest.raises(BadState):
        GAME.render_text(b"\xff" * 28)
