"""Conformance finds what is broken, each kind of breakage by its own words, and passes what is sound."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable

import numpy as np
import pytest

from broken_games import BROKEN
from games import registry
from games.checks.memory import UNKNOWN, digest
from games.conformance import CHECKS, Expected, Nonconformity, check_game, main, random_actions
from games.contract import Box, Game, decode_actions
from games.moves import box_bounds
from remembering_games import REMEMBERING
from sound_games import SOUND, Drift, Walkers


@pytest.mark.parametrize("game", SOUND, ids=lambda game: game.__name__)
def test_a_sound_game_conforms_and_the_report_names_every_check(game: type[Game]) -> None:
    report = check_game(game(), seed=1, rows=16, processes=0)
    assert [checked.name for checked in report.checked] == list(CHECKS)
    assert all(checked.times or checked.note for checked in report.checked)


@pytest.mark.parametrize(
    ("game", "words"), (BROKEN | REMEMBERING).items(), ids=lambda value: getattr(value, "__name__", "")
)
def test_a_broken_game_is_found_in_one_line_that_names_it(game: type[Game], words: str) -> None:
    made = game()
    with pytest.raises(Nonconformity) as found:
        check_game(made, seed=1, rows=16, processes=0)
    assert re.search(words, str(found.value)), str(found.value)
    assert str(found.value).startswith(f"{made.spec.env_id}: ")
    assert "\n" not in str(found.value)


def drift_in_plain_python(state: bytes, action: bytes) -> Expected:
    seed, place, steps = struct.unpack("<QfB", state)
    mixed = (seed + steps) * 0x9E3779B97F4A7C15 % 2**64
    rudder, oar = struct.unpack("<2f", action)
    chance = np.float32(mixed >> 40) / np.float32(2**24)
    place = np.float32(place) + (np.float32(rudder) + np.float32(oar)) + chance - np.float32(0.5)
    out, late = bool(abs(place) > 3), steps + 1 == 20
    return struct.pack("<QfB", seed, place, steps + 1), -abs(float(place)), out, late and not out


def test_steps_are_compared_with_a_reference_in_plain_python() -> None:
    report = check_game(Drift(), seed=1, rows=16, processes=0, reference=drift_in_plain_python)
    note = next(checked.note for checked in report.checked if checked.name == "random play")
    assert re.search(r"; \d\d+ steps equal the reference", note)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (
            lambda after, reward, over, late: (bytes(len(after)), reward, over, late),
            "state is .*, by the reference 0000",
        ),
        (lambda after, reward, over, late: (after, reward - 1, over, late), "rewards is"),
        (
            lambda after, reward, over, late: (after, reward, not over, late),
            "terminated is False, by the reference True",
        ),
        (
            lambda after, reward, over, late: (after, reward, over, not late),
            "truncated is False, by the reference True",
        ),
    ],
)
def test_a_step_that_is_not_the_references_is_found(
    changed: Callable[[bytes, float, bool, bool], Expected], words: str
) -> None:
    def reference(state: bytes, action: bytes) -> Expected:
        after, reward, over, late = drift_in_plain_python(state, action)
        assert isinstance(reward, float)
        return changed(after, reward, over, late)

    with pytest.raises(Nonconformity, match=f"drift: action .* in state .*: {words}"):
        check_game(Drift(), seed=1, rows=16, processes=0, reference=reference)


def test_a_hint_that_should_be_understood_and_is_not_is_found() -> None:
    with pytest.raises(Nonconformity, match="hint 0x3939 is refused, and its author says"):
        check_game(Walkers(), seed=1, rows=4, processes=0, hints=[b"7", b"99"])
    report = check_game(Walkers(), seed=1, rows=4, processes=0, hints=[b"7", b"3"])
    assert any(checked.name == "reset hints" and "understood" in checked.note for checked in report.checked)


def test_older_states_that_the_author_gives_must_be_taken() -> None:
    older = [("state:packed_u8:v1", bytes((3, 2, 5, 5))), ("state:packed_u8:v1", bytes((4, 4, 5, 5)))]
    gridworld = registry.get("gridworld")
    report = check_game(gridworld, seed=1, rows=4, processes=0, older=older)
    assert next(checked.times for checked in report.checked if checked.name == "older states") == 2
    for name, row, words in (
        (
            "state:packed_u8:v1",
            bytes(4),
            r"state 0x00000000 of 'state:packed_u8:v1', which its author gives, is",
        ),
        (
            "state:packed_u8:v7",
            bytes(4),
            "gives states of 'state:packed_u8:v7', which spec.decodes does not name",
        ),
    ):
        with pytest.raises(Nonconformity, match=words):
            check_game(gridworld, seed=1, rows=4, processes=0, older=[(name, row)])


def test_what_chance_hides_is_said_not_to_have_been_looked_at() -> None:
    notes = {
        checked.name: checked.note for checked in check_game(Drift(), seed=1, rows=8, processes=0).checked
    }
    assert notes["perfect information"].endswith("was not compared, as chance plays")
    notes = {
        checked.name: checked.note for checked in check_game(Walkers(), seed=1, rows=8, processes=0).checked
    }
    assert notes["chance"] == "says that it is not stochastic; what is hidden might be chance: not looked at"


def test_a_long_game_is_played_for_so_many_steps_and_the_report_says_so() -> None:
    report = check_game(registry.get("2048"), seed=1, rows=8, steps=20, processes=0)
    note = next(checked.note for checked in report.checked if checked.name == "random play")
    assert note == (
        "0 of 8 episodes to their end, the others for 20 steps: a horizon of 131068 was not reached; "
        "no reference given"
    )


@pytest.mark.parametrize(("rows", "steps"), [(1, 10), (2, 0)])
def test_too_little_play_is_refused(rows: int, steps: int) -> None:
    with pytest.raises(ValueError, match=f"rows = {rows}, steps = {steps}: give at least 2 rows and 1 step"):
        check_game(Drift(), seed=1, rows=rows, steps=steps)


def test_random_actions_are_legal_and_all_of_them_come() -> None:
    generator = np.random.default_rng(1)
    for game in (Walkers(), Drift(), registry.get("mastermind")):
        start = game.reset(np.arange(2000, dtype=np.uint64))
        game.step(start.states, random_actions(game, start, generator))
    lanes = Walkers()
    start = lanes.reset(np.zeros(3000, np.uint64))
    start.legal_masks[:, 1] = 0b101
    numbers = decode_actions("action:u32x2:v1", random_actions(lanes, start, generator))
    for agent, choices in ((0, (0, 1)), (1, (0, 2))):
        found, counts = np.unique(numbers[:, agent], return_counts=True)
        assert tuple(found.tolist()) == choices
        assert counts.min() > 1300  # 1500 +- 27
    box = decode_actions(
        "action:f32x2:v1", random_actions(Drift(), Drift().reset(np.zeros(4000, np.uint64)), generator)
    )
    assert box.min(axis=0) == pytest.approx([-1, 0], abs=0.01)
    assert box.max(axis=0) == pytest.approx([1, 0.5], abs=0.01)
    assert box.mean(axis=0) == pytest.approx([0, 0.25], abs=0.05)


def test_a_bound_that_there_is_not_is_drawn_near_the_other() -> None:
    inf = float("inf")
    low, high = box_bounds(Box((-inf, -inf, 3.0, -1.0), (inf, 5.0, inf, 1.0), (4,)))
    assert low.tolist() == [-1, 3, 3, -1]
    assert high.tolist() == [1, 5, 5, 1]


def test_the_digest_is_printed_and_an_unknown_game_has_its_own_exit_code(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["digest", "tictactoe", "--seed", "2"]) == 0
    assert capsys.readouterr().out == digest(registry.get("tictactoe"), seed=2) + "\n"
    assert main(["digest", "chess"]) == UNKNOWN
    assert capsys.readouterr().err.startswith("env_id 'chess': no such game")


def test_a_game_that_only_this_process_knows_is_said_not_to_be_checked_in_others() -> None:
    registry.register("drift", Drift)
    try:
        report = check_game(registry.get("drift"), seed=1, rows=4, processes=1)
    finally:
        registry.unregister("drift")
    assert report.checked[-1].note == "registered in this process only: no other process can make it"
    assert check_game(Walkers(), seed=1, rows=4).checked[-1].note.startswith("not registered under its name")
