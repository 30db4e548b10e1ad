"""Topics, followers and heartbeats on the real broker."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import ConfigResource
from confluent_kafka.admin._resource import ResourceType

from cartridge.stack.servers import Servers
from log_oracle import messages
from renamed_topics import renamed
from stage import Stage, new_stage, strike, until
from streams import codec, kafka, schemas, topics
from streams.errors import BrokerUnavailable
from streams.records import RunStatus, WeightsPublished
from streams.status import StatusBoard


def weights(version: int, *, run: str = "r") -> WeightsPublished:
    return WeightsPublished(
        run=run,
        version=version,
        checkpoint="c",
        manifest_sha256="",
        gradient_steps=0,
        samples=0,
        inserted_rows=0,
        allowed_rows=0,
        evaluation={},
        verdict="",
        final=False,
        published_us=0,
    )


def transactional(stage: Stage, name: str) -> Producer:
    client = Producer({"bootstrap.servers": stage.kafka, "transactional.id": f"{stage.prefix}.{name}"})
    client.init_transactions(30)
    return client


@pytest.fixture
def bare_stage(servers: Servers, tmp_path: Path) -> Iterator[Stage]:
    """A stage whose topics are not there yet."""
    stage = new_stage(servers, tmp_path)
    with renamed(stage.prefix):
        yield stage
    strike(stage)


def present(stage: Stage) -> dict[str, int]:
    """The stage's topics and their partitions."""
    found = AdminClient({"bootstrap.servers": stage.kafka}).list_topics(timeout=10).topics
    return {
        name: len(topic.partitions) for name, topic in found.items() if name.startswith(f"{stage.prefix}.")
    }


def test_topics_are_made_with_their_settings(bare_stage: Stage) -> None:
    topics.ensure(bare_stage.kafka)
    assert present(bare_stage) == {topic.name: topic.partitions for topic in topics.ALL}
    admin = AdminClient({"bootstrap.servers": bare_stage.kafka})
    for topic in topics.ALL:
        ((_, future),) = admin.describe_configs([ConfigResource(ResourceType.TOPIC, topic.name)]).items()
        found = future.result()
        assert {name: found[name].value for name in topic.settings} == topic.settings


def test_making_topics_again_changes_nothing(bare_stage: Stage) -> None:
    for _ in range(3):
        topics.ensure(bare_stage.kafka)
    bare_stage.say("weights", weights(1))
    topics.ensure(bare_stage.kafka)
    assert len(messages(bare_stage, "weights")) == 1
    assert len(present(bare_stage)) == len(topics.ALL)


def test_several_processes_may_make_topics_at_once(bare_stage: Stage) -> None:
    with ThreadPoolExecutor(6) as pool:
        for made in [pool.submit(topics.ensure, bare_stage.kafka) for _ in range(6)]:
            made.result()
    assert len(present(bare_stage)) == len(topics.ALL)


def test_a_follower_catches_up_past_the_marker_of_a_transaction(stage: Stage) -> None:
    # After a transaction the last offset is never delivered: who waits for it waits for ever.
    client = transactional(stage, "one")
    client.begin_transaction()
    kafka.produce_record(client, topics.WEIGHTS, "r", weights(1))
    client.commit_transaction(30)
    assert kafka.read_all(stage.kafka, topics.WEIGHTS, WeightsPublished) == [weights(1)]


def test_a_follower_reads_nothing_of_what_was_aborted(stage: Stage) -> None:
    client = transactional(stage, "one")
    for version, commit in ((1, True), (2, False), (3, True), (4, False)):
        client.begin_transaction()
        kafka.produce_record(client, topics.WEIGHTS, "r", weights(version))
        client.flush(30)
        if commit:
            client.commit_transaction(30)
        else:
            client.abort_transaction(30)
    assert [found.version for found in kafka.read_all(stage.kafka, topics.WEIGHTS, WeightsPublished)] == [
        1,
        3,
    ]
    assert len(messages(stage, "weights", committed=False)) == 4


def test_a_follower_does_not_wait_for_an_open_transaction(stage: Stage) -> None:
    stage.say("weights", weights(1))
    client = transactional(stage, "one")
    client.begin_transaction()
    kafka.produce_record(client, topics.WEIGHTS, "r", weights(2))
    client.flush(30)
    follower = kafka.Follower(stage.kafka, topics.WEIGHTS, WeightsPublished)
    assert [found.version for found in follower.catch_up(10)] == [1]
    client.commit_transaction(30)
    assert next_of(follower) == [2]
    follower.close()


def next_of(follower: kafka.Follower) -> list[int]:
    """The versions that come next."""
    found: list[WeightsPublished] = []

    def arrived() -> bool:
        found.extend(follower.poll(0.05))
        return bool(found)

    until(arrived, "no record came")
    return [record.version for record in found]


def test_a_follower_goes_on_with_what_is_written_later(stage: Stage) -> None:
    stage.say("weights", weights(1), weights(2))
    follower = kafka.Follower(stage.kafka, topics.WEIGHTS, WeightsPublished)
    assert [found.version for found in follower.catch_up()] == [1, 2]
    assert follower.poll(0) == []
    stage.say("weights", weights(3))
    assert next_of(follower) == [3]
    follower.close()


def test_a_follower_of_an_empty_topic_has_caught_up(stage: Stage) -> None:
    assert kafka.read_all(stage.kafka, topics.WEIGHTS, WeightsPublished) == []


def test_what_cannot_be_read_is_passed_over(stage: Stage) -> None:
    stage.produce("weights", [(0, b"junk"), (0, None), (0, codec.encode(weights(7)))])
    stage.say("weights", weights(8))
    assert [found.version for found in kafka.read_all(stage.kafka, topics.WEIGHTS, WeightsPublished)] == [
        7,
        8,
    ]


def test_a_broker_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka, "_METADATA_S", 0.3)
    with pytest.raises(BrokerUnavailable, match=r"^kafka 127\.0\.0\.1:1 does not answer "):
        kafka.read_all("127.0.0.1:1", topics.WEIGHTS, WeightsPublished)


def test_a_broker_that_falls_silent_is_named(stage: Stage) -> None:
    follower = kafka.Follower(stage.kafka, topics.WEIGHTS, WeightsPublished)
    with pytest.raises(BrokerUnavailable, match=r"cartridge\.weights was not read within 0 s"):
        follower.catch_up(0)
    follower.close()


def test_what_a_broker_that_is_not_there_was_given_is_named() -> None:
    client = kafka.producer("127.0.0.1:1")
    kafka.produce_record(client, topics.WEIGHTS, "r", weights(1))
    with pytest.raises(BrokerUnavailable, match=r"records were not acknowledged within 0\.3 s"):
        kafka.flush(client, "127.0.0.1:1", timeout_s=0.3)
    client.purge()
    client.flush(5)


def test_every_schema_is_on_the_topic_under_its_fingerprint(stage: Stage) -> None:
    kafka.publish_schemas(stage.kafka)
    found = {message.key: (message.value or b"").decode() for message in messages(stage, "schemas")}
    assert found == {
        schema.fingerprint.hex().encode(): schema.text for schema in schemas.all_schemas().values()
    }


def test_each_start_on_a_run_takes_the_next_incarnation(stage: Stage) -> None:
    for expected in range(3):
        board = StatusBoard(stage.kafka, "actor-0")
        assert board.begin("mine") == expected
        # it is in the log before anything can carry it
        found = kafka.read_all(stage.kafka, topics.RUN_STATUS, RunStatus)
        assert (found[-1].incarnation, found[-1].state, found[-1].run) == (expected, "STARTING", "mine")
        board.close()
    board = StatusBoard(stage.kafka, "actor-0")
    assert board.begin("another") == 0
    assert board.begin("mine") == 3
    board.close()
    other = StatusBoard(stage.kafka, "actor-1")
    assert other.begin("mine") == 0
    other.close()


def test_a_heartbeat_says_what_it_was_given(stage: Stage) -> None:
    board = StatusBoard(stage.kafka, "learner")
    board.begin("mine")
    board.say("mine", "FAILED", message="why", weights_version=4, numbers={"loss": 0.5})
    board.close()
    (*_, last) = kafka.read_all(stage.kafka, topics.RUN_STATUS, RunStatus)
    assert (last.component, last.state, last.message, last.weights_version, last.numbers) == (
        "learner",
        "FAILED",
        "why",
        4,
        {"loss": 0.5},
    )
    assert {message.key for message in messages(stage, "run-status")} == {b"mine/learner"}
