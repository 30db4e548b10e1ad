"""Gymnasium's own checks of our environments, and its own vector environment as the oracle of ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env, data_equivalence
from gymnasium.utils.env_match import check_environments_match
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import sticks
from engine.adapters.env import GameEnv
from engine.adapters.fit import interfaces
from engine.adapters.registration import name_of, register_gymnasium
from engine.adapters.vector import GameVectorEnv
from engine.client import EngineClient
from engine.errors import EngineRefused
from engine.server import EngineServer
from games import registry
from games.errors import IllegalAction
from games.spec import Box

GAMES = [name for name in registry.names() if "GameEnv" in interfaces(registry.get(name).spec)]
STEPS = 120

# Gymnasium warns of what is so: specs tell no bounds of observations, and pendulum's torques go beyond 1.
UNBOUNDED = pytest.mark.filterwarnings(
    "ignore:.*A Box observation space m(in|ax)imum value is -?infinity:UserWarning",
    "ignore:.*For Box action spaces, we recommend using a symmetric and normalized space:UserWarning",
)


@pytest.fixture(scope="module")
def server() -> Iterator[EngineServer]:
    registry.register(sticks.NAME, sticks.Sticks)
    with EngineServer("127.0.0.1", 0) as running:
        yield running
    registry.unregister(sticks.NAME)


@pytest.fixture(params=["here", "over gRPC"])
def address(request: pytest.FixtureRequest, server: EngineServer) -> str | None:
    """Where the games are played."""
    return server.address if request.param == "over gRPC" else None


def some_actions(env: GameVectorEnv, generator: np.random.Generator) -> Any:
    """An action a row: legal ones, and now and then one of any kind."""
    space, rows = env.single_action_space, range(env.num_envs)
    if not env._episodes.actions:
        return np.array([space.sample() for _ in rows])
    wild = generator.random(env.num_envs) < 0.03
    masks = env.action_masks().view(np.int8)
    return np.array([space.sample(None if wild[row] else masks[row]) for row in rows])


@UNBOUNDED
@pytest.mark.parametrize("env_id", [*GAMES, sticks.NAME])
def test_check_env_has_nothing_to_say(env_id: str, address: str | None) -> None:
    assert name_of(env_id) in register_gymnasium(address)
    with gymnasium.make(name_of(env_id), disable_env_checker=True) as env:
        check_env(env.unwrapped)
        assert env.unwrapped.metadata["render_modes"]


@pytest.mark.parametrize("env_id", GAMES)
def test_a_game_plays_the_same_here_and_over_grpc(env_id: str, server: EngineServer) -> None:
    here = GameEnv(env_id, render_mode="ansi")
    there = GameEnv(env_id, address=server.address, render_mode="ansi")
    check_environments_match(here, there, STEPS, seed=5)
    here.close()
    there.close()


@pytest.mark.parametrize("mode", AutoresetMode)
@pytest.mark.parametrize("env_id", [*GAMES, sticks.NAME])
def test_rows_play_what_single_environments_play(
    env_id: str, mode: AutoresetMode, address: str | None
) -> None:
    """Gymnasium's SyncVectorEnv over our Env against our VectorEnv: all that they return, infos included."""
    singles = SyncVectorEnv([lambda: GameEnv(env_id)] * 5, autoreset_mode=mode)
    rows = GameVectorEnv(env_id, 5, address=address, autoreset_mode=mode)
    assert rows.observation_space == singles.observation_space
    assert rows.action_space == singles.action_space
    assert rows.metadata["autoreset_mode"] is mode
    generator = np.random.default_rng(7)
    rows.single_action_space.seed(3)
    wanted: Any = singles.reset(seed=11)
    seen: Any = rows.reset(seed=11)
    ends, spec = 0, rows.game_spec
    # What nothing but the horizon ends is played beyond it.
    for _ in range(spec.max_horizon + 20 if isinstance(spec.action_space, Box) else STEPS):
        assert data_equivalence(tuple(wanted), tuple(seen), exact=True)
        actions = some_actions(rows, generator)
        wanted, seen = singles.step(actions), rows.step(actions)
        ended = seen[2] | seen[3]
        ends += int(ended.sum())
        if mode is AutoresetMode.DISABLED and ended.any():
            assert data_equivalence(tuple(wanted), tuple(seen), exact=True)
            wanted = singles.reset(options={"reset_mask": ended})
            seen = rows.reset(options={"reset_mask": ended})
    assert ends > 0
    singles.close()
    rows.close()


def test_the_last_observation_of_an_episode_is_that_of_its_last_state(address: str | None) -> None:
    game = registry.get("cartpole")
    rows = GameVectorEnv("cartpole", 16, address=address)
    obs, _ = rows.reset(seed=1)
    ended = 0
    while ended < 50:
        before = rows.states.copy()
        actions = rows.action_space.sample()
        obs, rewards, terminations, truncations, infos = rows.step(actions)
        outcome = game.step(before, np.array(actions, "<u4")[:, None].view(np.uint8))
        assert (rewards == outcome.rewards).all()
        for row in np.flatnonzero(terminations | truncations):
            ended += 1
            assert (infos["final_obs"][row] == outcome.positions.obs[row]).all()
            assert (obs[row] != outcome.positions.obs[row]).any()
    rows.close()


def test_a_seed_decides_the_episodes_that_follow(address: str | None) -> None:
    with GameEnv("cartpole", address=address) as env:
        first = [env.reset(seed=3)[0].tolist(), env.reset()[0].tolist(), env.reset()[0].tolist()]
        again = [env.reset(seed=3)[0].tolist(), env.reset()[0].tolist(), env.reset()[0].tolist()]
        other = env.reset(seed=4)[0].tolist()
    assert first == again
    assert len({str(obs) for obs in (*first, other)}) == 4


def test_rows_without_a_seed_are_all_different() -> None:
    rows = GameVectorEnv("cartpole", 64)
    assert len(np.unique(rows.reset()[0], axis=0)) == 64
    assert len(np.unique(rows.reset(seed=[5] * 64)[0], axis=0)) == 1
    rows.close()


def test_rows_that_wait_for_a_later_reset_are_all_different_too() -> None:
    first = np.array([True, False, False, False])
    for seed in (None, 5):
        rows = GameVectorEnv("cartpole", 4, autoreset_mode="Disabled")
        rows.reset(seed=seed, options={"reset_mask": first})
        obs, _ = rows.reset(options={"reset_mask": ~first})
        assert len(np.unique(obs, axis=0)) == 4
        if seed is not None:
            assert (obs == rows.reset(seed=seed)[0]).all()
        rows.close()


def test_a_row_whose_seed_is_none_goes_on() -> None:
    """As SyncVectorEnv has it."""
    rows = GameVectorEnv("cartpole", 4, autoreset_mode="Disabled")
    singles = SyncVectorEnv([lambda: GameEnv("cartpole")] * 4, autoreset_mode="Disabled")
    mask = np.array([True, True, False, True])
    for env in (rows, singles):
        env.reset(seed=7)
    seeds: list[tuple[list[int | None], dict[str, Any]]] = [
        ([1, None, 2, 3], {}),
        ([None, 4, 5, None], {"reset_mask": mask}),
        ([None] * 4, {}),
    ]
    for seed, options in seeds:
        wanted: Any = singles.reset(seed=seed, options=options.copy())
        assert data_equivalence(wanted, rows.reset(seed=seed, options=options), exact=True)
    rows.close()
    singles.close()
    rows = GameVectorEnv("cartpole", 4)
    assert len(np.unique(rows.reset(seed=[None, 3, None, 4])[0], axis=0)) == 4
    rows.close()


def test_torques_are_clipped_as_gymnasiums_pendulum_does(address: str | None) -> None:
    rows = GameVectorEnv("pendulum", 4, address=address)
    rows.reset(seed=[1] * 4)
    obs, rewards, *_ = rows.step(np.array([[2.5], [2.0], [np.inf], [1.5]]))
    assert (obs[[0, 2]] == obs[1]).all()
    assert (rewards[[0, 2]] == rewards[1]).all()
    assert (obs[3] != obs[1]).any()
    with pytest.raises((IllegalAction, EngineRefused), match="nan"):
        rows.step(np.array([[0], [0], [np.nan], [0]], np.float32))
    rows.close()


def test_nothing_is_shown_before_the_first_reset(address: str | None) -> None:
    env = GameEnv("connect4", address=address, render_mode="ansi")
    rows = GameVectorEnv("connect4", 2, address=address, render_mode="ansi")
    shows: list[Callable[[], Any]] = [lambda: env.state, lambda: env.player, env.render, env.action_masks]
    shows += [lambda: rows.states, lambda: rows.players, rows.render, rows.action_masks]
    for show in shows:
        with pytest.raises(ResetNeeded, match="env_id 'connect4': no episode has begun; reset first"):
            show()
    env.reset()
    rows.reset()
    for show in shows:
        show()
    env.close()
    rows.close()


def test_observations_are_the_callers_own_unless_asked_otherwise(address: str | None) -> None:
    for copy in (True, False):
        rows = GameVectorEnv("cartpole", 4, address=address, copy=copy)
        obs, _ = rows.reset(seed=1)
        kept = obs.copy()
        for _ in range(4):
            later, *_ = rows.step(np.zeros(4, np.int64))
            assert np.shares_memory(later, rows._episodes.positions.obs) is not copy
        assert (obs == kept).all() or not copy
        rows.close()


def test_every_mask_is_that_of_the_game(address: str | None) -> None:
    with GameEnv("connect4", address=address, player=0) as env:
        _, info = env.reset(seed=2)
        for _ in range(6):
            mask = info["action_mask"]
            assert mask.dtype == np.int8
            assert env.action_masks().dtype == np.bool_
            assert (env.action_masks() == mask).all()
            assert (
                registry.get("connect4").observe(np.frombuffer(env.state, np.uint8)[None]).players == 0
            ).all()
            *_, info = env.step(int(np.flatnonzero(mask)[0]))
    with GameEnv("mastermind", address=address) as env:
        env.reset(seed=2)
        assert env.action_masks().tolist() == [True] * 24


def test_a_text_of_the_position_is_drawn(address: str | None) -> None:
    env = gymnasium.make(name_of("tictactoe"), render_mode="ansi", address=address, player=0)
    env.reset(seed=1)
    env.step(4)
    assert str(env.render()).startswith("  a b c\n")
    rows = GameVectorEnv("tictactoe", 2, address=address, render_mode="ansi")
    rows.reset(seed=1)
    drawn = rows.render()
    assert drawn is not None
    assert len(drawn) == 2
    assert GameVectorEnv("tictactoe", 2).render() is None
    env.close()
    rows.close()


def test_pixels_are_drawn_of_the_position(address: str | None) -> None:
    shown = []
    for action in (0, 8):
        with GameEnv("tictactoe", address=address, player=0, render_mode="rgb_array") as env:
            env.reset(seed=1)
            shown.append(env.render())
            env.step(action)
            shown.append(env.render())
    assert {(picture.dtype, picture.ndim, picture.shape[2]) for picture in shown} == {
        (np.dtype(np.uint8), 3, 3)
    }
    assert (shown[0] == shown[2]).all()
    assert (shown[1] != shown[3]).any()


def test_the_engine_draws_what_this_process_would(
    server: EngineServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with GameEnv("tictactoe", render_mode="rgb_array") as env:
        env.reset(seed=1)
        here = env.render()
    drawn: list[str] = []
    picture = EngineClient.picture

    def noted(client: EngineClient, env_id: str, *arguments: Any, **settings: Any) -> bytes:
        drawn.append(env_id)
        return picture(client, env_id, *arguments, **settings)

    monkeypatch.setattr(EngineClient, "picture", noted)
    with GameEnv("tictactoe", address=server.address, render_mode="rgb_array") as env:
        env.reset(seed=1)
        assert (env.render() == here).all()
    assert drawn == ["tictactoe"]
