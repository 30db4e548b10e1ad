"""Sealed shards reach the trainers: a thread reads them as they are announced.

In: cartridge.shards. Out: for each run, its shards' transitions in the order of announcement.
Invariant: each announced shard of a run is handed over once; rows too old to fit in the window are counted, not read.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, field

import duckdb

from cartridge import logs
from cartridge.settings import Settings
from games.choices import Choices
from learner import metrics, shard_reader
from learner.errors import LearnerError
from learner.window import Transitions
from streams import kafka, topics, views, warehouse
from streams.records import ShardSealed

_READ_AHEAD = 4  # shards in memory beside the window
_POLL_S = 0.02
_RETRY_S = 0.2
_log = logs.get("learner.feed")


@dataclass(frozen=True)
class Loaded:
    """One shard, read."""

    shard: ShardSealed
    transitions: Transitions


@dataclass
class _Subscription:
    where: str
    choices: Choices
    unread: deque[ShardSealed]
    ready: deque[Loaded] = field(default_factory=deque)
    error: LearnerError | None = None


class ShardFeed:
    """Reads shards for every run that subscribed, until `close`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._follower = kafka.Follower(settings.kafka, topics.SHARDS, ShardSealed)
        self._connection = warehouse.connect(settings, threads=1)
        self._lock = threading.Lock()
        self._arrived = threading.Condition(self._lock)
        self._shards: dict[
            str, dict[str, ShardSealed]
        ] = {}  # run -> shard id -> shard, in the order announced
        self._subscriptions: dict[str, _Subscription] = {}
        self._closing = threading.Event()
        self.failure: BaseException | None = None
        for shard in views.current(self._follower.catch_up()):
            self._shards.setdefault(shard.run, {})[shard.shard] = shard
        self._thread = threading.Thread(target=self._work, name="shards", daemon=True)
        self._thread.start()

    def subscribe(self, run: str, *, where: str, choices: Choices, capacity: int) -> int:
        """Begins to read `run`'s shards, from the oldest that `capacity` transitions have room for.

        Returns the rows that are older, and so are counted but not read.

        Raises BadRun when `where` is not a condition.
        """
        if where:
            shard_reader.check_where(warehouse.connect(self._settings), where)
        with self._lock:
            unread = deque(self._shards.get(run, {}).values())
            passed_over = _pass_over(unread, -(-capacity // choices.agents))
            self._subscriptions[run] = _Subscription(where, choices, unread)
        return passed_over

    def unsubscribe(self, run: str) -> None:
        """Stops reading `run`'s shards."""
        with self._lock:
            self._subscriptions.pop(run, None)

    def take(self, run: str) -> Loaded | None:
        """The next shard of `run`, or None if none is ready. Raises LearnerError when one cannot be used."""
        with self._lock:
            subscription = self._subscriptions[run]
            if subscription.ready:
                return subscription.ready.popleft()
            if subscription.error is not None:
                raise subscription.error
            return None

    def wait(self, timeout_s: float) -> None:
        """Waits until any shard is ready, at most `timeout_s`."""
        with self._arrived:
            self._arrived.wait(timeout_s)

    def close(self) -> None:
        self._closing.set()
        self._thread.join()
        self._follower.close()
        self._connection.close()

    def _note(self, shards: list[ShardSealed]) -> None:
        with self._lock:
            for shard in shards:
                known = self._shards.setdefault(shard.run, {})
                # A merge holds rows that are known already; a shard announced again is the same one.
                if shard.shard in known or shard.replaces:
                    continue
                known[shard.shard] = shard
                if shard.run in self._subscriptions:
                    self._subscriptions[shard.run].unread.append(shard)

    def _work(self) -> None:
        try:
            while not self._closing.is_set():
                self._note(self._follower.poll(0 if self._read_some() else _POLL_S))
        except BaseException as error:  # noqa: BLE001  the learning thread must see it and end the process
            self.failure = error

    def _read_some(self) -> bool:
        """Reads at most one shard of each run. Returns whether there was one."""
        with self._lock:
            due = [
                (subscription, subscription.unread.popleft())
                for subscription in self._subscriptions.values()
                if subscription.error is None
                and len(subscription.ready) < _READ_AHEAD
                and subscription.unread
            ]
        for subscription, shard in due:
            self._read(subscription, shard)
        return bool(due)

    def _read(self, subscription: _Subscription, shard: ShardSealed) -> None:
        started_s = time.monotonic()
        while not self._closing.is_set():
            try:
                transitions = shard_reader.read(
                    self._connection,
                    shard,
                    bucket=self._settings.bucket,
                    where=subscription.where,
                    choices=subscription.choices,
                )
                break
            except LearnerError as error:
                subscription.error = error
                return
            except (duckdb.IOException, duckdb.HTTPException) as error:
                metrics.STORE_RETRIES.inc()
                _log.warning("store_unavailable", shard=shard.shard, reason=str(error).splitlines()[0])
                self._closing.wait(_RETRY_S)
        else:
            return
        metrics.SHARD_READ.observe(time.monotonic() - started_s)
        with self._arrived:
            subscription.ready.append(Loaded(shard, transitions))
            self._arrived.notify_all()


def _pass_over(unread: deque[ShardSealed], capacity: int) -> int:
    """Drops the oldest of `unread` that `capacity` has no room for. Returns their rows."""
    room, keep = capacity, 0
    for shard in reversed(unread):
        if room <= 0:
            break
        room -= shard.rows
        keep += 1
    passed_over = 0
    while len(unread) > keep:
        passed_over += unread.popleft().rows
    return passed_over
