"""Sealed shards reach the learner: each once, in order, from where there is room, and again after a restart."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chunk_samples import FLOATS, placed, sample_chunk, spec_of
from games.choices import Choices
from learner.errors import BadRun, BadShard
from learner.feed import Loaded, ShardFeed
from sealed_shards import seal
from stage import Stage, until
from streams.records import ShardSealed


def shard_of(stage: Stage, offset: int, *, run: str = "mine", **changes: Any) -> ShardSealed:
    """Stores a shard of 2 messages of 8 rows at `offset`. Returns its announcement, not yet made."""
    folder = Path(stage.settings.home)
    chunks = [placed(sample_chunk(at, run=run), 0, at) for at in (offset, offset + 1)]
    shard = seal(folder, chunks, **changes)
    stage.store().put(shard.object, (folder / shard.object).read_bytes())
    return shard


@contextmanager
def feeding(stage: Stage) -> Iterator[ShardFeed]:
    feed = ShardFeed(stage.settings)
    try:
        yield feed
    finally:
        feed.close()
        assert feed.failure is None


def subscribe(feed: ShardFeed, run: str = "mine", *, where: str = "", capacity: int = 10**6) -> int:
    return feed.subscribe(run, where=where, choices=Choices(spec_of(FLOATS)), capacity=capacity)


def take(feed: ShardFeed, count: int, run: str = "mine") -> list[Loaded]:
    """The next `count` shards."""
    found: list[Loaded] = []

    def arrived() -> bool:
        if len(found) < count:
            feed.wait(0.05)
            loaded = feed.take(run)
            found.extend([loaded] if loaded is not None else [])
        return len(found) == count

    until(arrived, f"only {len(found)} of {count} shards came")
    return found


def offsets(loaded: list[Loaded]) -> list[int]:
    return [item.shard.first_offset for item in loaded]


def test_shards_come_in_the_order_of_their_announcement(stage: Stage) -> None:
    stage.store()
    with feeding(stage) as feed:
        assert subscribe(feed) == 0
        stage.say("shards", *(shard_of(stage, offset) for offset in (4, 0, 8, 2, 6, 10, 12)))
        found = take(feed, 7)
        assert offsets(found) == [4, 0, 8, 2, 6, 10, 12]
        assert feed.take("mine") is None
        for item in found:
            assert len(item.transitions) == 16
            first = item.shard.first_offset
            assert item.transitions.log_offset.tolist() == [first] * 8 + [first + 1] * 8


def test_shards_that_were_there_before_come_first(stage: Stage) -> None:
    stage.say("shards", shard_of(stage, 0), shard_of(stage, 2))
    with feeding(stage) as feed:
        subscribe(feed)
        stage.say("shards", shard_of(stage, 4))
        assert offsets(take(feed, 3)) == [0, 2, 4]


@pytest.mark.parametrize(
    ("capacity", "passed_over", "read"),
    [
        (1000, 0, [0, 2, 4, 6]),
        (64, 0, [0, 2, 4, 6]),
        (63, 0, [0, 2, 4, 6]),
        (48, 16, [2, 4, 6]),
        (17, 32, [4, 6]),
        (1, 48, [6]),
    ],
)
def test_what_has_no_room_is_counted_and_not_read(
    stage: Stage, capacity: int, passed_over: int, read: list[int]
) -> None:
    stage.say("shards", *(shard_of(stage, offset) for offset in (0, 2, 4, 6)))
    with feeding(stage) as feed:
        assert subscribe(feed, capacity=capacity) == passed_over
        assert offsets(take(feed, len(read))) == read


def test_who_subscribes_again_reads_again_from_the_shards(stage: Stage) -> None:
    stage.say("shards", shard_of(stage, 0), shard_of(stage, 2))
    with feeding(stage) as feed:
        subscribe(feed)
        first = take(feed, 2)
        feed.unsubscribe("mine")
        stage.say("shards", shard_of(stage, 4))
        subscribe(feed)
        again = take(feed, 3)
    with feeding(stage) as another:  # a learner that was killed
        subscribe(another)
        resumed = take(another, 3)
    assert offsets(first) == [0, 2]
    assert offsets(again) == offsets(resumed) == [0, 2, 4]
    for one, other in zip(again, resumed, strict=True):
        for mine, theirs in zip(one.transitions.columns(), other.transitions.columns(), strict=True):
            assert mine.tobytes() == theirs.tobytes()


def test_two_runs_do_not_mix(stage: Stage) -> None:
    with feeding(stage) as feed:
        subscribe(feed, "one")
        subscribe(feed, "two", where="step % 2 = 0")
        stage.say("shards", *(shard_of(stage, at, run="one" if at % 4 else "two") for at in (0, 2, 4, 6, 8)))
        assert offsets(take(feed, 2, "one")) == [2, 6]
        two = take(feed, 3, "two")
        assert offsets(two) == [0, 4, 8]
        assert all(0 < len(item.transitions) < 16 for item in two)


def test_a_shard_announced_twice_comes_once_and_a_merge_not_at_all(stage: Stage) -> None:
    with feeding(stage) as feed:
        subscribe(feed)
        shard = shard_of(stage, 0)
        merged = replace(shard_of(stage, 20), replaces=[shard.shard])
        stage.say("shards", shard, shard, merged, shard_of(stage, 2))
        assert offsets(take(feed, 2)) == [0, 2]
        assert feed.take("mine") is None


def test_a_new_learner_reads_the_merge_instead_of_what_it_replaced(stage: Stage) -> None:
    first, second = shard_of(stage, 0), shard_of(stage, 2)
    merged = replace(shard_of(stage, 20), replaces=[first.shard, second.shard])
    stage.say("shards", first, second, merged, shard_of(stage, 4))
    with feeding(stage) as feed:
        subscribe(feed)
        assert offsets(take(feed, 2)) == [20, 4]


def test_a_condition_that_is_none_is_refused_at_once(stage: Stage) -> None:
    stage.store()
    with feeding(stage) as feed, pytest.raises(BadRun, match=r"^where is 'no_such_column = 1'"):
        subscribe(feed, where="no_such_column = 1")


def test_a_shard_that_is_not_sound_ends_its_run_and_no_other(stage: Stage) -> None:
    with feeding(stage) as feed:
        subscribe(feed, "one")
        subscribe(feed, "two")
        stage.say(
            "shards",
            shard_of(stage, 0, run="one"),
            shard_of(stage, 2, run="one", rows=17),
            shard_of(stage, 4, run="two"),
        )
        assert offsets(take(feed, 1, "one")) == [0]
        with pytest.raises(BadShard, match="has 16 rows: 17 were announced"):
            take(feed, 1, "one")
        assert offsets(take(feed, 1, "two")) == [4]


def test_nothing_waits_for_ever_when_nothing_is_announced(stage: Stage) -> None:
    stage.store()
    with feeding(stage) as feed:
        subscribe(feed)
        feed.wait(0.05)
        assert feed.take("mine") is None
