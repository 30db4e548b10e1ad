"""PettingZoo's own checks of our environments, and what its agents are told, move by move."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pettingzoo
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import data_equivalence
from pettingzoo.test import api_test, parallel_api_test, parallel_seed_test, seed_test
from pettingzoo.utils.conversions import parallel_to_aec

import sticks
from engine.adapters.aec import GameAecEnv
from engine.adapters.fit import interfaces
from engine.adapters.parallel import GameParallelEnv, aec_env
from engine.adapters.registration import name_of, register_pettingzoo
from engine.server import EngineServer
from games import registry
from games.errors import BadState, IllegalAction, NotOffered

SPECS = {name: registry.get(name).spec for name in registry.names()}
TURNS = [name for name, spec in SPECS.items() if "GameAecEnv" in interfaces(spec)]
AT_ONCE = [name for name, spec in SPECS.items() if "GameParallelEnv" in interfaces(spec)]
Place = str | None

# PettingZoo warns of what its own classic games do: observations are dictionaries, masks are zeros after the end.
# Observations may be all zeros, and agents of different loadouts see, may do and are called different things.
AS_IN_CLASSIC_GAMES = pytest.mark.filterwarnings(
    "ignore:Observation is not a NumPy array:UserWarning",
    "ignore:Observation space for each agent probably should be:UserWarning",
    "ignore:Action mask numpy array is all zeros:UserWarning",
    "ignore:Observation numpy array is all zeros:UserWarning",
    "ignore:Observations are different shapes:UserWarning",
    "ignore:Agents have different observation space sizes:UserWarning",
    "ignore:We recommend agents to be named in the format:UserWarning",
)


@pytest.fixture(scope="module")
def server() -> Iterator[EngineServer]:
    registry.register(sticks.NAME, sticks.Sticks)
    with EngineServer("127.0.0.1", 0) as running:
        yield running
    registry.unregister(sticks.NAME)


@pytest.fixture(params=["here", "over gRPC"])
def address(request: pytest.FixtureRequest, server: EngineServer) -> Place:
    """Where the games are played."""
    return server.address if request.param == "over gRPC" else None


@AS_IN_CLASSIC_GAMES
@pytest.mark.parametrize("env_id", [*TURNS, sticks.NAME, *AT_ONCE])
def test_the_aec_environment_passes_api_test(env_id: str, address: Place) -> None:
    assert name_of(env_id) in register_pettingzoo(address)

    def make() -> Any:
        return pettingzoo.make("aec", name_of(env_id), render_mode="ansi")

    api_test(make(), num_cycles=60)
    seed_test(make, num_cycles=60)


@pytest.mark.parametrize("env_id", AT_ONCE)
def test_the_parallel_environment_passes_parallel_api_test(env_id: str, address: Place) -> None:
    assert name_of(env_id) in register_pettingzoo(address)

    def make() -> Any:
        return pettingzoo.make("parallel", name_of(env_id))

    parallel_api_test(make(), num_cycles=150)
    parallel_seed_test(make, num_cycles=60)


def played(env: Any, seed: int) -> list[Any]:
    """All that the agents of an AEC environment are told in one random game."""
    generator = np.random.default_rng(seed)
    env.reset(seed=seed)
    told = []
    for agent in env.agent_iter():
        seen, reward, terminated, truncated, info = env.last()
        told.append((agent, seen, reward, terminated, truncated, info, env.render()))
        over = terminated or truncated
        env.step(None if over else int(generator.choice(np.flatnonzero(seen["action_mask"]))))
    env.close()
    return told


@pytest.mark.parametrize("env_id", [*TURNS, *AT_ONCE])
def test_a_match_is_the_same_here_and_over_grpc(env_id: str, server: EngineServer) -> None:
    make: Callable[..., Any] = GameAecEnv if env_id in TURNS else aec_env
    for seed in range(3):
        here = played(make(env_id, render_mode="ansi"), seed)
        there = played(make(env_id, render_mode="ansi", address=server.address), seed)
        assert data_equivalence(here, there, exact=True)
        assert isinstance(here[0][-1], str)


def play(env: GameAecEnv, *actions: int) -> None:
    for action in actions:
        env.step(action)


def test_both_players_are_told_of_the_end(address: Place) -> None:
    env = GameAecEnv("tictactoe", address=address)
    env.reset()
    play(env, 0, 3, 1, 4)
    assert env.agent_selection == "player_0"
    assert env.last()[1:4] == (0.0, False, False)
    env.step(2)
    assert env.rewards == {"player_0": 1.0, "player_1": -1.0}
    assert env.terminations == {"player_0": True, "player_1": True}
    assert env.truncations == {"player_0": False, "player_1": False}
    last = registry.get("tictactoe").observe(np.frombuffer(env._match.state, np.uint8)[None])
    said = {}
    for agent in env.agent_iter():
        seen, reward, *_, info = env.last()
        said[agent] = reward
        assert (seen["observation"] == last.obs[0]).all()
        assert not seen["action_mask"].any()
        assert info == {"illegal_action": False}
        env.step(None)
    assert said == {"player_0": 1.0, "player_1": -1.0}
    assert env.agents == []
    env.close()


def test_an_agent_that_is_not_to_move_sees_what_it_saw_last(address: Place) -> None:
    env = GameAecEnv("connect4", address=address)
    env.reset(seed=1)
    first = env.observe("player_0")
    nothing = env.observe("player_1")
    assert first["action_mask"].all()
    assert not nothing["action_mask"].any()
    assert not nothing["observation"].any()
    env.step(3)
    later = env.observe("player_0")
    assert (later["observation"] == first["observation"]).all()
    assert not later["action_mask"].any()
    assert env.observe("player_1")["observation"].any()
    env.close()


def test_rewards_add_up_until_an_agent_moves(address: Place) -> None:
    """The loser pays both others, whoever moves next."""
    env = GameAecEnv(sticks.NAME, address=address, hint="4")
    env.reset()
    play(env, sticks.FIRST, sticks.FIRST + 2)
    assert env.rewards == {"player_0": 1.0, "player_1": -2.0, "player_2": 1.0}
    assert {agent: env._cumulative_rewards[agent] for agent in env.agents} == env.rewards
    assert env.agent_selection == "player_2"
    env.close()


def test_an_illegal_action_costs_its_agent_the_game(address: Place) -> None:
    env = GameAecEnv("tictactoe", address=address)
    env.reset()
    play(env, 0, 0)
    assert env.rewards == {"player_0": 0.0, "player_1": -1.0}
    assert env.terminations == {"player_0": True, "player_1": True}
    assert env.infos["player_1"] == {"illegal_action": True}
    with pytest.raises(ValueError, match="None"):
        env.step(1)
    env.close()
    env = GameAecEnv("tictactoe", address=address, illegal="raise")
    env.reset()
    env.step(0)
    for action, text in ((0, "is not legal here"), (9, r"\[9\] is outside Discrete\(n=9\)")):
        with pytest.raises(IllegalAction, match=text):
            env.step(action)
        assert env.agent_selection == "player_1"
    env.close()


def first_legal(env: GameParallelEnv, seen: dict[str, Any]) -> dict[str, int]:
    return {agent: int(np.flatnonzero(seen[agent]["action_mask"])[0]) for agent in env.agents}


def test_every_agent_has_its_own_part_of_what_is_seen(address: Place) -> None:
    env, game = GameParallelEnv("arena", address=address), registry.get("arena")
    seen, _ = env.reset(seed=4)
    for _ in range(20):
        position = game.observe(np.frombuffer(env._match.state, np.uint8)[None])
        parts = np.concatenate([seen[agent]["observation"].reshape(-1) for agent in env.possible_agents])
        assert (parts == position.obs[0]).all()
        actions = first_legal(env, seen)
        wanted = game.step(position.states, np.array([list(actions.values())], "<u4").view(np.uint8))
        seen, rewards, terminations, truncations, _ = env.step(actions)
        assert list(rewards.values()) == wanted.rewards[0].tolist()
        assert set(terminations.values()) == {bool(wanted.terminated[0])}
        assert set(truncations.values()) == {bool(wanted.truncated[0])}
        if not env.agents:
            break
    env.close()


def forbidden(seen: dict[str, Any]) -> tuple[str, int] | None:
    """An agent and an action that it may not take."""
    for agent, part in seen.items():
        actions = np.flatnonzero(part["action_mask"] == 0)
        if len(actions):
            return agent, int(actions[0])
    return None


def test_a_forbidden_action_ends_the_match_for_all(address: Place) -> None:
    env = GameParallelEnv("arena", address=address)
    strict = GameParallelEnv("arena", address=address, illegal="raise")
    seed = next(seed for seed in range(100) if forbidden(env.reset(seed=seed)[0]))
    seen, _ = env.reset(seed=seed)
    strict.reset(seed=seed)
    offender, action = forbidden(seen) or ("", 0)
    actions = first_legal(env, seen) | {offender: action}
    with pytest.raises(IllegalAction, match=f"{offender}'s action {action} is not legal here"):
        strict.step(actions)
    last, rewards, terminations, truncations, infos = env.step(actions)
    assert rewards == {agent: -1.0 if agent == offender else 0.0 for agent in env.possible_agents}
    assert set(terminations.values()) == {True}
    assert set(truncations.values()) == {False}
    assert infos[offender] == {"illegal_action": True}
    for agent in env.possible_agents:
        assert (last[agent]["observation"] == seen[agent]["observation"]).all()
        assert not last[agent]["action_mask"].any()
    assert env.agents == []
    with pytest.raises(BadState, match="reset before the next step"):
        env.step(actions)
    env.close()
    strict.close()


def test_nothing_is_shown_before_the_first_reset(address: Place) -> None:
    turns = GameAecEnv("connect4", address=address, render_mode="ansi")
    at_once = GameParallelEnv("arena", address=address, render_mode="ansi")
    for show in (turns.render, at_once.render, lambda: at_once.step({})):
        with pytest.raises(ResetNeeded, match="no episode has begun; reset first"):
            show()
    turns.reset()
    assert turns.render()
    turns.close()
    at_once.close()


def test_an_agent_that_is_left_out_is_named() -> None:
    env = GameParallelEnv("arena")
    seen, _ = env.reset(seed=1)
    actions = first_legal(env, seen)
    missing = env.agents[1]
    del actions[missing]
    with pytest.raises(ValueError, match=f"actions: none of {missing}; give one for every agent"):
        env.step(actions)
    actions[missing] = 1000
    with pytest.raises(IllegalAction, match="is outside MultiDiscrete"):
        env.step(actions)
    assert env.agents


@pytest.mark.parametrize(
    ("make", "env_id", "text"),
    [
        (GameAecEnv, "arena", "GameAecEnv does not fit the game; take GameParallelEnv"),
        (GameAecEnv, "cartpole", "GameAecEnv does not fit the game; take GameEnv or GameVectorEnv"),
        (GameParallelEnv, "connect4", "take GameEnv or GameVectorEnv or GameAecEnv"),
    ],
)
def test_a_game_that_does_not_fit_names_what_does(make: Callable[[str], Any], env_id: str, text: str) -> None:
    with pytest.raises(NotOffered) as refused:
        make(env_id)
    assert text in str(refused.value)


def test_the_parallel_environment_becomes_an_aec_one_by_pettingzoos_own_means() -> None:
    mine, theirs = aec_env("arena"), parallel_to_aec(GameParallelEnv("arena"))
    mine.reset(seed=2)
    theirs.reset(seed=2)
    assert mine.agent_selection == theirs.agent_selection
    assert data_equivalence(mine.last(), theirs.last(), exact=True)
