"""What a step costs through each kind of call: the kernel alone, then unary, batch and stream through an engine.

Enters: a game, a kind of call, a batch size, a duration. Leaves: a `Result`: steps/s, CPU microseconds a step on either
side. Invariant: engine and client are two processes, as in the stack; batches are positions of random play, with
auto-reset, so that ends are as frequent as there.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from engine.autoreset import AutoReset
from engine.client import EngineClient
from engine.memory import keep_freed
from engine.server import EngineServer
from games.contract import Game, Outcomes
from games.moves import random_actions

CALLS = ("kernel", "unary", "batch", "stream")
ROOT = Path(__file__).resolve().parent.parent
_IN_FLIGHT = 16
_SAMPLED_GAMES = 4096
_SAMPLED_ROWS = 2**18  # about so many at most, where episodes are long
_FEWEST_GAMES = 64
_SEED = 3
Run = Callable[[float], int]  # takes seconds, gives the steps taken


@dataclass(frozen=True, slots=True)
class Result:
    """One line of the table."""

    game: str
    call: str
    batch: int
    steps_per_s: float
    client_us_per_step: float  # CPU, of all threads
    engine_us_per_step: float


@dataclass(frozen=True, slots=True)
class Sample:
    """Positions that random play meets, with the action that it took."""

    states: npt.NDArray[np.uint8]  # [N, S]
    actions: npt.NDArray[np.uint8]  # [N, A]
    seeds: npt.NDArray[np.uint64]  # [N]

    def __len__(self) -> int:
        return len(self.seeds)


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine in a process of its own."""

    address: str
    cpu_s: Callable[[], float]  # CPU seconds that it has used so far


def play(game: Game) -> Sample:
    """Random games from start to end, row after row; seeds count the rows."""
    rng = np.random.default_rng(_SEED)
    games = min(_SAMPLED_GAMES, max(_FEWEST_GAMES, _SAMPLED_ROWS // game.spec.max_horizon))
    position = game.reset(np.arange(games, dtype=np.uint64))
    states, actions = [], []
    while len(position):
        chosen = random_actions(game, position, rng)
        states.append(position.states)
        actions.append(chosen)
        after = game.step(position.states, chosen)
        goes_on = np.flatnonzero((after.terminated | after.truncated) == 0)
        position = game.observe(np.ascontiguousarray(after.positions.states[goes_on]))
    rows = sum(map(len, states))
    return Sample(np.concatenate(states), np.concatenate(actions), np.arange(rows, dtype=np.uint64))


def draw(sample: Sample, rows: int) -> Sample:
    """`rows` of the sample, with repetition."""
    drawn = np.random.default_rng(_SEED).integers(0, len(sample), rows)
    return Sample(sample.states[drawn], sample.actions[drawn], np.arange(rows, dtype=np.uint64))


@contextmanager
def engine_process() -> Iterator[Engine]:
    """An engine, for the length of the block."""
    command = [sys.executable, "-m", "bench.calls"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdin is not None and process.stdout is not None  # noqa: PT018 - asked for above
        address = process.stdout.readline().strip()

        def cpu_s() -> float:
            print("cpu", file=process.stdin, flush=True)
            assert process.stdout is not None
            return float(process.stdout.readline())

        yield Engine(address, cpu_s)
        process.stdin.close()


def serve() -> None:
    """The other process: answers every line on standard input with its CPU seconds, ends with it."""
    keep_freed()
    with EngineServer("127.0.0.1", 0) as server:
        print(server.address, flush=True)
        for _ in sys.stdin:
            print(time.process_time(), flush=True)


def measure_calls(
    game: Game, calls: list[str], batches: list[int], *, engine: Engine, seconds: float
) -> Iterator[Result]:
    """Every wanted combination; the call Step has batches of one only."""
    played = play(game)
    with EngineClient(engine.address) as client:
        for call in calls:
            for batch in batches:
                if call != "unary" or batch == 1:
                    sample = draw(played, batch if call != "unary" else _SAMPLED_GAMES)
                    run = _run(game, call, sample, client=client)
                    cpu_s = engine.cpu_s if call != "kernel" else lambda: 0.0
                    yield _measure(game, call, batch, run=run, cpu_s=cpu_s, seconds=seconds)


def _run(game: Game, call: str, sample: Sample, *, client: EngineClient) -> Run:
    if call == "kernel":
        return kernel_run(game, sample)
    run = {"unary": _unary_run, "batch": _batch_run, "stream": _stream_run}[call]
    return run(client, game, sample)


def _measure(
    game: Game, call: str, batch: int, *, run: Run, cpu_s: Callable[[], float], seconds: float
) -> Result:
    """Run for `seconds` after a warm-up."""
    run(min(0.2, seconds))
    engine_before, client_before, began = cpu_s(), time.process_time(), time.perf_counter()
    steps = run(seconds)
    took = time.perf_counter() - began
    client, engine = time.process_time() - client_before, cpu_s() - engine_before
    return Result(game.spec.env_id, call, batch, steps / took, client / steps * 1e6, engine / steps * 1e6)


def kernel_run(game: Game, sample: Sample) -> Run:
    """The game in this process, with auto-reset, no engine."""
    out = Outcomes.empty(game.spec, len(sample))
    resets = AutoReset(game)

    def run(seconds: float) -> int:
        stop, batches = time.perf_counter() + seconds, 0
        while time.perf_counter() < stop:
            game.step(sample.states, sample.actions, out=out)
            resets.apply(out, sample.seeds)
            batches += 1
        return batches * len(sample)

    return run


def _unary_run(client: EngineClient, game: Game, sample: Sample) -> Run:
    """The call Step, one after the other."""
    from engine.stubs import engine_pb2 as pb

    step = client.unary("Step", pb.StepRequest, pb.StepResponse)
    rows = [
        pb.StepRequest(
            id=pb.EngineId(env_id=game.spec.env_id), state=state.tobytes(), action=action.tobytes()
        )
        for state, action in zip(sample.states, sample.actions, strict=True)
    ]

    def run(seconds: float) -> int:
        stop, steps = time.perf_counter() + seconds, 0
        while time.perf_counter() < stop:
            step(rows[steps % len(rows)])
            steps += 1
        return steps

    return run


def _batch_run(client: EngineClient, game: Game, sample: Sample) -> Run:
    """The call StepBatch, one after the other."""

    def run(seconds: float) -> int:
        stop, batches = time.perf_counter() + seconds, 0
        while time.perf_counter() < stop:
            client.step_batch(game.spec.env_id, sample.states, sample.actions, reset_seeds=sample.seeds)
            batches += 1
        return batches * len(sample)

    return run


def _stream_run(client: EngineClient, game: Game, sample: Sample) -> Run:
    """The call StepStream, several batches under way."""

    def run(seconds: float) -> int:
        with client.open_stream(game.spec.env_id, max_in_flight=_IN_FLIGHT) as stream:
            for _ in range(_IN_FLIGHT):
                stream.send(sample.states, sample.actions, sample.seeds)
            stop, batches = time.perf_counter() + seconds, 0
            while time.perf_counter() < stop:
                stream.receive()
                stream.send(sample.states, sample.actions, sample.seeds)
                batches += 1
            while stream.in_flight:
                stream.receive()
                batches += 1
            return batches * len(sample)

    return run


if __name__ == "__main__":
    serve()
