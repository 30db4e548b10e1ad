"""How far one actor may run ahead: its part of what the run is allowed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actor.allowance import Allowance
from streams.records import WeightsPublished


def announced(*, allowed: int, inserted: int = 0, version: int = 0) -> WeightsPublished:
    return WeightsPublished(
        run="r",
        version=version,
        checkpoint="c",
        manifest_sha256="",
        gradient_steps=0,
        samples=0,
        inserted_rows=inserted,
        allowed_rows=allowed,
        evaluation={},
        verdict="",
        final=False,
        published_us=0,
    )


def test_nobody_plays_before_the_first_announcement() -> None:
    assert not Allowance(actors=1).open


def test_an_actor_has_its_part_of_what_is_allowed() -> None:
    allowance = Allowance(actors=4)
    allowance.grant(announced(allowed=1000))
    assert allowance.left == 250


def test_it_closes_when_its_part_is_spent_and_opens_with_the_next_announcement() -> None:
    allowance = Allowance(actors=2)
    allowance.grant(announced(allowed=200))
    allowance.spend(100)
    assert not allowance.open
    allowance.grant(announced(allowed=260, inserted=100))
    assert allowance.left == 30


def test_what_was_overspent_is_taken_from_the_next_grant() -> None:
    allowance = Allowance(actors=1)
    allowance.grant(announced(allowed=100))
    allowance.spend(128)
    allowance.grant(announced(allowed=120))
    assert not allowance.open
    allowance.grant(announced(allowed=140))
    assert allowance.left == 12


def test_an_older_or_repeated_announcement_changes_nothing() -> None:
    allowance = Allowance(actors=1)
    allowance.grant(announced(allowed=100))
    allowance.spend(40)
    for allowed in (100, 50, 0):
        allowance.grant(announced(allowed=allowed))
        assert allowance.left == 60
    allowance.grant(announced(allowed=110))
    assert allowance.left == 70


def test_who_starts_late_takes_its_part_of_what_is_not_inserted_yet() -> None:
    late = Allowance(actors=2)
    late.grant(announced(allowed=10_000, inserted=9_000))
    assert late.left == 500


def test_who_starts_late_when_all_is_inserted_waits_for_more() -> None:
    late = Allowance(actors=2)
    late.grant(announced(allowed=10_000, inserted=10_128))
    assert not late.open
    late.grant(announced(allowed=11_000, inserted=10_500))
    assert late.left == 500


def test_who_is_held_may_take_again_what_was_not_inserted_less_what_it_spent_since() -> None:
    allowance = Allowance(actors=2)
    allowance.grant(announced(allowed=1000))
    allowance.spend(512)
    allowance.grant(announced(allowed=1100, inserted=600))  # the other actor is not there
    assert allowance.left == 1000 / 2 - 512 + 100 / 2
    allowance.spend(64)
    allowance.retake()
    assert allowance.left == (1100 - 600) / 2 - 64
    allowance.spend(500)
    allowance.retake()
    assert not allowance.open


def test_taking_again_takes_nothing_away() -> None:
    allowance = Allowance(actors=2)
    allowance.grant(announced(allowed=1000))
    allowance.grant(announced(allowed=1100, inserted=1090))
    before = allowance.left
    allowance.retake()
    assert allowance.left == before


@given(
    steps=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 500), st.integers(1, 64)), max_size=60),
    actors=st.integers(1, 4),
)
def test_all_actors_together_stay_within_what_is_allowed_and_a_batch_each(
    steps: list[tuple[int, int, int]], actors: int
) -> None:
    allowances = [Allowance(actors=actors) for _ in range(actors)]
    allowed = made = 0
    largest = [0] * actors
    for allowance in allowances:
        allowance.grant(announced(allowed=0))
    for who, growth, batch in steps:
        allowed += growth
        for allowance in allowances:
            allowance.grant(announced(allowed=allowed))
        player = allowances[who % actors]
        while player.open:
            player.spend(batch)
            made += batch
            largest[who % actors] = max(largest[who % actors], batch)
        assert made <= allowed + sum(largest) + 1e-6


@pytest.mark.parametrize("actors", [0, -1])
def test_a_run_without_actors_is_refused(actors: int) -> None:
    with pytest.raises(ValueError, match=f"actors is {actors}: it must be at least 1"):
        Allowance(actors=actors)
