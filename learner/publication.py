"""A checkpoint is written, verified and announced, beside learning.

In: files and their manifest. Out: objects in the store, then WeightsPublished on cartridge.weights.
Invariant: weights are announced after their last byte was read back, and versions in their order: one at a time.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor

from confluent_kafka import Producer

from cartridge import logs
from cartridge.objects import ObjectStore, StoreUnavailable
from learner import metrics
from streams import checkpoint, kafka, topics
from streams.checkpoint import Manifest
from streams.errors import BrokerUnavailable
from streams.records import WeightsPublished

_RETRY_S = 0.5
_FLUSH_S = 5.0
_log = logs.get("learner.publication")


class Publication:
    """Publishes the checkpoints of one run. While store or broker are away it waits, and learning with it.

    `stop` is set when the process is to end: what is away then is waited for no longer.
    """

    def __init__(
        self, store: ObjectStore, producer: Producer, bootstrap: str, *, stop: threading.Event
    ) -> None:
        self._store = store
        self._producer = producer
        self._bootstrap = bootstrap
        self._stop = stop
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._last: Future[None] | None = None

    def submit(self, manifest: Manifest, files: dict[str, bytes], *, allowed_rows: int, final: bool) -> None:
        """Begins to publish; the one before has been announced by then. Raises what that one raised."""
        self.wait()
        self._last = self._pool.submit(self._publish, manifest, files, allowed_rows, final)

    def wait(self) -> None:
        """Returns when everything submitted is announced. Raises BadCheckpoint; once stopping, what is away."""
        if self._last is not None:
            last, self._last = self._last, None
            last.result()

    def close(self) -> None:
        """Ends what is being published; when the process stops it is given up if store or broker are away."""
        try:
            self.wait()
        except (StoreUnavailable, BrokerUnavailable) as error:
            _log.warning("publication_given_up", reason=str(error))
        self._pool.shutdown()

    def _publish(self, manifest: Manifest, files: dict[str, bytes], allowed_rows: int, final: bool) -> None:
        with metrics.CHECKPOINT.time():
            digest = self._write(files, manifest)
            self._announce(manifest, digest, allowed_rows=allowed_rows, final=final)
        metrics.WEIGHTS_VERSION.labels(manifest.run).set(manifest.version)
        _log.info(
            "weights_published",
            run=manifest.run,
            weights_version=manifest.version,
            gradient_steps=manifest.gradient_steps,
            inserted_rows=manifest.inserted_rows,
            verdict=manifest.verdict,
            final=final,
        )

    def _write(self, files: dict[str, bytes], manifest: Manifest) -> str:
        while True:
            try:
                return checkpoint.write(self._store, files, manifest)
            except StoreUnavailable as error:
                metrics.STORE_RETRIES.inc()
                _log.warning("store_unavailable", run=manifest.run, reason=str(error))
                if self._stop.wait(_RETRY_S):
                    raise

    def _announce(self, manifest: Manifest, digest: str, *, allowed_rows: int, final: bool) -> None:
        announcement = WeightsPublished(
            run=manifest.run,
            version=manifest.version,
            checkpoint=checkpoint.prefix_of(manifest.run, manifest.version),
            manifest_sha256=digest,
            gradient_steps=manifest.gradient_steps,
            samples=manifest.samples,
            inserted_rows=manifest.inserted_rows,
            allowed_rows=allowed_rows,
            evaluation=manifest.evaluation,
            verdict=manifest.verdict,
            final=final,
            published_us=time.time_ns() // 1000,
        )
        kafka.produce_record(self._producer, topics.WEIGHTS, manifest.run, announcement)
        while self._producer.flush(_FLUSH_S):
            _log.warning("broker_unavailable", run=manifest.run, weights_version=manifest.version)
            if self._stop.is_set():
                raise BrokerUnavailable(self._bootstrap, f"weights v{manifest.version} were not acknowledged")
