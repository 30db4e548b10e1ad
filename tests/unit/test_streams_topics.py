"""The topics as the design has them, and what happens without a broker."""

from __future__ import annotations

import time

import pytest

from cartridge.errors import UsageError
from streams import topics
from streams.errors import BrokerUnavailable

DESIGN = {
    "cartridge.transitions": "delete",
    "cartridge.episodes": "delete",
    "cartridge.shards": "compact",
    "cartridge.weights": "compact",
    "cartridge.runs": "compact",
    "cartridge.run-status": "compact",
    "cartridge.run-metrics": "delete",
    "cartridge.schemas": "compact",
    "cartridge.dead-letters": "delete",
}


def test_the_topics_are_those_of_the_design() -> None:
    assert {topic.name: topic.settings["cleanup.policy"] for topic in topics.ALL} == DESIGN


def test_a_dead_letter_has_room_for_the_largest_message() -> None:
    largest = int(topics.TRANSITIONS.settings["max.message.bytes"])
    assert int(topics.DEAD_LETTERS.settings["max.message.bytes"]) > largest


def test_followed_topics_have_one_partition() -> None:
    # Their readers take "oldest first" over the whole topic, and the newest record of a key.
    assert all(topic.partitions == 1 for topic in topics.ALL if topic.settings["cleanup.policy"] == "compact")


def test_chunks_and_their_episodes_are_partitioned_alike() -> None:
    assert topics.TRANSITIONS.partitions == topics.EPISODES.partitions > 1


def test_a_broker_that_is_not_there_is_one_clear_line() -> None:
    started_s = time.monotonic()
    with pytest.raises(
        BrokerUnavailable, match=r"^kafka 127\.0\.0\.1:1 does not answer .*CARTRIDGE_KAFKA$"
    ) as error:
        topics.ensure("127.0.0.1:1", timeout_s=0.5)
    assert time.monotonic() - started_s < 5
    assert isinstance(error.value, UsageError)
    assert error.value.exit_code == 2
    assert "\n" not in str(error.value)
