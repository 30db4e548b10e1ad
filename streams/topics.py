"""The topics, their settings, and how they come to be.

In: a broker. Out: the topics of design section 4 exist with these settings.
Invariant: a topic's name is written here and nowhere else.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass, field

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from streams.errors import BrokerUnavailable, StreamsError

_DAY_MS = 86_400_000
_CONNECT_S = 3.0
_COMPACT = {"cleanup.policy": "compact"}


@dataclass(frozen=True)
class Topic:
    """A topic as it is created."""

    name: str
    partitions: int = 1
    settings: dict[str, str] = field(default_factory=dict)


# Chunks are up to a megabyte; a week of them is kept for replay, or 8 GiB a partition if that is less.
_LOG = {
    "cleanup.policy": "delete",
    "retention.ms": str(7 * _DAY_MS),
    "retention.bytes": str(8 << 30),
    "max.message.bytes": str(4 << 20),
}

TRANSITIONS = Topic("cartridge.transitions", 4, _LOG)
EPISODES = Topic("cartridge.episodes", 4, _LOG)
SHARDS = Topic("cartridge.shards", 1, _COMPACT)
WEIGHTS = Topic("cartridge.weights", 1, _COMPACT)
RUNS = Topic("cartridge.runs", 1, _COMPACT)
RUN_STATUS = Topic("cartridge.run-status", 1, _COMPACT)
RUN_METRICS = Topic(
    "cartridge.run-metrics", 1, {"cleanup.policy": "delete", "retention.ms": str(30 * _DAY_MS)}
)
SCHEMAS = Topic("cartridge.schemas", 1, _COMPACT)
DEAD_LETTERS = Topic(
    "cartridge.dead-letters",
    1,
    # Not by age: what could not be used waits for a person. Larger than a chunk, whose bytes it holds whole.
    {"cleanup.policy": "delete", "retention.ms": "-1", "max.message.bytes": str(5 << 20)},
)

ALL = (TRANSITIONS, EPISODES, SHARDS, WEIGHTS, RUNS, RUN_STATUS, RUN_METRICS, SCHEMAS, DEAD_LETTERS)


def ensure(bootstrap: str, *, timeout_s: float = 30) -> None:
    """Creates the topics that are missing. Safe from several processes at once.

    Raises BrokerUnavailable, at once when nobody listens, else when no broker answers within `timeout_s`.
    """
    _require_listener(bootstrap)
    admin = AdminClient(
        {"bootstrap.servers": bootstrap, "log_level": 0, "socket.connection.setup.timeout.ms": 3000}
    )
    try:
        present = admin.list_topics(timeout=timeout_s).topics
    except KafkaException as error:
        raise BrokerUnavailable(bootstrap, error.args[0].str()) from error
    missing = [
        NewTopic(topic.name, topic.partitions, 1, config=topic.settings)
        for topic in ALL
        if topic.name not in present
    ]
    if not missing:
        return
    for name, future in admin.create_topics(missing, operation_timeout=timeout_s).items():
        try:
            future.result()
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise StreamsError(f"topic {name} was not created: {error.args[0].str()}") from error


def _require_listener(bootstrap: str) -> None:
    """Spares a person librdkafka's retries, which take 6 s to say that a connection is refused."""
    reason = ""
    for address in bootstrap.split(","):
        host, _, port = address.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_S).close()
        except OSError as error:
            reason = error.strerror or str(error)
        else:
            return
    raise BrokerUnavailable(bootstrap, reason)
