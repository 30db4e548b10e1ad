"""A game remembers nothing: between calls, between instances, between threads, between processes.

Enters: a trial. Leaves: what was compared, or a finding.
Invariant: whatever else is played before, at the same time or elsewhere, the same seeds give the same bytes.
"""

from __future__ import annotations

import hashlib
import random
import subprocess
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from games import registry
from games.checks.trial import OUTCOME_COLUMNS, POSITION_COLUMNS, Trial, play
from games.contract import Game

DIGEST_ROWS, DIGEST_STEPS = 16, 64
UNKNOWN = 3  # exit code of a process that does not know the game
_PATIENCE_S = 300
_DEPTH = 5  # how deep a game's attributes are looked into
_THREADS = 3


def digest(game: Game, *, seed: int) -> str:
    """SHA-256 of everything that some seeded episodes tell; equal wherever the game is the same."""
    spec = game.spec
    total = hashlib.sha256(f"{spec.env_id} {spec.build_id} {spec.encoding}".encode())
    trial = Trial(game, seed=seed, rows=DIGEST_ROWS, steps=DIGEST_STEPS)
    for played in play(trial, purpose=9):
        for name in POSITION_COLUMNS:
            total.update(getattr(played.before, name).tobytes())
            total.update(getattr(played.outcome.positions, name).tobytes())
        for name in OUTCOME_COLUMNS:
            total.update(getattr(played.outcome, name).tobytes())
        total.update(played.actions.tobytes())
        total.update(game.render_text(played.before.states[0].tobytes()).encode())
    return total.hexdigest()


def check_memory(trial: Trial) -> tuple[int, str]:
    """Plays that interleave, other instances and other threads change nothing, and nothing is left behind."""
    game, seed = trial.game, trial.seed
    first = digest(game, seed=seed)
    digest(game, seed=seed + 1)
    before, chance = _memory(game), _chance()
    wanted = digest(game, seed=seed + 1)
    if digest(game, seed=seed) != first:
        trial.fail("the same play a second time, after another one, gives other bytes")
    if _chance() != chance:
        trial.fail("draws from Python's or numpy's global generator; keep seed and counter in the state")
    digest(game, seed=seed + 1)
    for name, value in _memory(game).items():
        if before.get(name) != value:
            trial.fail(
                f"remembers: {name} is {value[:80]} after a play that was played before, {before.get(name)}"
            )
    if digest(trial.another(), seed=seed) != first:
        trial.fail("another instance gives other bytes")
    with ThreadPoolExecutor(_THREADS) as pool:
        asked = [seed, seed + 1] * _THREADS
        got = list(pool.map(lambda value: digest(game, seed=value), asked))
    if got != [first, wanted] * _THREADS:
        trial.fail("gives other bytes while other threads play as well")
    return len(got) + 4, ""


def check_interleaved(trial: Trial) -> tuple[int, str]:
    """Two batches, one step of each in turn, give what each gives alone."""
    alone = [list(play(trial, purpose=number, rows=4, steps=DIGEST_STEPS)) for number in (10, 11)]
    walks = [play(trial, purpose=number, rows=4, steps=DIGEST_STEPS) for number in (10, 11)]
    for step in range(max(map(len, alone))):
        for steps, walk in zip(alone, walks, strict=True):
            if step < len(steps):
                trial.same_outcomes(
                    "step between another batch's steps", steps[step].outcome, next(walk).outcome
                )
    return sum(map(len, alone)), ""


def check_processes(trial: Trial) -> tuple[int, str]:
    """Fresh processes, each with hashes of its own, give the same digest."""
    name = trial.spec.env_id
    if not trial.processes:
        return 0, "not asked for"
    if name not in registry.names() or type(registry.get(name)) is not type(trial.game):
        return 0, "not registered under its name: no other process can make it"
    here = digest(trial.game, seed=trial.seed)
    running = [_process(trial, number) for number in range(1, trial.processes + 1)]
    for number, process in enumerate(running, 1):
        try:
            out, err = process.communicate(timeout=_PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            trial.fail(f"another process has not played in {_PATIENCE_S} s")
        if process.returncode == UNKNOWN:
            return 0, "registered in this process only: no other process can make it"
        if process.returncode:
            trial.fail(f"another process fails: {(err.strip().splitlines() or ['?'])[-1]}")
        if out.strip() != here:
            trial.fail(f"process {number} (PYTHONHASHSEED={number}) gives other bytes than this one")
    return trial.processes, ""


def _process(trial: Trial, number: int) -> subprocess.Popen[str]:
    path = ":".join([str(Path(__file__).resolve().parents[2]), *filter(None, sys.path)])
    command = [
        sys.executable,
        "-m",
        "games.conformance",
        "digest",
        trial.spec.env_id,
        "--seed",
        str(trial.seed),
    ]
    return subprocess.Popen(
        ["env", f"PYTHONHASHSEED={number}", f"PYTHONPATH={path}", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _chance() -> tuple[str, str]:
    """Where Python's and numpy's global generators stand."""
    name, words, *rest = np.random.get_state(legacy=True)
    return repr(hash(random.getstate())), repr(
        (name, hashlib.sha256(np.asarray(words).tobytes()).hexdigest(), rest)
    )


def _memory(game: Game) -> dict[str, str]:
    """Everything that a game and the modules of its folder hold, in words that can be compared."""
    found = {f"self.{name}": value for name, value in _attributes(game).items()}
    own = type(game).__module__
    package = own.rpartition(".")[0]
    for name, module in list(sys.modules.items()):
        if name == own or (package and package != "games" and name.startswith(f"{package}.")):
            found |= {f"{name}.{key}": value for key, value in _globals(module).items()}
    return {name: _described(value, _DEPTH) for name, value in found.items()}


def _attributes(value: object) -> Mapping[str, Any]:
    """What an object and its class hold, methods left out."""
    held = {name: item for kind in type(value).__mro__[::-1] for name, item in vars(kind).items()}
    held |= getattr(value, "__dict__", {})
    skipped = (property, classmethod, staticmethod)
    return {
        name: item
        for name, item in held.items()
        if not name.startswith("__") and not callable(item) and not isinstance(item, skipped)
    }


def _globals(module: ModuleType) -> Mapping[str, Any]:
    plain = (
        bool,
        int,
        float,
        str,
        bytes,
        list,
        dict,
        set,
        tuple,
        np.ndarray,
        np.random.Generator,
        random.Random,
    )
    return {
        name: value
        for name, value in vars(module).items()
        if not name.startswith("__") and isinstance(value, plain)
    }


def _described(value: object, depth: int) -> str:
    if value is None or isinstance(value, bool | int | float | str | bytes | np.generic):
        return repr(value)
    if isinstance(value, np.ndarray):
        return f"{value.dtype}{value.shape} {hashlib.sha256(value.tobytes()).hexdigest()}"
    if isinstance(value, np.random.Generator):
        return repr(value.bit_generator.state)
    if isinstance(value, random.Random):
        return repr(hash(value.getstate()))
    if depth == 0 or isinstance(value, type | ModuleType | Callable):
        return type(value).__name__
    if isinstance(value, dict):
        inner = [f"{_described(key, 0)}: {_described(item, depth - 1)}" for key, item in value.items()]
    elif isinstance(value, list | tuple):
        inner = [_described(item, depth - 1) for item in value]
    elif isinstance(value, set | frozenset):
        inner = sorted(_described(item, depth - 1) for item in value)
    else:
        held = getattr(value, "__dict__", {})
        inner = [f"{name}={_described(item, depth - 1)}" for name, item in held.items()]
    return f"{type(value).__name__}({len(inner)}: {', '.join(inner)})"
