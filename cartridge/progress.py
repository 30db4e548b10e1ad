"""A run as it goes, from the log: what is shown while it trains.

In: cartridge.run-status, cartridge.shards and cartridge.weights. Out: a live table, or plain lines in a pipe.
Invariant: every figure is of a record on a topic; nothing is estimated but rates, which are differences of two records.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field

from rich.console import Console
from rich.live import Live
from rich.table import Table

from cartridge.settings import Settings
from streams import kafka, topics
from streams.records import RunSpec, RunStatus, ShardSealed, WeightsPublished

_RATE_OVER_S = 3.0
_PLAIN_EVERY_S = 2.0
_POLL_S = 0.1
_SILENT_S = 15.0
_UNHEARD_S = 5.0  # ten heartbeats


@dataclass
class RunView:
    """Everything known of one run."""

    run: str
    rows: int = 0
    shards: int = 0
    weights: WeightsPublished | None = None
    stopped: bool = False  # somebody wants it so
    newest: dict[str, RunStatus] = field(default_factory=dict)  # component -> its last heartbeat
    heard_s: float = field(default_factory=time.monotonic)  # when a heartbeat was read last, monotonic
    _lives: dict[tuple[str, int], RunStatus] = field(
        default_factory=dict
    )  # (component, incarnation) -> last heartbeat
    _made: deque[tuple[float, float]] = field(default_factory=deque)  # (seconds, transitions made by then)

    def take_status(self, status: RunStatus) -> None:
        """One heartbeat."""
        self.heard_s = time.monotonic()
        self.newest[status.component] = status
        self._lives[status.component, status.incarnation] = status
        if status.component.startswith("actor-"):
            self._made.append((status.time_us / 1e6, self.actors_sum("transitions_total")))
            while self._made[-1][0] - self._made[0][0] > _RATE_OVER_S:
                self._made.popleft()

    def take_shard(self, shard: ShardSealed) -> None:
        """One sealed shard."""
        self.rows += shard.rows
        self.shards += 1

    def actors_sum(self, name: str) -> float:
        """A total of all actors, over all their incarnations."""
        return sum(
            status.numbers.get(name, 0)
            for (component, _), status in self._lives.items()
            if component.startswith("actor-")
        )

    def learner(self, name: str) -> float:
        """A figure of the learner's last heartbeat."""
        status = self.newest.get("learner")
        return 0.0 if status is None else status.numbers.get(name, 0.0)

    @property
    def silent_s(self) -> float:
        """Seconds since the last heartbeat."""
        return time.monotonic() - self.heard_s

    @property
    def transitions_per_s(self) -> float:
        """Transitions that actors made, over the last seconds."""
        if len(self._made) < 2 or self._made[-1][0] <= self._made[0][0] or self.silent_s > _RATE_OVER_S:
            return 0.0
        return (self._made[-1][1] - self._made[0][1]) / (self._made[-1][0] - self._made[0][0])

    @property
    def failure(self) -> str:
        """What a failed component said, or nothing."""
        for status in self.newest.values():
            if status.state == "FAILED":
                return f"{status.component}: {status.message}"
        return ""

    @property
    def actors(self) -> list[RunStatus]:
        """The actors' last heartbeats, by index."""
        found = {
            int(name.removeprefix("actor-")): status
            for name, status in self.newest.items()
            if name.startswith("actor-")
        }
        return [status for _, status in sorted(found.items())]

    def evaluation(self, name: str) -> float | None:
        """A figure of the newest weights' evaluation, or of the last that were evaluated for it."""
        found = None if self.weights is None else self.weights.evaluation.get(name)
        learner = self.newest.get("learner")
        return found if found is not None or learner is None else learner.numbers.get(name)

    def _worth(self) -> tuple[str, str]:
        """What the weights are worth: by every line of play, or by the episodes that were played."""
        strength, score = self.evaluation("strength"), self.evaluation("return_mean")
        if strength is not None:
            lost = [self.evaluation(f"lost_as_{seat}") or 0.0 for seat in ("first", "second")]
            return "strength", (
                f"{strength:.2%} of lines not lost (lost as first {lost[0]:.0f}, as second {lost[1]:.0f})"
            )
        if score is None:
            return "strength", "-"
        low, high, length = (
            self.evaluation(name) or 0.0 for name in ("return_min", "return_max", "length_mean")
        )
        return "return, greedy", f"{score:.2f} (from {low:.2f} to {high:.2f}, {length:.1f} steps an episode)"

    def figures(self) -> list[tuple[str, str]]:
        """What is shown, in the order of the data's way."""
        lags = [status.numbers.get("weights_lag_seconds", 0.0) for status in self.actors]
        played = ", ".join(
            f"v{status.weights_version}" for status in self.actors if status.weights_version >= 0
        )
        version = "-" if self.weights is None else f"v{self.weights.version}"
        return [
            ("transitions/s", f"{self.transitions_per_s:,.0f}"),
            ("transitions", f"{self.actors_sum('transitions_total'):,.0f}"),
            ("episodes", f"{self.actors_sum('episodes_total'):,.0f}"),
            ("shards sealed", f"{self.shards:,} with {self.rows:,} rows"),
            ("rows in the window", f"{self.learner('window_rows'):,.0f}"),
            ("gradient steps", f"{self.learner('gradient_steps_total'):,.0f}"),
            ("samples per insert", f"{self.learner('samples_per_insert'):.2f}"),
            ("loss", f"{self.learner('loss'):.5f}"),
            (
                "weights",
                f"{version} (actors play {played or '-'}, {max(lags, default=0) * 1000:.0f} ms after)",
            ),
            self._worth(),
        ]


class _Feed:
    """The three topics, filtered for one run."""

    def __init__(self, settings: Settings, view: RunView) -> None:
        self._view = view
        self._weights = kafka.Follower(settings.kafka, topics.WEIGHTS, WeightsPublished)
        self._shards = kafka.Follower(settings.kafka, topics.SHARDS, ShardSealed)
        self._status = kafka.Follower(settings.kafka, topics.RUN_STATUS, RunStatus)
        self._runs = kafka.Follower(settings.kafka, topics.RUNS, RunSpec)

    def poll(self) -> None:
        view = self._view
        for status in self._status.poll(_POLL_S):
            if status.run == view.run:
                view.take_status(status)
        for shard in self._shards.poll():
            if shard.run == view.run:
                view.take_shard(shard)
        for spec in self._runs.poll():
            if spec.run == view.run:
                view.stopped = spec.wanted == "STOPPED"
        for weights in self._weights.poll():
            if weights.run == view.run:
                view.weights = weights

    def close(self) -> None:
        for follower in (self._weights, self._shards, self._status, self._runs):
            follower.close()


def follow(settings: Settings, run: str, console: Console) -> RunView:
    """Shows `run` until it is over or one of its components has failed. Returns what is known of it then."""
    view = RunView(run)
    feed = _Feed(settings, view)
    try:
        if console.is_terminal:
            _live(view, feed, console)
        else:
            _plain(view, feed, console)
    finally:
        feed.close()
    return view


def _over(view: RunView) -> bool:
    return bool(view.failure) or view.stopped or (view.weights is not None and view.weights.final)


def _live(view: RunView, feed: _Feed, console: Console) -> None:
    started_s = time.monotonic()
    with Live(console=console, auto_refresh=False) as live:
        while not _over(view):
            feed.poll()
            live.update(_table(view, time.monotonic() - started_s), refresh=True)
        feed.poll()
        live.update(_table(view, time.monotonic() - started_s), refresh=True)


def _table(view: RunView, elapsed_s: float) -> Table:
    table = Table(
        title=f"run {view.run}   {elapsed_s:.0f} s", title_justify="left", show_header=False, box=None
    )
    table.add_column(style="dim", min_width=20)
    table.add_column()
    for name, value in view.figures():
        table.add_row(name, value)
    if silence := _silence(view, elapsed_s):
        table.add_row("", silence)
    return table


def _plain(view: RunView, feed: _Feed, console: Console) -> None:
    started_s = said_s = time.monotonic()
    while not _over(view):
        feed.poll()
        now_s = time.monotonic()
        if now_s - said_s >= _PLAIN_EVERY_S:
            said_s = now_s
            _say_line(view, now_s - started_s, console)
    feed.poll()
    _say_line(view, time.monotonic() - started_s, console)


def _say_line(view: RunView, elapsed_s: float, console: Console) -> None:
    figures = "; ".join(f"{name} {value}" for name, value in view.figures())
    console.print(
        f"{elapsed_s:5.1f} s  {figures}{_silence(view, elapsed_s)}", soft_wrap=True, highlight=False
    )


def _silence(view: RunView, elapsed_s: float) -> str:
    """A hint when nobody works on the run."""
    if view.newest and view.silent_s > _UNHEARD_S:
        return f"  nothing was heard of the run for {view.silent_s:.0f} s: see `./just status`"
    if elapsed_s < _SILENT_S or "learner" in view.newest:
        return ""
    return "  no learner has taken the run yet: see `./just status`"
