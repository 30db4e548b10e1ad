"""An actor's games: the same under one seed, byte for byte, whatever happens to the engine; and true to the rules."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import grpc
import numpy as np
import pytest

from actor import metrics
from actor.errors import ActorError
from actor.group import Identity
from actor.play import Player
from actor.policy import Policy
from actor.publisher import Publisher
from actor.weights import Announced
from cartridge.wish import Wish, spec_of
from engine.client import EngineClient, StepStream
from engine.errors import EngineError, EngineRefused, EngineUnavailable
from engine.server import EngineServer
from games import registry
from games.batch import unpack_masks
from learner.network import seeded, to_safetensors
from streams.chunk import Columns, columns_of
from streams.records import EpisodeChunk, RunSpec, TransitionChunk, WeightsPublished

GAME = registry.get("tictactoe")
COLUMNS = ("step", "player", "state", "obs", "action", "legal_mask", "reward", "terminated", "truncated")


@dataclass
class Collector:
    """A publisher that keeps what it is given."""

    chunks: list[TransitionChunk] = field(default_factory=list)
    ended: list[EpisodeChunk] = field(default_factory=list)

    def transitions(self, chunk: TransitionChunk) -> None:
        self.chunks.append(chunk)

    def episodes(self, chunk: EpisodeChunk) -> None:
        self.ended.append(chunk)


class FlakyStream:
    """A stream that breaks at given calls, counted over all streams of its client."""

    def __init__(self, stream: StepStream, client: FlakyClient) -> None:
        self._stream, self._client = stream, client

    def _count(self, call: str) -> None:
        self._client.calls[call] += 1
        if (call, self._client.calls[call]) in self._client.breaks:
            self._stream.close()
            self._client.broken += 1
            if self._client.broken % 2:  # an engine that is gone, and one that is full, by turns
                raise EngineRefused(grpc.StatusCode.RESOURCE_EXHAUSTED, "made up", retry_after_s=0.01)
            raise EngineUnavailable(grpc.StatusCode.UNAVAILABLE, "made up")

    def send(self, *arguments: Any, **named: Any) -> int:
        self._count("send")
        return self._stream.send(*arguments, **named)

    def receive(self) -> Any:
        self._count("receive")
        return self._stream.receive()

    def close(self) -> None:
        self._stream.close()


class FlakyClient(EngineClient):
    """Its streams break at `breaks`, such as {("receive", 7)}."""

    def __init__(self, address: str, breaks: set[tuple[str, int]]) -> None:
        super().__init__(address)
        self.breaks = breaks
        self.calls = {"send": 0, "receive": 0}
        self.broken = 0

    def open_stream(self, env_id: str, *, max_in_flight: int = 8) -> StepStream:
        return cast(StepStream, FlakyStream(super().open_stream(env_id, max_in_flight=max_in_flight), self))


@pytest.fixture(scope="module")
def engine() -> Iterator[EngineServer]:
    with EngineServer("127.0.0.1", 0) as server:
        yield server


def run_of(**changes: Any) -> RunSpec:
    wish: dict[str, Any] = {
        "env_id": "tictactoe",
        "run": "mine",
        "seed": 11,
        "environments": 24,
        "chunk_steps": 4,
        "actors": 1,
    }
    return spec_of(Wish(**(wish | changes)))


def weights_of(*, version: int = 0, seed: int = 3, allowed: int = 10**9) -> Announced:
    network = seeded([29, 16, 9], seed=seed)
    policy = Policy.from_safetensors(
        to_safetensors(network.state_dict()), network.description(), version=version
    )
    published = WeightsPublished(
        run="mine",
        version=version,
        checkpoint="",
        manifest_sha256="",
        gradient_steps=0,
        samples=0,
        inserted_rows=0,
        allowed_rows=allowed,
        evaluation={},
        verdict="",
        final=False,
        published_us=0,
    )
    return Announced(published, policy)


def play(
    client: EngineClient,
    *,
    run: RunSpec | None = None,
    turns: int = 40,
    actor: int = 0,
    incarnation: int = 0,
    weights: Sequence[Announced] = (),
    before_turn: Callable[[int], None] = lambda _turn: None,
) -> Collector:
    """So many turns of one actor, the weights changing at equal parts of the way; and the end."""
    collector = Collector()
    weights = weights or [weights_of()]
    player = Player(Identity(run or run_of(), actor, incarnation), client, cast(Publisher, collector))
    done = 0
    while done < turns:
        before_turn(done)
        try:
            player.turn(weights[done * len(weights) // turns])
            done += 1
        except EngineError as error:  # as the service does: the same turn again
            if not error.may_retry:
                raise
    player.close()
    return collector


def rows_of(collector: Collector) -> dict[tuple[int, int], tuple[Any, ...]]:
    """Every transition by (episode, step): the columns but the time, and the weights."""
    rows: dict[tuple[int, int], tuple[Any, ...]] = {}
    for chunk in collector.chunks:
        columns = columns_of(chunk)
        for row in range(chunk.count):
            place = int(columns.episode[row]), int(columns.step[row])
            assert place not in rows
            values = tuple(getattr(columns, name)[row].tobytes() for name in COLUMNS)
            rows[place] = (*values, chunk.weights_version)
    return rows


def test_the_same_seed_plays_the_same_games_byte_for_byte(engine: EngineServer) -> None:
    played = []
    for _ in range(2):
        with EngineClient(engine.address) as client:
            played.append(rows_of(play(client)))
    assert played[0] == played[1]
    assert len(played[0]) == 40 * 2 * 24  # two groups
    # Where chunks are cut, and so the order of rows, depends on the clock; no byte of a row does.


def test_the_chunks_too_are_the_same_but_for_their_times(engine: EngineServer) -> None:
    # One weights version, whole chunks: nothing is cut by the clock.
    with EngineClient(engine.address) as client:
        first, second = (play(client, run=run_of(chunk_steps=8), turns=16) for _ in range(2))
    for one, other in zip(first.chunks, second.chunks, strict=True):
        assert replace(one, time_us=b"") == replace(other, time_us=b"")


@pytest.mark.parametrize(
    "change", [{"run": {"seed": 12}}, {"actor": 1}, {"incarnation": 1}], ids=["seed", "actor", "incarnation"]
)
def test_another_seed_actor_or_life_plays_other_games(engine: EngineServer, change: dict[str, Any]) -> None:
    if "run" in change:
        change = {"run": run_of(**change["run"])}
    with EngineClient(engine.address) as client:
        first, second = play(client), play(client, **change)
    moves = [
        b"".join(chunk.action for chunk in sorted(collector.chunks, key=lambda chunk: chunk.sequence))
        for collector in (first, second)
    ]
    assert moves[0] != moves[1]


def test_how_many_steps_make_a_chunk_changes_no_game(engine: EngineServer) -> None:
    with EngineClient(engine.address) as client:
        played = [rows_of(play(client, run=run_of(chunk_steps=steps))) for steps in (1, 4, 16)]
    assert played[0] == played[1] == played[2]


@pytest.mark.parametrize("call", ["receive", "send"])
@pytest.mark.parametrize("number", [1, 2, 3, 8, 9, 30, 31])
def test_an_engine_that_goes_away_changes_no_game(engine: EngineServer, call: str, number: int) -> None:
    with EngineClient(engine.address) as client:
        expected = rows_of(play(client, turns=20))
    flaky = FlakyClient(engine.address, {(call, number), (call, number + 5)})
    with flaky:
        found = rows_of(play(flaky, turns=20))
        assert flaky.broken == 2
    differing = {place for place in expected.keys() | found.keys() if expected.get(place) != found.get(place)}
    # A turn that broke half way is begun again, so that one group may be a step ahead: no game differs.
    assert not [place for place in differing if place in expected and place in found]
    check_by_the_rules(play_again(engine, call, number))


def play_again(engine: EngineServer, call: str, number: int) -> Collector:
    with FlakyClient(engine.address, {(call, number), (call, number + 1)}) as flaky:
        return play(flaky, turns=20)


def test_an_engine_that_is_started_anew_changes_no_game() -> None:
    with EngineServer("127.0.0.1", 0) as undisturbed, EngineClient(undisturbed.address) as client:
        expected = rows_of(play(client, turns=20))
    servers = [EngineServer("127.0.0.1", 0)]
    servers[0].start()
    port = servers[0].port

    def restart(turn: int) -> None:
        if turn == 9 and len(servers) == 1:
            servers[0].stop(0)
            servers.append(EngineServer("127.0.0.1", port))
            servers[1].start()

    with EngineClient(f"127.0.0.1:{port}") as client:
        found = play(client, turns=20, before_turn=restart)
    servers[-1].stop()
    assert len(servers) == 2
    rows = rows_of(found)
    assert all(rows[place] == row for place, row in expected.items() if place in rows)
    assert len(rows) >= len(expected) - 2 * 24
    check_by_the_rules(found)


def successor_states(columns: Columns) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """The state after each row, u8[N, S]."""
    after = np.empty_like(columns.state)
    after[:-1] = columns.state[1:]
    after[columns.segment_end] = columns.successor_state
    return after


def check_by_the_rules(collector: Collector) -> None:
    """Every transition, played again by the game itself, comes out as it was logged."""
    states: dict[tuple[int, int], bytes] = {}
    expected_next: dict[tuple[int, int], bytes] = {}
    for chunk in collector.chunks:
        columns = columns_of(chunk)
        outcome = GAME.step(np.ascontiguousarray(columns.state), np.ascontiguousarray(columns.action))
        at = GAME.observe(np.ascontiguousarray(columns.state))
        assert np.array_equal(columns.obs.copy().view("<f4"), at.obs)
        assert np.array_equal(columns.legal_mask, at.legal_masks)
        assert np.array_equal(columns.player, at.players)
        assert np.array_equal(columns.reward, outcome.rewards)
        assert np.array_equal(columns.terminated, outcome.terminated)
        assert np.array_equal(successor_states(columns), outcome.positions.states)
        after = GAME.observe(columns.successor_state.copy())
        assert np.array_equal(columns.successor_obs.copy().view("<f4"), after.obs)
        assert np.array_equal(columns.successor_legal_mask, after.legal_masks)
        assert np.array_equal(columns.successor_player, after.players)
        for row in range(chunk.count):
            place = int(columns.episode[row]), int(columns.step[row])
            states[place] = columns.state[row].tobytes()
            if not columns.terminated[row]:
                expected_next[place[0], place[1] + 1] = outcome.positions.states[row].tobytes()
    # an episode goes on where its last step left it, over the edges of chunks
    for place, state in states.items():
        if place[1] > 0:
            assert expected_next[place] == state
        else:
            assert state == GAME.reset(np.zeros(1, np.uint64)).states.tobytes()


def test_every_transition_is_as_the_rules_have_it(engine: EngineServer) -> None:
    with EngineClient(engine.address) as client:
        check_by_the_rules(play(client, run=run_of(chunk_steps=5)))


@pytest.mark.parametrize(("exploration", "low", "high"), [(0.0, 1.0, 1.0), (0.5, 0.5, 0.8), (1.0, 0.1, 0.4)])
def test_moves_are_the_policys_but_for_exploration(
    engine: EngineServer, exploration: float, low: float, high: float
) -> None:
    announced = weights_of()
    with EngineClient(engine.address) as client:
        collector = play(client, run=run_of(exploration=exploration), weights=[announced])
    same = rows = 0
    for chunk in collector.chunks:
        columns = columns_of(chunk)
        values = announced.policy.values(columns.obs.copy().view("<f4"))
        legal = unpack_masks(np.ascontiguousarray(columns.legal_mask), 9)
        best = np.where(legal, values, -np.inf).argmax(1)
        same += int((best == columns.action.copy().view("<u4")[:, 0]).sum())
        rows += chunk.count
    assert low <= same / rows <= high


def test_a_chunk_is_of_one_weights_version_and_all_its_moves_are_that_versions(engine: EngineServer) -> None:
    announced = [weights_of(version=version, seed=version) for version in range(5)]
    with EngineClient(engine.address) as client:
        collector = play(client, run=run_of(exploration=0.0, chunk_steps=16), weights=announced)
    assert {chunk.weights_version for chunk in collector.chunks} == set(range(5))
    for chunk in collector.chunks:
        columns = columns_of(chunk)
        values = announced[chunk.weights_version].policy.values(columns.obs.copy().view("<f4"))
        legal = unpack_masks(np.ascontiguousarray(columns.legal_mask), 9)
        best = np.where(legal, values, -np.inf).argmax(1)
        assert np.array_equal(best, columns.action.copy().view("<u4")[:, 0])


def test_chunks_are_numbered_without_gaps_and_name_who_made_them(engine: EngineServer) -> None:
    with EngineClient(engine.address) as client:
        collector = play(client, actor=2, incarnation=5)
    assert [chunk.sequence for chunk in collector.chunks] == list(range(len(collector.chunks)))
    for chunk in collector.chunks:
        assert (chunk.run, chunk.actor, chunk.incarnation, chunk.env_id) == ("mine", 2, 5, "tictactoe")
        episode = columns_of(chunk).episode
        assert set((episode >> 51).tolist()) == {2}
        assert set((episode >> 36 & 0x7FFF).tolist()) == {5}


def test_lives_of_one_actor_never_share_an_episode(engine: EngineServer) -> None:
    with EngineClient(engine.address) as client:
        lives = [play(client, actor=actor, incarnation=life) for actor, life in ((0, 0), (0, 1), (1, 0))]
    episodes = [{place[0] for place in rows_of(life)} for life in lives]
    assert not episodes[0] & episodes[1]
    assert not episodes[0] & episodes[2]
    assert not episodes[1] & episodes[2]


def test_ended_episodes_are_told_with_their_length_and_returns(engine: EngineServer) -> None:
    with EngineClient(engine.address) as client:
        collector = play(client)
    lengths: dict[int, int] = {}
    returns: dict[int, list[float]] = {}
    finished = set()
    for chunk in collector.chunks:
        columns = columns_of(chunk)
        for row in range(chunk.count):
            episode, player = int(columns.episode[row]), int(columns.player[row])
            lengths[episode] = lengths.get(episode, 0) + 1
            gained = returns.setdefault(episode, [0.0, 0.0])
            gained[player] += float(columns.reward[row])
            gained[1 - player] -= float(columns.reward[row])
            if columns.terminated[row]:
                finished.add(episode)
    told = {}
    for ended in collector.ended:
        assert ended.count == len(ended.truncated) > 0
        for row in range(ended.count):
            episode = int(np.frombuffer(ended.episode, np.int64)[row])
            assert episode not in told
            told[episode] = (
                int(np.frombuffer(ended.length, np.int32)[row]),
                np.frombuffer(ended.returns, np.float32).reshape(-1, 2)[row].tolist(),
            )
    assert told == {episode: (lengths[episode], returns[episode]) for episode in finished}
    assert len(finished) > 100


def test_an_actor_stops_where_its_allowance_ends(engine: EngineServer) -> None:
    with EngineClient(engine.address) as client:
        collector = play(client, weights=[weights_of(allowed=500)])
    made = sum(chunk.count for chunk in collector.chunks)
    assert 500 <= made < 500 + 24


def test_weights_of_another_game_are_refused_and_the_old_ones_play_on(engine: EngineServer) -> None:
    network = seeded([5, 9], seed=1)
    policy = Policy.from_safetensors(to_safetensors(network.state_dict()), network.description(), version=1)
    strange = replace(weights_of(version=1), policy=policy)
    refused = metrics.WEIGHTS_REFUSED._value.get()
    with EngineClient(engine.address) as client:
        assert play(client, weights=[strange]).chunks == []
        collector = play(client, weights=[weights_of(version=0), strange, weights_of(version=2, seed=4)])
    assert {chunk.weights_version for chunk in collector.chunks} == {0, 2}
    assert len(rows_of(collector)) == 40 * 2 * 24
    assert metrics.WEIGHTS_REFUSED._value.get() == refused + 2  # once each


def test_ids_have_room_for_so_many_actors_and_lives_only() -> None:
    last = Identity(run_of(), (1 << 12) - 1, (1 << 15) - 1)
    assert last.episode_id((1 << 36) - 1) == 2**63 - 1
    for actor, life in ((1 << 12, 0), (0, 1 << 15), (-1, 0), (0, -1)):
        with pytest.raises(ActorError, match=f"actor is {actor}, incarnation {life}"):
            Identity(run_of(), actor, life)
