"""Samples per insert: the bound holds, and nobody waits for ever, however late announcements are."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actor.allowance import Allowance
from cartridge.errors import UsageError
from cartridge.wish import Wish, spec_of
from learner.limiter import Limiter
from streams.records import RunSpec, WeightsPublished


def limiter_of(*, ratio: float = 2.0, min_rows: int = 10, ahead: int = 20) -> Limiter:
    return Limiter(samples_per_insert=ratio, min_rows=min_rows, ahead=ahead)


def excess(limiter: Limiter) -> float:
    """r * (inserted - m) - sampled, which the docstring bounds."""
    return limiter.samples_per_insert * (limiter.inserted - limiter.min_rows) - limiter.sampled


def test_nothing_is_sampled_before_the_first_rows_are_there() -> None:
    limiter = limiter_of()
    limiter.inserted = 9
    assert not limiter.may_sample(1)
    limiter.inserted = 10
    assert limiter.may_sample(20)
    assert not limiter.may_sample(21)


def test_before_any_sample_there_is_room_for_the_first_rows_and_the_bound() -> None:
    assert limiter_of(ratio=2.0, min_rows=10, ahead=20).allowed_rows == 20


def test_the_ratio_counts_from_the_first_sample_on() -> None:
    limiter = limiter_of()
    assert limiter.ratio == 0
    limiter.inserted, limiter.sampled = 30, 50
    assert limiter.ratio == 2.5


@pytest.mark.parametrize("name", ["samples_per_insert", "min_rows", "ahead"])
@pytest.mark.parametrize("value", [0, -1])
def test_an_impossible_setting_is_refused(name: str, value: int) -> None:
    good = {"samples_per_insert": 1.0, "min_rows": 1, "ahead": 1}
    with pytest.raises(ValueError, match=f"{name} is {value}: it must be above 0"):
        Limiter(**(good | {name: value}))  # type: ignore[arg-type]


@given(
    ratio=st.floats(0.05, 20),
    min_rows=st.integers(1, 200),
    ahead=st.integers(1, 500),
    moves=st.lists(st.tuples(st.booleans(), st.integers(1, 64)), max_size=200),
)
def test_the_bound_holds_whenever_both_sides_obey(
    ratio: float, min_rows: int, ahead: int, moves: list[tuple[bool, int]]
) -> None:
    limiter = limiter_of(ratio=ratio, min_rows=min_rows, ahead=ahead)
    for inserts, rows in moves:
        if inserts:
            limiter.inserted = min(limiter.inserted + rows, max(limiter.allowed_rows, limiter.inserted))
        elif limiter.may_sample(rows):
            limiter.sampled += rows
        assert excess(limiter) <= ahead + 1e-6
        if limiter.inserted >= min_rows:
            assert excess(limiter) >= -ahead - 1e-6
        else:
            assert limiter.sampled == 0


@dataclass
class Actor:
    """One actor: it hears late, and its rows arrive late."""

    allowance: Allowance
    starts: int
    ears: deque[tuple[int, WeightsPublished]] = field(default_factory=deque)  # (when it is heard, what)
    unsent: int = 0  # rows made that a crash would lose


@dataclass
class Loop:
    """The learner and its actors, tick by tick."""

    spec: RunSpec
    hear_ticks: int
    arrive_ticks: int
    starts: list[int]
    restarts: dict[int, int]  # tick -> actor that is killed then, and comes back
    now: int = 0
    made: int = 0
    lost: int = 0
    gradient_steps: int = 0
    pipe: deque[tuple[int, int]] = field(default_factory=deque)  # (when inserted, rows)

    def __post_init__(self) -> None:
        spec = self.spec
        self.limiter = Limiter(
            samples_per_insert=spec.samples_per_insert,
            min_rows=spec.min_window_rows,
            ahead=spec.samples_ahead,
        )
        self.actors = [Actor(Allowance(actors=spec.actors), starts) for starts in self.starts]
        self.newest = self.publish()

    def publish(self) -> WeightsPublished:
        weights = WeightsPublished(
            run="r",
            version=0,
            checkpoint="",
            manifest_sha256="",
            gradient_steps=self.gradient_steps,
            samples=self.limiter.sampled,
            inserted_rows=self.limiter.inserted,
            allowed_rows=self.limiter.allowed_rows,
            evaluation={},
            verdict="",
            final=False,
            published_us=0,
        )
        self.newest = weights
        for actor in self.actors:
            actor.ears.append((self.now + self.hear_ticks, weights))
        return weights

    def tick(self) -> None:
        self.now += 1
        if (victim := self.restarts.get(self.now)) is not None:
            actor = self.actors[victim % len(self.actors)]
            self.lost += actor.unsent
            fresh = Actor(Allowance(actors=self.spec.actors), max(self.now, actor.starts))
            fresh.ears.append((self.now, self.newest))
            self.actors[victim % len(self.actors)] = fresh
        for actor in self.actors:
            self.play(actor)
        self.learn()

    def play(self, actor: Actor) -> None:
        if self.now < actor.starts:
            actor.ears = deque(list(actor.ears)[-1:])  # who comes late reads the newest record
            return
        while actor.ears and actor.ears[0][0] <= self.now:
            actor.allowance.grant(actor.ears.popleft()[1])
        if actor.unsent:
            self.pipe.append((self.now + self.arrive_ticks, actor.unsent))
            actor.unsent = 0
        if actor.allowance.open:
            batch = self.spec.environments
            actor.allowance.spend(batch)
            actor.unsent = batch
            self.made += batch

    def learn(self) -> None:
        while self.pipe and self.pipe[0][0] <= self.now:
            self.limiter.inserted += self.pipe.popleft()[1]
        spec = self.spec
        while self.limiter.may_sample(spec.batch_size):
            self.limiter.sampled += spec.batch_size
            self.gradient_steps += 1
            if self.gradient_steps % spec.publish_period == 0:
                self.publish()

    def check(self) -> None:
        """The limiter's bound, with what actors may overshoot by, and what restarts gave out twice."""
        spec = self.spec
        slack = spec.samples_per_insert * (spec.actors * spec.environments + 1)
        if not self.restarts and not any(self.starts):
            assert excess(self.limiter) <= spec.samples_ahead + slack + 1e-6
        if self.limiter.inserted >= spec.min_window_rows:
            assert excess(self.limiter) >= -spec.samples_ahead - 1e-6


def least_admitted(wish: Wish) -> RunSpec:
    """The spec of `wish` with as small an error bound as is admitted."""
    low, high = 0, 1
    while not admitted(replace(wish, samples_ahead=high)):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if admitted(replace(wish, samples_ahead=middle)):
            high = middle
        else:
            low = middle
    return spec_of(replace(wish, samples_ahead=high))


def admitted(wish: Wish) -> bool:
    try:
        spec_of(wish)
    except UsageError as error:
        assert str(error).startswith("samples_ahead is ")  # noqa: PT017  nothing else is wrong with it
        return False
    return True


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_run_that_is_admitted_never_stands_still(data: st.DataObject) -> None:
    actors = data.draw(st.integers(1, 3))
    spec = least_admitted(
        Wish(
            env_id="tictactoe",
            actors=actors,
            environments=data.draw(st.integers(1, 32)),
            batch_size=data.draw(st.integers(1, 32)),
            publish_period=data.draw(st.integers(1, 8)),
            samples_per_insert=data.draw(st.sampled_from([0.1, 0.5, 1.0, 4.0, 16.0])),
            min_window_rows=data.draw(st.integers(1, 200)),
        )
    )
    late, restarts = data.draw(st.booleans()), data.draw(st.booleans())
    starts = [data.draw(st.integers(0, 200)) if late and actor else 0 for actor in range(actors)]
    loop = Loop(
        spec,
        hear_ticks=data.draw(st.integers(0, 7)),
        arrive_ticks=data.draw(st.integers(0, 7)),
        starts=starts,
        restarts=data.draw(st.dictionaries(st.integers(1, 200), st.integers(0, actors - 1), max_size=6))
        if restarts
        else {},
    )
    for _ in range(250):
        loop.tick()
        loop.check()
    before = loop.gradient_steps
    for _ in range(250):
        loop.tick()
        loop.check()
    assert loop.gradient_steps > before


def test_who_never_comes_holds_nobody_up_for_ever() -> None:
    # Two actors are wanted and one is there: after a while it takes again what the other leaves.
    spec = spec_of(Wish(env_id="tictactoe", actors=2))
    loop = Loop(spec, hear_ticks=1, arrive_ticks=5, starts=[0, 10**9], restarts={})
    for _ in range(2000):
        loop.tick()
    stands = loop.gradient_steps
    for _ in range(20):
        loop.actors[0].allowance.retake()
        for _ in range(200):
            loop.tick()
            loop.check()
    assert loop.gradient_steps > 2 * stands
