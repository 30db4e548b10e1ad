"""What a person may ask of a run: everything else is refused by field and value, before anything is written."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import Any

import pytest

from cartridge.errors import UsageError
from cartridge.wish import Wish, spec_of
from games import registry
from streams.records import RunSpec


def wish(**changes: Any) -> Wish:
    return Wish(**({"env_id": "tictactoe", "run": "mine"} | changes))


def test_the_spec_is_the_wish() -> None:
    asked = wish(seed=7, hidden=(8, 4), where="step < 3", exploration=0.25)
    spec = spec_of(asked)
    assert (spec.wanted, spec.hidden, spec.run) == ("RUNNING", [8, 4], "mine")
    for field in fields(Wish):
        if field.name != "hidden":
            assert getattr(spec, field.name) == getattr(asked, field.name)
    assert spec.submitted_us > 1_600_000_000_000_000


def test_every_setting_of_a_run_can_be_asked_for() -> None:
    asked = {field.name for field in fields(Wish)}
    assert {field.name for field in fields(RunSpec)} == asked | {"wanted", "submitted_us"}


def test_the_defaults_are_possible() -> None:
    assert spec_of(Wish(env_id="tictactoe")).stop_when == "unbeatable"


def test_a_run_without_a_name_gets_one_of_its_own() -> None:
    names = {spec_of(wish(run="")).run for _ in range(50)}
    assert len(names) == 50
    assert all(re.fullmatch(r"tictactoe-\d{4}-\d{6}-[0-9a-f]{4}", name) for name in names)


def test_a_game_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(UsageError, match=r"chess.*tictactoe"):
        spec_of(wish(env_id="chess"))


@pytest.mark.parametrize("name", ["a b", "-a", "_a", "a/b", "ä", "a" * 64, "a\n", "../x", "'", "a.b"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=r"^run is "):
        spec_of(wish(run=name))


@pytest.mark.parametrize("name", ["a", "A-1_b", "0", "a" * 63])
def test_a_name_of_letters_digits_and_dashes_is_taken(name: str) -> None:
    assert spec_of(wish(run=name)).run == name


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("algorithm", "ppo"),
        ("seed", -1),
        ("seed", 2**63),
        ("actors", 0),
        ("actors", 4097),
        ("environments", 0),
        ("environments", 65_537),
        ("chunk_steps", 0),
        ("chunk_steps", 4097),
        ("exploration", -0.1),
        ("exploration", 1.1),
        ("exploration", float("nan")),
        ("learning_rate", 0.0),
        ("learning_rate", 1.5),
        ("learning_rate", float("nan")),
        ("batch_size", 0),
        ("discount", -0.5),
        ("discount", 1.01),
        ("target_period", 0),
        ("publish_period", 0),
        ("window_rows", 0),
        ("min_window_rows", 0),
        ("samples_per_insert", 0.0),
        ("samples_per_insert", float("inf")),
        ("samples_ahead", 0),
        ("max_gradient_steps", -1),
        ("hidden", ()),
        ("hidden", (64, 0)),
        ("hidden", (65_537,)),
        ("stop_when", "perfect"),
    ],
)
def test_an_impossible_setting_is_refused_by_field_and_value(field: str, value: Any) -> None:
    with pytest.raises(UsageError, match=f"^{field} is ") as error:
        spec_of(wish(**{field: value}))
    shown = list(value) if isinstance(value, tuple) else value
    assert repr(shown) in str(error.value) or str(shown) in str(error.value)
    assert error.value.exit_code == 2
    assert "\n" not in str(error.value)


def test_a_window_that_never_fills_is_refused() -> None:
    # The first gradient step waits for min_window_rows: with fewer than that in the window it would learn too early,
    # and the setting would not mean what it says.
    with pytest.raises(UsageError, match="window_rows is 100"):
        spec_of(wish(window_rows=100, min_window_rows=200))


def test_actors_and_learner_never_wait_for_each_other() -> None:
    with pytest.raises(UsageError, match="samples_ahead is 999: it must be at least"):
        spec_of(wish(samples_ahead=999, batch_size=10, publish_period=100))


@pytest.mark.parametrize("env_id", registry.names())
def test_what_suits_a_game_is_possible(env_id: str) -> None:
    assert spec_of(Wish.of(env_id)).env_id == env_id


def test_what_is_given_goes_before_what_suits_the_game() -> None:
    assert Wish.of("cartpole").discount != 0.5
    assert Wish.of("cartpole", discount=0.5).discount == 0.5


@pytest.mark.parametrize(
    ("env_id", "stop_when", "known"),
    [
        ("tictactoe", "return>=1", "for tictactoe there is unbeatable"),
        ("connect4", "unbeatable", "for connect4 there is return>=NUMBER"),
        ("cartpole", "return>400", "for cartpole there is return>=NUMBER"),
    ],
)
def test_a_run_stops_for_what_its_game_is_judged_by(env_id: str, stop_when: str, known: str) -> None:
    with pytest.raises(UsageError, match=f"^stop_when is '{stop_when}': {known}"):
        spec_of(Wish.of(env_id, stop_when=stop_when))
    assert spec_of(Wish.of(env_id, stop_when="")).stop_when == ""


@pytest.mark.parametrize("hint", ["5", "zz", "ffff", "0505050505050505050505050505"])
def test_a_hint_that_the_game_does_not_take_is_refused_with_what_it_takes(hint: str) -> None:
    with pytest.raises(UsageError, match=f"^hint is '{hint}': .*gridworld: .+"):
        spec_of(Wish.of("gridworld", hint=hint))
    with pytest.raises(UsageError, match="tictactoe: takes none"):
        spec_of(Wish.of("tictactoe", hint="05"))


def test_a_hint_that_the_game_takes_is_the_runs() -> None:
    assert spec_of(Wish.of("gridworld", hint="0704")).hint == "0704"
