"""Heartbeats of the components of runs on cartridge.run-status.

In: what a component is doing. Out: RunStatus records; the newest of a component holds.
Invariant: an incarnation number is on the topic before anything that carries it is.
"""

from __future__ import annotations

import time

from confluent_kafka import Producer

from streams import kafka, topics
from streams.records import RunStatus

EVERY_S = 0.5


class StatusBoard:
    """Writes one component's heartbeats, and knows how often it had started on each run before."""

    def __init__(self, bootstrap: str, component: str) -> None:
        self.component = component
        self._bootstrap = bootstrap
        self._producer: Producer = kafka.producer(bootstrap, linger_ms=0)
        self._started = {
            status.run: status.incarnation
            for status in kafka.read_all(bootstrap, topics.RUN_STATUS, RunStatus)
            if status.component == component
        }

    def begin(self, run: str) -> int:
        """Takes the next incarnation number on `run`; it is in the log when this returns.

        Raises BrokerUnavailable.
        """
        incarnation = self._started.get(run, -1) + 1
        self._started[run] = incarnation
        self.say(run, "STARTING")
        kafka.flush(self._producer, self._bootstrap)
        return incarnation

    def say(
        self,
        run: str,
        state: str,
        *,
        message: str = "",
        weights_version: int = -1,
        numbers: dict[str, float] | None = None,
    ) -> None:
        """One heartbeat."""
        status = RunStatus(
            run=run,
            component=self.component,
            state=state,
            message=message,
            incarnation=self._started.get(run, 0),
            weights_version=weights_version,
            numbers=numbers or {},
            time_us=time.time_ns() // 1000,
        )
        kafka.produce_record(self._producer, topics.RUN_STATUS, f"{run}/{self.component}", status)
        self._producer.poll(0)

    def close(self) -> None:
        """Waits for what was said last."""
        self._producer.flush(5)
