"""A test's own part of the shared servers: topics under a prefix, a consumer group, a bucket.

In: the servers, a prefix. Out: the product's own code with other names, and raw clients that share nothing with it.
Invariant: two stages never see each other's records or objects.

"""

from __future__ import annotations

import gc
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from cartridge.objects import ObjectStore
from cartridge.settings import Settings
from cartridge.stack.servers import Servers
from renamed_topics import renamed
from streams import codec, topics
from streams.records import Record, TransitionChunk


@dataclass(frozen=True)
class Stage:
    """Where one test plays."""

    prefix: str
    settings: Settings

    @property
    def kafka(self) -> str:
        return self.settings.kafka

    @property
    def group(self) -> str:
        return f"{self.prefix}.cartridge.compactor"

    def topic(self, name: str) -> str:
        """`name` such as transitions, as it is called here."""
        return f"{self.prefix}.cartridge.{name}"

    def store(self) -> ObjectStore:
        return ObjectStore.connect(self.settings)

    def environment(self) -> dict[str, str]:
        """What a child process has to know."""
        settings = self.settings
        return {
            "CARTRIDGE_HOME": str(settings.home),
            "CARTRIDGE_KAFKA": settings.kafka,
            "CARTRIDGE_S3_ENDPOINT": settings.s3_endpoint,
            "CARTRIDGE_S3_ACCESS_KEY": settings.s3_access_key,
            "CARTRIDGE_S3_SECRET_KEY": settings.s3_secret_key,
            "CARTRIDGE_BUCKET": settings.bucket,
        }

    def produce(self, name: str, values: Sequence[tuple[int, bytes | None]], *, key: bytes = b"k") -> None:
        """Appends (partition, value) to topic `name`, in this order, by a producer of the test's own."""
        client = Producer({"bootstrap.servers": self.kafka, "acks": "all", "linger.ms": 5})
        for partition, value in values:
            client.produce(self.topic(name), value=value, key=key, partition=partition)
        assert client.flush(30) == 0

    def log_chunks(self, chunks: Sequence[tuple[int, TransitionChunk]]) -> None:
        """Appends (partition, chunk) to the transitions."""
        self.produce("transitions", [(partition, codec.encode(chunk)) for partition, chunk in chunks])

    def say(self, name: str, *records: Record) -> None:
        """Appends records to a topic of one partition."""
        self.produce(name, [(0, codec.encode(record)) for record in records])


def new_stage(servers: Servers, home: Path) -> Stage:
    """A stage with a name of its own; its topics are not there yet."""
    name = f"t{uuid.uuid4().hex[:10]}"
    settings = Settings(
        home=home,
        kafka=servers.kafka,
        s3_endpoint=servers.s3_endpoint,
        s3_access_key=servers.access_key,
        s3_secret_key=servers.secret_key,
        bucket=name,
    )
    return Stage(name, settings)


@contextmanager
def open_stage(servers: Servers, home: Path) -> Iterator[Stage]:
    """A stage with its topics, which this process's code uses for the time of the block."""
    stage = new_stage(servers, home)
    with renamed(stage.prefix):
        topics.ensure(stage.kafka)
        try:
            yield stage
        finally:
            gc.collect()  # clients in reference cycles would go on asking for the broker
            strike(stage)


def strike(stage: Stage) -> None:
    """Gives the broker back what the stage's topics took."""
    admin = AdminClient({"bootstrap.servers": stage.kafka})
    mine = [name for name in admin.list_topics(timeout=10).topics if name.startswith(f"{stage.prefix}.")]
    if mine:
        for future in admin.delete_topics(mine).values():
            future.result()


def until(condition: Callable[[], Any], otherwise: str, *, timeout_s: float = 30) -> None:
    """Returns as soon as `condition()` is true; fails with `otherwise` when it stays false."""
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline_s:
            pytest.fail(otherwise)
        time.sleep(0.01)
