"""Games seen from one seat: opponents, whose reward it is, illegal actions, what is refused, and that errors change
nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import grpc
import numpy as np
import numpy.typing as npt
import pytest
from gymnasium.vector import AutoresetMode

import sticks
from engine.adapters.env import GameEnv
from engine.adapters.episodes import Episodes
from engine.adapters.fit import check_fit, interfaces
from engine.adapters.seat import Seat, random_opponent
from engine.adapters.seeds import Streams, seeds_of
from engine.adapters.source import LocalSource, open_source
from engine.adapters.vector import GameVectorEnv
from engine.errors import EngineRefused, EngineUnavailable
from engine.response import StepReply
from engine.server import EngineServer
from games import registry
from games.encodings import encode_discrete
from games.errors import BadHint, BadState, IllegalAction, NotOffered, UnknownGame

GAME = sticks.Sticks()


@pytest.fixture(scope="module", autouse=True)
def game() -> Iterator[None]:
    registry.register(sticks.NAME, sticks.Sticks)
    yield
    registry.unregister(sticks.NAME)


def lowest(obs: npt.NDArray[Any], legal: npt.NDArray[np.bool_], chance: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """An opponent that takes the first legal action."""
    del obs, chance
    return np.array([row.tolist().index(True) for row in legal])


def state_after(*taken: int, pile: int) -> bytes:
    """The state after players in turn took so many sticks."""
    position = GAME.reset(np.zeros(1, np.uint64), b"%d" % pile)
    for count in taken:
        position = GAME.step(position.states, encode_discrete(np.array([sticks.FIRST + count - 1]))).positions
    return position.states.tobytes()


def take(count: int) -> int:
    return sticks.FIRST + count - 1


def test_the_others_move_up_to_the_turn_of_the_seat() -> None:
    for player in range(3):
        with GameEnv(sticks.NAME, player=player, opponent=lowest, hint="7") as env:
            env.reset(seed=1)
            assert env.player == player
            assert env.state == state_after(*[1] * player, pile=7)
            _, reward, terminated, truncated, _ = env.step(take(2))
            assert (reward, terminated, truncated) == (0, False, False)
            assert env.state == state_after(*[1] * player, 2, 1, 1, pile=7)


def test_the_reward_is_that_of_the_seat() -> None:
    """Who takes the last stick loses two, the others win one, also when it is taken after our move."""
    for count, reward in ((3, -2.0), (2, 1.0), (1, 1.0)):
        with GameEnv(sticks.NAME, player=0, opponent=lowest, hint="3") as env:
            env.reset()
            obs, got, terminated, truncated, info = env.step(take(count))
        assert (got, terminated, truncated) == (reward, True, False)
        assert info["illegal_action"] is False
        assert not info["action_mask"].any()
        assert obs[0, 0] == 0  # no stick is left


def test_truncation_is_told_from_termination() -> None:
    with GameEnv(sticks.NAME, player=0, opponent=lowest, hint="9") as env:
        env.reset()
        assert env.step(take(1))[2:4] == (False, False)
        obs, reward, terminated, truncated, _ = env.step(take(1))
    assert (reward, terminated, truncated) == (0, False, True)
    assert obs[0, 0] == 3


def test_a_drawn_seat_is_every_seat() -> None:
    rows = GameVectorEnv(sticks.NAME, 300, opponent=lowest, hint="9")
    rows.reset(seed=5)
    assert np.bincount(rows.players, minlength=3).min() > 60
    rows.close()


def test_a_random_opponent_takes_every_legal_action_as_often() -> None:
    legal = np.zeros((6000, 9), np.bool_)
    legal[:, [2, 3, 7]] = True
    chance = Streams(seeds_of(1, 6000)[0]).next
    chosen = random_opponent(np.zeros((6000, 1), np.float32), legal, chance)
    counts = np.bincount(chosen, minlength=9)
    assert set(np.flatnonzero(counts)) == {2, 3, 7}
    assert (abs(counts[[2, 3, 7]] - 2000) < 150).all()
    assert (random_opponent(np.zeros((5, 1), np.float32), legal[:5], chance[:5]) == chosen[:5]).all()


def test_an_illegal_action_ends_the_episode_and_shows_where() -> None:
    with GameEnv(sticks.NAME, player=0, opponent=lowest, hint="2") as env:
        before, _ = env.reset()
        obs, reward, terminated, truncated, info = env.step(take(3))
        assert (reward, terminated, truncated) == (-1.0, True, False)
        assert info["illegal_action"] is True
        assert not info["action_mask"].any()
        assert not env.action_masks().any()
        assert (obs == before).all()
        with pytest.raises(BadState, match=r"states\[0\] = 0x02000000: its episode has ended"):
            env.step(take(1))


def test_an_illegal_action_can_be_refused_instead() -> None:
    rows = GameVectorEnv(sticks.NAME, 3, player=0, opponent=lowest, hint="2", illegal="raise")
    rows.reset()
    states = rows.states.copy()
    with pytest.raises(IllegalAction, match=r"actions\[1\] = 0x40000000: is not legal here"):
        rows.step(np.array([take(1), take(3), take(1)]))
    assert (rows.states == states).all()
    assert rows.step(np.array([take(1)] * 3))[1].tolist() == [1.0] * 3
    rows.close()


@pytest.mark.parametrize("mode", AutoresetMode)
def test_only_the_row_with_the_illegal_action_ends(mode: AutoresetMode) -> None:
    rows = GameVectorEnv(sticks.NAME, 3, player=0, opponent=lowest, hint="9", autoreset_mode=mode)
    rows.reset()
    _, rewards, terminations, _, infos = rows.step(np.array([take(1), 5, take(2)]))
    assert rewards.tolist() == [0, -1, 0]
    assert terminations.tolist() == [False, True, False]
    last = infos["final_info"] if mode is AutoresetMode.SAME_STEP else infos
    assert last["illegal_action"].tolist() == [False, True, False]
    assert last["_illegal_action"].tolist() == [False, True, False]
    assert not last["action_mask"][1].any()
    assert infos["action_mask"][1].any() == (mode is AutoresetMode.SAME_STEP)
    assert rows.states[0].tobytes() == state_after(1, 1, 1, pile=9)
    assert rows.states[1].tobytes() == state_after(pile=9)
    rows.close()


def test_an_opponent_that_breaks_the_rules_is_refused_and_changes_nothing() -> None:
    moves = [take(3), take(1)]

    def stubborn(obs: Any, legal: Any, chance: Any) -> npt.NDArray[Any]:
        del legal, chance
        return np.full(len(obs), moves[0])

    rows = GameVectorEnv(sticks.NAME, 2, player=0, hint="3", opponent=stubborn)
    rows.reset(seed=1)
    states, streams = rows.states.copy(), rows._episodes._table.streams.next.copy()
    for _ in range(2):
        with pytest.raises(IllegalAction, match="the opponent's move is not in the legal mask"):
            rows.step(np.array([take(2)] * 2))
        assert (rows.states == states).all()
        assert (rows._episodes._table.streams.next == streams).all()
    moves.reverse()
    assert rows.step(np.array([take(2)] * 2))[1].tolist() == [1.0, 1.0]
    rows.close()


class Flaky(LocalSource):
    """Fails at the calls that it is told to."""

    def __init__(self) -> None:
        super().__init__(GAME)
        self.calls = 0
        self.fails: set[int] = set()
        self.failed: set[int] = set()

    def step(
        self,
        states: npt.NDArray[np.uint8],
        actions: npt.NDArray[np.uint8],
        reset_seeds: npt.NDArray[np.uint64] | None = None,
        *,
        hint: bytes = b"",
    ) -> StepReply:
        self.calls += 1
        if self.calls in self.fails:
            self.failed.add(self.calls)
            raise EngineUnavailable(grpc.StatusCode.UNAVAILABLE, "gone")
        return super().step(states, actions, reset_seeds, hint=hint)


def insist(call: Callable[[], Any]) -> Any:
    """Make a call until it works."""
    while True:
        try:
            return call()
        except EngineUnavailable:
            continue


def test_the_same_step_may_be_made_again_after_an_engine_went_away() -> None:
    flaky, steady = Flaky(), LocalSource(GAME)
    flaky.fails = {1, 3, 4, 8, 9, 12, 20}
    tried, wanted = (Episodes(source, 4, Seat(), AutoresetMode.SAME_STEP) for source in (flaky, steady))
    wanted.restart(seeds=seeds_of(1, 4)[0])
    insist(lambda: tried.restart(seeds=seeds_of(1, 4)[0]))
    action = np.full(4, take(1))
    for _ in range(20):
        steps, again = wanted.step(action), insist(lambda: tried.step(action))
        assert again.rewards.tolist() == steps.rewards.tolist()
        assert again.final.states.tolist() == steps.final.states.tolist()
        assert tried.positions.states.tolist() == wanted.positions.states.tolist()
    assert flaky.failed == flaky.fails


def test_a_seat_that_never_has_a_turn_is_refused() -> None:
    env = GameEnv(sticks.NAME, player=1, hint="1")
    with pytest.raises(NotOffered, match="player = 1: sticks ends before its turn; take another seat"):
        env.reset()
    env.close()


def test_the_streams_are_those_of_splitmix64() -> None:
    """The first numbers of seed 1234567, as published with its implementations."""
    streams = Streams(np.array([5, 1234567], np.uint64))
    drawn = [int(streams.draw(np.array([1]))[0]) for _ in range(5)]
    assert drawn == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    assert streams.next[0] == Streams(np.array([5], np.uint64)).next[0]


def seeds(seed: Any, rows: int) -> tuple[list[int], list[int]]:
    numbers, given = seeds_of(seed, rows)
    return numbers.tolist(), given.tolist()


def test_seeds_follow_one_another_or_are_given() -> None:
    assert seeds(7, 3) == ([7, 8, 9], [0, 1, 2])
    assert seeds(np.int64(7), 1) == ([7], [0])
    assert seeds([7, 2, 2**64 - 1], 3) == ([7, 2, 2**64 - 1], [0, 1, 2])
    assert seeds([None, 2, None], 3) == ([0, 2, 0], [1])
    with pytest.raises(ValueError, match="seed: a list of 2; give one number, or one for each of 3 rows"):
        seeds_of([1, 2], 3)
    with pytest.raises(ValueError, match="seed = -1: give 0 or more"):
        seeds_of(-1, 3)


REFUSED: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"env_id": "chess"}, UnknownGame, "env_id 'chess': no such game; there are: "),
    ({"env_id": "arena"}, NotOffered, "GameEnv does not fit the game; take GameParallelEnv"),
    ({"player": 3}, ValueError, "player = 3: sticks has 3 players, from 0"),
    ({"illegal": "ignore"}, ValueError, "illegal = 'ignore': give 'end' or 'raise'"),
    (
        {"render_mode": "human"},
        ValueError,
        "render_mode = 'human': sticks has ansi, rgb_array; or leave it out",
    ),
    ({"env_id": "cartpole", "opponent": lowest}, ValueError, "cartpole is played alone; leave it out"),
]


@pytest.mark.parametrize(("settings", "error", "text"), REFUSED, ids=[text for *_, text in REFUSED])
def test_what_makes_no_sense_is_refused(settings: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error) as raised:
        GameEnv(**({"env_id": sticks.NAME} | settings))
    assert text in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("env_id", "action", "error", "text"),
    [
        ("sticks", 65, IllegalAction, "[65] is outside Discrete(n=65)"),
        ("sticks", -1, IllegalAction, "[-1] is outside Discrete(n=65)"),
        ("sticks", 1.0, ValueError, "actions: float64; give numbers of Discrete(n=65)"),
        (
            "sticks",
            [1, 2],
            ValueError,
            "actions: shape (1, 2); give 1 rows, each an action of Discrete(n=65)",
        ),
        ("mastermind", [0, 0, 0, 6], IllegalAction, "[0, 0, 0, 6] is outside MultiDiscrete"),
        ("mastermind", 3, ValueError, "actions: shape (1,); give 1 rows"),
        ("cartpole", None, ValueError, "actions: object; give numbers of Discrete(n=2)"),
    ],
)
def test_an_action_of_another_kind_is_refused(
    env_id: str, action: Any, error: type[Exception], text: str
) -> None:
    with GameEnv(env_id) as env:
        env.reset(seed=1)
        state = env.state
        with pytest.raises(error) as raised:
            env.step(action)
        assert text in str(raised.value)
        assert env.state == state


def test_nothing_is_stepped_before_a_reset() -> None:
    with GameEnv("cartpole") as env, pytest.raises(BadState, match="reset before the next step"):
        env.step(0)
    with pytest.raises(ValueError, match="num_envs = 0: give at least 1"):
        GameVectorEnv("cartpole", 0)


def test_a_hint_holds_until_the_next_one() -> None:
    with GameEnv(sticks.NAME, player=0, hint=b"4") as env:
        assert env.reset()[0][0, 0] == 4
        assert env.reset(options={"hint": "8", "other": 1})[0][0, 0] == 8
        assert env.reset()[0][0, 0] == 8
        with pytest.raises(BadHint, match="give a number of sticks"):
            env.reset(options={"hint": "many"})
        assert env.reset()[0][0, 0] == 8


@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP])
def test_rows_begin_anew_with_their_hint(mode: AutoresetMode) -> None:
    rows = GameVectorEnv("gridworld", 3, hint=bytes([3, 4]), autoreset_mode=mode)
    rows.reset(seed=1)
    ends = 0
    for _ in range(200):
        *_, terminations, truncations, _ = rows.step(rows.action_space.sample())
        ends += int((terminations | truncations).sum())
        assert {row.tobytes()[2:4] for row in rows.states} == {bytes([3, 4])}
    assert ends
    rows.close()


def test_the_mask_of_a_partial_reset_is_checked() -> None:
    rows = GameVectorEnv("cartpole", 3, autoreset_mode="Disabled")
    rows.reset(seed=1)
    for mask in ([True, False, True], np.ones(2, np.bool_), np.ones(3, np.int8)):
        with pytest.raises(ValueError, match=r"reset_mask"):
            rows.reset(options={"reset_mask": mask})
    before = rows.states.copy()
    rows.reset(options={"reset_mask": np.array([False, True, False])})
    assert (rows.states != before).any(axis=1).tolist() == [False, True, False]
    rows.close()


def test_every_game_has_an_interface() -> None:
    for name in registry.names():
        spec = registry.get(name).spec
        fitting = interfaces(spec)
        assert fitting
        for interface in fitting:
            check_fit(spec, interface)


def test_an_engine_refuses_what_the_game_refuses() -> None:
    with EngineServer("127.0.0.1", 0) as server:
        with pytest.raises(EngineRefused, match="env_id 'chess'"):
            open_source("chess", server.address)
        with GameEnv(sticks.NAME, address=server.address) as env, pytest.raises(EngineRefused, match="hint"):
            env.reset(options={"hint": "many"})
