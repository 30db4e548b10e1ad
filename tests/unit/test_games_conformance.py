"""Conformance finds what is broken, each kind of breakage by its own words, and passes what is sound."""

from __future__ import annotations

import re

import pytest

from broken_games import BROKEN
from games.conformance import CHECKS, Nonconformity, check_game
from games.contract import Game
from remembering_games import REMEMBERING
from sound_games import SOUND


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
