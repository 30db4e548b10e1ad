"""Stable-Baselines3, unmodified, on our environments: does it learn?

Enters: algorithms by name. Leaves: a table, or JSON with --json: mean returns before and after training; exit code 1
where one did not rise to its mark. Invariant: nothing of Stable-Baselines3 is adapted; it gets what `gymnasium.make`
gives, and PPO is the documents' own example.

It is no part of this project's environment but of the peers':

    ./just peers bench/sb3.py
    ./just peers bench/sb3.py --json --only PPO
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import io
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from engine.adapters.registration import name_of, register_all

SEED = 1
EPISODES = 40  # of each evaluation
ENVIRONMENTS = 8  # of one DummyVecEnv
DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "environments.md"
NEEDED = ("stable_baselines3", "sb3_contrib")


@dataclass(frozen=True, slots=True)
class Trial:
    """One algorithm on one game."""

    algorithm: str
    game: str
    steps: int
    mark: float  # mean return that it has to reach
    make: Callable[[Trial], tuple[Any, Callable[[], Any]]]  # the model, and what trains it


@dataclass(frozen=True, slots=True)
class Result:
    """One line of the table."""

    algorithm: str
    game: str
    steps: int
    before: float  # mean return
    after: float
    mark: float
    seconds: float

    @property
    def learnt(self) -> bool:
        """Whether the return rose, and to the mark."""
        return self.after >= self.mark > self.before


def make_example(trial: Trial) -> tuple[Any, Callable[[], Any]]:
    """The example of docs/environments.md as it stands there, up to the training and from there on: PPO on eight
    environments in Stable-Baselines3's own DummyVecEnv."""
    del trial  # the document says it
    text = DOCUMENT.read_text().partition("## Stable-Baselines3\n")[2]
    lines = [line[4:] for line in text[: text.index("\nStable-Baselines3 ")].splitlines()]
    train = next(number for number, line in enumerate(lines) if line.startswith("model.learn"))
    names: dict[str, Any] = {}
    exec("\n".join(lines[:train]), names)

    def rest() -> None:
        with contextlib.redirect_stdout(io.StringIO()):  # it prints, and here a table is printed
            exec("\n".join(lines[train:]), names)

    return names["model"], rest


def make_dqn(trial: Trial) -> tuple[Any, Callable[[], Any]]:
    """DQN on one environment."""
    import gymnasium
    from stable_baselines3 import DQN

    model = DQN(
        "MlpPolicy",
        gymnasium.make(name_of(trial.game)),
        learning_rate=1e-3,
        batch_size=64,
        learning_starts=1000,
        gamma=0.98,
        target_update_interval=250,
        gradient_steps=2,
        exploration_fraction=0.3,
        seed=SEED,
    )
    return model, lambda: model.learn(trial.steps)


def make_maskable_ppo(trial: Trial) -> tuple[Any, Callable[[], Any]]:
    """sb3-contrib's MaskablePPO, which asks for `action_masks()`, against an opponent that moves at random."""
    from sb3_contrib import MaskablePPO
    from stable_baselines3.common.env_util import make_vec_env

    envs = make_vec_env(name_of(trial.game), ENVIRONMENTS, seed=SEED, env_kwargs={"illegal": "raise"})
    model = MaskablePPO("MlpPolicy", envs, n_steps=64, batch_size=256, learning_rate=1e-3, seed=SEED)
    return model, lambda: model.learn(trial.steps)


TRIALS = (
    Trial("PPO", "cartpole", 20_000, 100, make_example),
    Trial("DQN", "cartpole", 20_000, 80, make_dqn),
    Trial("MaskablePPO", "tictactoe", 20_000, 0.6, make_maskable_ppo),
)


def run(trial: Trial) -> Result:
    """Train, and play before and after it."""
    model, train = trial.make(trial)
    before = mean_return(model)
    began = time.perf_counter()
    train()
    seconds = time.perf_counter() - began
    after = mean_return(model)
    return Result(trial.algorithm, trial.game, trial.steps, before, after, trial.mark, seconds)


def mean_return(model: Any) -> float:
    """Of episodes that the model plays in the environments that it is made with."""
    if type(model).__name__ == "MaskablePPO":
        from sb3_contrib.common.maskable.evaluation import evaluate_policy
    else:
        from stable_baselines3.common.evaluation import evaluate_policy
    mean, _ = evaluate_policy(model, model.get_env(), EPISODES)
    return float(mean)


def main(arguments: Sequence[str] | None = None) -> int:
    """The program. Returns the exit code: 0, 1 where a mark is not reached, 2 without Stable-Baselines3."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="a JSON object a line instead of a table")
    parser.add_argument(
        "--only", nargs="+", choices=[trial.algorithm for trial in TRIALS], help="some of them"
    )
    options = parser.parse_args(arguments)
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        print(
            f"error: this Python has no {' and no '.join(missing)}; the peers' has: ./just peers bench/sb3.py",
            file=sys.stderr,
        )
        return 2
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # PyTorch's; networks this small are slower on more
    register_all()
    results = []
    for trial in TRIALS:
        if options.only is None or trial.algorithm in options.only:
            results.append(run(trial))
            print(json.dumps(asdict(results[-1])) if options.json else line(results[-1]), flush=True)
    return 0 if all(result.learnt for result in results) else 1


def line(result: Result) -> str:
    """A result as a line of the table."""
    verdict = "learnt" if result.learnt else "NOT LEARNT"
    return (
        f"{result.algorithm:12} {result.game:10} {result.steps:7,} steps {result.seconds:6.1f} s   "
        f"mean return {result.before:7.2f} -> {result.after:7.2f} (mark {result.mark:g})   {verdict}"
    )


if __name__ == "__main__":
    sys.exit(main())
