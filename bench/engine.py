"""Steps a second of the engine: the kernel alone, then through each kind of call.

Enters: a game, durations. Leaves: a table, or JSON with --json: steps/s, and CPU microseconds a step on either side.
Invariant: engine and client are two processes, as in the stack; batches are samples of random games, with auto-reset.

    python bench/engine.py
    python bench/engine.py --json --seconds 3 --calls stream --batches 1024
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from engine.autoreset import AutoReset
from engine.client import EngineClient
from engine.memory import keep_freed
from engine.server import EngineServer
from games import registry
from games.contract import Game, Outcomes, encode_discrete

GAME = "tictactoe"
BATCHES = (1, 64, 1024, 4096)
CALLS = ("kernel", "unary", "batch", "stream")
IN_FLIGHT = 16
SAMPLED_GAMES = 4096
SEED = 3


@dataclass(frozen=True, slots=True)
class Result:
    """One line of the table."""

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


def sample_positions(game: Game, rows: int) -> Sample:
    """Rows drawn from random games, so that ends are as frequent as in play."""
    rng = np.random.default_rng(SEED)
    seeds = np.arange(SAMPLED_GAMES, dtype=np.uint64)
    position = game.reset(seeds)
    bits = np.arange(64, dtype=np.uint64)
    states, actions = [], []
    while len(position):
        legal = (position.legal_masks[:, :, None] >> bits & np.uint64(1)).reshape(len(position), -1)
        chosen = encode_discrete(np.argmax(legal * rng.random(legal.shape), axis=1))
        states.append(position.states)
        actions.append(chosen)
        after = game.step(position.states, chosen)
        goes_on = np.flatnonzero((after.terminated | after.truncated) == 0)
        position = game.observe(np.ascontiguousarray(after.positions.states[goes_on]))
    drawn = rng.integers(0, sum(map(len, states)), rows)
    return Sample(
        np.concatenate(states)[drawn], np.concatenate(actions)[drawn], seeds[:rows].repeat(1 + rows)[:rows]
    )


@contextmanager
def engine_process() -> Iterator[tuple[str, Callable[[], float]]]:
    """An engine in a process of its own: its address, and a function that tells its CPU seconds so far."""
    command = [sys.executable, __file__, "--serve"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None  # noqa: PT018 - asked for above
        address = process.stdout.readline().strip()

        def cpu_s() -> float:
            print("cpu", file=process.stdin, flush=True)
            assert process.stdout is not None
            return float(process.stdout.readline())

        yield address, cpu_s
        process.stdin.close()


def serve() -> None:
    """The other process: answers every line on standard input with its CPU seconds, ends with it."""
    with EngineServer("127.0.0.1", 0) as server:
        print(server.address, flush=True)
        for _ in sys.stdin:
            print(time.process_time(), flush=True)


def measure(
    call: str, batch: int, run: Callable[[float], int], cpu_s: Callable[[], float], *, seconds: float
) -> Result:
    """Run for `seconds` after a warm-up; `run` returns the steps taken."""
    run(min(0.2, seconds))
    engine_before, client_before, began = cpu_s(), time.process_time(), time.perf_counter()
    steps = run(seconds)
    took = time.perf_counter() - began
    client, engine = time.process_time() - client_before, cpu_s() - engine_before
    return Result(call, batch, steps / took, client / steps * 1e6, engine / steps * 1e6)


def kernel_run(game: Game, sample: Sample) -> Callable[[float], int]:
    """The game in this process, with auto-reset, no engine."""
    out = Outcomes.empty(game.spec, len(sample.states))
    resets = AutoReset(game)

    def run(seconds: float) -> int:
        stop, batches = time.perf_counter() + seconds, 0
        while time.perf_counter() < stop:
            game.step(sample.states, sample.actions, out=out)
            resets.apply(out, sample.seeds)
            batches += 1
        return batches * len(sample.states)

    return run


def unary_run(client: EngineClient, sample: Sample) -> Callable[[float], int]:
    """The call Step, row by row, by the generated stub."""
    from engine.stubs import engine_pb2 as pb

    step = client.unary("Step", pb.StepRequest, pb.StepResponse)
    rows = [
        pb.StepRequest(id=pb.EngineId(env_id=GAME), state=state.tobytes(), action=action.tobytes())
        for state, action in zip(sample.states, sample.actions, strict=True)
    ]

    def run(seconds: float) -> int:
        stop, steps = time.perf_counter() + seconds, 0
        while time.perf_counter() < stop:
            step(rows[steps % len(rows)])
            steps += 1
        return steps

    return run


def batch_run(client: EngineClient, sample: Sample) -> Callable[[float], int]:
    """The call StepBatch, one after the other."""

    def run(seconds: float) -> int:
        stop, batches = time.perf_counter() + seconds, 0
        while time.perf_counter() < stop:
            client.step_batch(GAME, sample.states, sample.actions, reset_seeds=sample.seeds)
            batches += 1
        return batches * len(sample.states)

    return run


def stream_run(client: EngineClient, sample: Sample) -> Callable[[float], int]:
    """The call StepStream, IN_FLIGHT batches under way."""

    def run(seconds: float) -> int:
        with client.open_stream(GAME, max_in_flight=IN_FLIGHT) as stream:
            for _ in range(IN_FLIGHT):
                stream.send(sample.states, sample.actions, sample.seeds)
            stop, batches = time.perf_counter() + seconds, 0
            while time.perf_counter() < stop:
                stream.receive()
                stream.send(sample.states, sample.actions, sample.seeds)
                batches += 1
            while stream.in_flight:
                stream.receive()
                batches += 1
            return batches * len(sample.states)

    return run


def measure_all(calls: list[str], batches: list[int], *, seconds: float) -> Iterator[Result]:
    """Every wanted combination; the call Step has batches of one only."""
    game = registry.get(GAME)
    with engine_process() as (address, cpu_s), EngineClient(address) as client:
        for call in calls:
            for batch in batches:
                sample = sample_positions(game, batch)
                if call == "kernel":
                    yield measure(call, batch, kernel_run(game, sample), lambda: 0.0, seconds=seconds)
                elif call == "batch":
                    yield measure(call, batch, batch_run(client, sample), cpu_s, seconds=seconds)
                elif call == "stream":
                    yield measure(call, batch, stream_run(client, sample), cpu_s, seconds=seconds)
                elif batch == 1:
                    many = sample_positions(game, SAMPLED_GAMES)
                    yield measure(call, batch, unary_run(client, many), cpu_s, seconds=seconds)


def main(arguments: list[str] | None = None) -> int:
    """Print the table or JSON. Returns the exit code."""
    parser = argparse.ArgumentParser(description="Steps a second of the engine.")
    parser.add_argument("--json", action="store_true", help="one JSON array instead of the table")
    parser.add_argument("--seconds", type=float, default=1.0, help="a measurement (default 1)")
    parser.add_argument("--calls", nargs="+", choices=CALLS, default=list(CALLS))
    parser.add_argument("--batches", nargs="+", type=int, default=list(BATCHES))
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    keep_freed()
    if options.serve:
        serve()
        return 0
    results = measure_all(options.calls, options.batches, seconds=options.seconds)
    if options.json:
        print(json.dumps([asdict(result) for result in results], indent=2))
        return 0
    print(f"{'call':8}{'batch':>6}{'steps/s':>14}{'client µs/step':>16}{'engine µs/step':>16}")
    for result in results:
        print(
            f"{result.call:8}{result.batch:6}{result.steps_per_s:14,.0f}"
            f"{result.client_us_per_step:16.3f}{result.engine_us_per_step:16.3f}",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
