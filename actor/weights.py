"""Weights reach the actor: announcements in, verified policies out.

In: cartridge.weights and checkpoints in the object store. Out: the newest policy of each run.
Invariant: a policy is given out only if the manifest and the model have the announced SHA-256.

A thread of its own reads and loads, so that the playing thread swaps a finished policy between two steps.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

from actor import metrics
from actor.errors import BadCheckpoint
from actor.policy import Policy
from cartridge import logs
from cartridge.errors import CartridgeError
from cartridge.objects import ObjectStore, StoreUnavailable
from streams import checkpoint, kafka, topics
from streams.records import WeightsPublished

_log = logs.get("actor.weights")
_POLL_S = 0.02
_RETRY_S = 0.2


@dataclass(frozen=True)
class Announced:
    """The newest announcement of a run, and its policy once that is loaded."""

    weights: WeightsPublished
    policy: Policy


def load_policy(store: ObjectStore, weights: WeightsPublished) -> Policy:
    """The policy that `weights` announces. Raises BadCheckpoint, StoreUnavailable, ObjectMissing."""
    manifest = checkpoint.read_manifest(store, weights.checkpoint, sha256=weights.manifest_sha256)
    body = checkpoint.read_file(store, weights.checkpoint, manifest, checkpoint.MODEL)
    return Policy.from_safetensors(body, manifest.network, version=weights.version)


class WeightsFollower:
    """Follows every run's weights until `close`."""

    def __init__(self, bootstrap: str, store: ObjectStore) -> None:
        self._store = store
        self._follower = kafka.Follower(bootstrap, topics.WEIGHTS, WeightsPublished)
        self._lock = threading.Lock()
        self._loaded: dict[str, Announced] = {}
        self._finals: set[str] = set()
        self._wanted: set[str] = set()
        self._newest: dict[str, WeightsPublished] = {}
        self._closing = threading.Event()
        self.failure: BaseException | None = None
        for weights in self._follower.catch_up():
            self._note(weights)
        self._thread = threading.Thread(target=self._follow, name="weights", daemon=True)
        self._thread.start()

    def newest(self, run: str) -> Announced | None:
        """The newest weights of `run` that can be played, or None if there are none yet."""
        with self._lock:
            self._wanted.add(run)
            return self._loaded.get(run)

    def is_final(self, run: str) -> bool:
        """Whether the run is over."""
        with self._lock:
            return run in self._finals

    def close(self) -> None:
        self._closing.set()
        self._thread.join()
        self._follower.close()

    def _note(self, weights: WeightsPublished) -> None:
        with self._lock:
            self._newest[weights.run] = weights
            if weights.final:
                self._finals.add(weights.run)

    def _follow(self) -> None:
        try:
            while not self._closing.is_set():
                for weights in self._follower.poll(_POLL_S):
                    self._note(weights)
                self._load_wanted()
        except BaseException as error:  # noqa: BLE001  the playing thread must see it and end the process
            self.failure = error

    def _load_wanted(self) -> None:
        with self._lock:
            stale = [
                weights
                for run, weights in self._newest.items()
                if run in self._wanted and (run not in self._loaded or self._loaded[run].weights != weights)
            ]
        for weights in stale:
            self._load(weights)

    def _load(self, weights: WeightsPublished) -> None:
        try:
            policy = load_policy(self._store, weights)
        except StoreUnavailable as error:
            _log.warning(
                "store_unavailable", run=weights.run, weights_version=weights.version, reason=str(error)
            )
            self._closing.wait(_RETRY_S)
            return
        except (BadCheckpoint, CartridgeError) as error:
            metrics.WEIGHTS_REFUSED.inc()
            _log.error("weights_refused", run=weights.run, weights_version=weights.version, reason=str(error))
            with self._lock:  # refused for good: the next announcement is the next chance
                if self._newest.get(weights.run) == weights:
                    del self._newest[weights.run]
            return
        with self._lock:
            self._loaded[weights.run] = Announced(weights, policy)
