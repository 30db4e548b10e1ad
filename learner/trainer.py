"""One run's learning: window, limiter, algorithm, checkpoints.

In: the run's spec, and shards from the feed. Out: gradient steps, weights versions, the run's end.
Invariant: everything that is not in the last checkpoint is in the shards, so that a killed trainer loses some
gradient steps and nothing else.
"""

from __future__ import annotations

import threading
import time
from dataclasses import asdict, dataclass, field

import numpy as np
import torch
from confluent_kafka import Producer

from cartridge import logs
from cartridge.errors import CartridgeError
from cartridge.objects import ObjectStore
from games.choices import Choices
from games.contract import Game
from games.errors import GameError
from learner import evaluate, metrics, score
from learner.dqn import Batch, Dqn
from learner.errors import BadRun
from learner.feed import ShardFeed
from learner.limiter import Limiter
from learner.publication import Publication
from learner.window import ReplayWindow
from streams import checkpoint
from streams.checkpoint import Manifest
from streams.records import RunSpec, WeightsPublished, least_samples_ahead

_SCORED_VERSIONS = 10  # of so many weights versions one is played through
_log = logs.get("learner.trainer")


@dataclass
class Progress:
    """Figures for heartbeats."""

    loss: float = 0.0
    figures: dict[str, float] = field(default_factory=dict)
    insert_wait_s: float = 0.0


class Trainer:
    """Learns one run. `advance` does what there is to do for a short time."""

    def __init__(
        self,
        spec: RunSpec,
        game: Game,
        *,
        feed: ShardFeed,
        store: ObjectStore,
        producer: Producer,
        bootstrap: str,
        stop: threading.Event | None = None,
    ) -> None:
        _check(spec, game)
        self.spec = spec
        self.progress = Progress()
        self._game = game
        self._feed = feed
        self._store = store
        self._choices = Choices(game.spec)
        sizes = {"obs_floats": self._choices.obs_size, "mask_words": self._choices.mask_words}
        self._algorithm = Dqn(spec, obs_floats=self._choices.obs_size, actions=self._choices.count)
        self._window = ReplayWindow(capacity=spec.window_rows, **sizes)
        self._batch = Batch(spec.batch_size, **sizes)
        self._random = np.random.default_rng(spec.seed)
        self._limiter = Limiter(
            # Counts rows of the log; a row has as many transitions as agents who move at once.
            samples_per_insert=spec.samples_per_insert * self._choices.agents,
            min_rows=-(-spec.min_window_rows // self._choices.agents),
            ahead=spec.samples_ahead,
        )
        self._began_us = time.time_ns() // 1000
        self._positions: dict[str, int] = {}
        self._losses: list[torch.Tensor] = []
        self.version = -1
        self.finished = False
        self.waiting = False
        self._publication = Publication(store, producer, bootstrap, stop=stop or threading.Event())

    def start(self, last: WeightsPublished | None) -> None:
        """Begins, or goes on from the last announced weights; the window fills from the shards.

        Raises BadCheckpoint, StoreUnavailable, BadRun.
        """
        passed_over = self._feed.subscribe(
            self.spec.run,
            where=self.spec.where,
            choices=self._choices,
            capacity=self.spec.window_rows,
        )
        self._limiter.inserted += passed_over
        if last is None:
            self._publish()
            return
        manifest = checkpoint.read_manifest(self._store, last.checkpoint, sha256=last.manifest_sha256)
        self._check_build(manifest)
        model = checkpoint.read_file(self._store, last.checkpoint, manifest, checkpoint.MODEL)
        optimizer = checkpoint.read_file(self._store, last.checkpoint, manifest, checkpoint.OPTIMIZER)
        self._algorithm.restore(model, optimizer, gradient_steps=manifest.gradient_steps)
        self._limiter.sampled = manifest.samples
        self._random.bit_generator.state = manifest.random_state
        self.version = last.version
        self.finished = last.final
        _log.info("resumed", run=self.spec.run, weights_version=last.version, passed_over_rows=passed_over)

    def _check_build(self, manifest: Manifest) -> None:
        """Raises BadRun when the checkpoint is of another build of the game."""
        spec = self._game.spec
        encodings = {kind: getattr(spec.encoding, kind) for kind in ("state", "action", "obs")}
        if (manifest.build_id, manifest.encodings) != (spec.build_id, encodings):
            raise BadRun(
                f"build_id is {manifest.build_id!r} in the checkpoint, with {' '.join(manifest.encodings.values())}:"
                f" {spec.env_id} is {spec.build_id!r} now, with {' '.join(encodings.values())}; start a new run"
            )

    def advance(self, *, until_s: float) -> bool:
        """Inserts what arrived and learns until monotonic `until_s`. Returns whether there was anything to do.

        Raises LearnerError when the run cannot go on.
        """
        worked = self._insert()
        learnt = False
        while not self.finished and time.monotonic() < until_s and self._may_learn():
            self._learn()
            learnt = True
        self.waiting = not learnt and not self.finished
        return worked or learnt

    def _insert(self) -> bool:
        worked = False
        while (loaded := self._feed.take(self.spec.run)) is not None:
            worked = True
            shard = loaded.shard
            self._window.insert(loaded.transitions)
            self._limiter.inserted += shard.rows
            self._positions[str(shard.partition)] = shard.last_offset
            metrics.INSERTED.labels(self.spec.run).inc(shard.rows)
            metrics.WINDOW_ROWS.labels(self.spec.run).set(self._window.rows)
            if shard.sealed_us > self._began_us:  # older ones waited for this trainer, not for a slow stage
                metrics.SHARD_AGE.observe(time.time() - shard.first_time_us / 1e6)
        return worked

    def _may_learn(self) -> bool:
        return self._window.rows > 0 and self._limiter.may_sample(self.spec.batch_size)

    def _learn(self) -> None:
        spec = self.spec
        with metrics.GRADIENT_STEP.time():
            index = self._random.integers(0, self._window.rows, spec.batch_size)
            self._window.gather(index, self._batch.columns)
            self._losses.append(self._algorithm.learn(self._batch))
        self._limiter.sampled += spec.batch_size
        metrics.GRADIENT_STEPS.labels(spec.run).inc()
        metrics.SAMPLES.labels(spec.run).inc(spec.batch_size)
        steps = self._algorithm.gradient_steps
        if steps % spec.publish_period == 0 or steps == spec.max_gradient_steps:
            self._publish()

    def _publish(self) -> None:
        """Evaluates, and hands a checkpoint to publication.

        The weights of a final version, and of the first, are announced when this returns.
        """
        steps = self._algorithm.gradient_steps
        at_end = 0 < self.spec.max_gradient_steps <= steps
        figures, word = self._evaluate(at_end=at_end)
        if self._losses:
            self.progress.loss = float(torch.stack(self._losses).mean())
            figures["loss"] = self.progress.loss
            self._losses.clear()
        self.progress.figures = self.progress.figures | figures  # the last score stays until the next
        done = at_end or (word != "" and word == self.spec.stop_when)
        self.version += 1
        model, optimizer = self._algorithm.files()
        manifest = self._manifest(figures, word, model=model, optimizer=optimizer)
        files = {checkpoint.MODEL: model, checkpoint.OPTIMIZER: optimizer}
        self._publication.submit(manifest, files, allowed_rows=self._limiter.allowed_rows, final=done)
        self._set_gauges(figures)
        if done or self.version == 0:
            self._publication.wait()
        self.finished = done

    def _evaluate(self, *, at_end: bool) -> tuple[dict[str, float], str]:
        """`_judge`. Raises BadRun when the game breaks its own contract: it ends this run, not the learner."""
        try:
            return self._judge(at_end=at_end)
        except (GameError, CartridgeError):
            raise
        except Exception as error:
            _log.error("game_failed", game=self.spec.env_id, run=self.spec.run, exc_info=True)
            raise BadRun(f"{self.spec.env_id} failed: {type(error).__name__}: {error}") from error

    def _judge(self, *, at_end: bool) -> tuple[dict[str, float], str]:
        """Figures, and the verdict if there is one. What takes long is done for some versions only."""
        judged = evaluate.verdict(self._game, self._algorithm.values)
        if judged is not None:
            return judged.figures(), judged.word
        if not at_end and (self.version + 1) % _SCORED_VERSIONS:
            return {}, ""
        hint = bytes.fromhex(self.spec.hint)
        figures = score.play(self._game, self._algorithm.values, seed=self.spec.seed, hint=hint).figures()
        wanted = evaluate.wanted_return(self.spec.stop_when)
        reached = wanted is not None and figures["return_mean"] >= wanted
        return figures, self.spec.stop_when if reached else ""

    def _manifest(self, figures: dict[str, float], word: str, *, model: bytes, optimizer: bytes) -> Manifest:
        game = self._game.spec
        return Manifest(
            run=self.spec.run,
            version=self.version,
            env_id=game.env_id,
            build_id=game.build_id,
            schema_version=game.encoding.schema_version,
            encodings={
                "state": game.encoding.state,
                "action": game.encoding.action,
                "obs": game.encoding.obs,
            },
            network=self._algorithm.network.description(),
            algorithm=self.spec.algorithm,
            settings=asdict(self.spec),
            seed=self.spec.seed,
            random_state=dict(self._random.bit_generator.state),
            gradient_steps=self._algorithm.gradient_steps,
            samples=self._limiter.sampled,
            inserted_rows=self._limiter.inserted,
            log_positions=dict(self._positions),
            evaluation=figures,
            verdict=word,
            made_us=time.time_ns() // 1000,
            sha256={
                checkpoint.MODEL: checkpoint.sha256_of(model),
                checkpoint.OPTIMIZER: checkpoint.sha256_of(optimizer),
            },
        )

    def _set_gauges(self, figures: dict[str, float]) -> None:
        run = self.spec.run
        metrics.LOSS.labels(run).set(self.progress.loss)
        metrics.SAMPLES_PER_INSERT.labels(run).set(self._limiter.ratio / self._choices.agents)
        if "strength" in figures:
            metrics.STRENGTH.labels(run).set(figures["strength"])
        if "return_mean" in figures:
            metrics.RETURN.labels(run).set(figures["return_mean"])

    def count_wait(self, waited_s: float) -> None:
        """Adds to the time that learning waited for inserts."""
        self.progress.insert_wait_s += waited_s
        metrics.INSERT_WAIT.labels(self.spec.run).inc(waited_s)

    def numbers(self) -> dict[str, float]:
        """Figures for the heartbeat."""
        figures = {name: value for name, value in self.progress.figures.items() if name != "loss"}
        return {
            **figures,
            "gradient_steps_total": self._algorithm.gradient_steps,
            "samples_total": self._limiter.sampled,
            "inserted_rows_total": self._limiter.inserted,
            "window_rows": self._window.rows,
            "samples_per_insert": self._limiter.ratio / self._choices.agents,
            "insert_wait_seconds_total": self.progress.insert_wait_s,
            "loss": self.progress.loss,
        }

    def close(self) -> None:
        """Finishes what is being published. Gradient steps since the last checkpoint are given up."""
        self._publication.close()
        self._feed.unsubscribe(self.spec.run)


def _check(spec: RunSpec, game: Game) -> None:
    """Raises BadRun naming the field of `spec` that cannot be."""
    if spec.algorithm != "dqn":
        raise BadRun(f"algorithm is {spec.algorithm!r}: there is dqn")
    try:
        bytes.fromhex(spec.hint)
    except ValueError as error:
        raise BadRun(f"hint is {spec.hint!r}: {error}") from error
    least = least_samples_ahead(spec, agents=game.spec.reward_width)
    if spec.samples_ahead < least:
        raise BadRun(
            f"samples_ahead is {spec.samples_ahead}: it must be at least {least} for this run, or actors and learner"
            " could wait for each other"
        )
    if spec.stop_when == evaluate.UNBEATABLE and not evaluate.judgeable(game):
        raise BadRun(f"stop_when is {spec.stop_when!r}: {spec.env_id} is not a game that can be judged so")
    if evaluate.wanted_return(spec.stop_when) is not None and evaluate.judgeable(game):
        raise BadRun(
            f"stop_when is {spec.stop_when!r}: {spec.env_id} is judged by every line; use unbeatable"
        )
