"""Games of other installed packages: found by entry point, played through the service; a broken one harms nobody."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import grpc
import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from engine.client import EngineClient
from engine.errors import EngineRefused
from engine.metrics import EngineMetrics
from engine.server import EngineServer
from engine.service import EngineService
from engine.stubs import engine_pb2 as pb
from games import registry
from games.contract import encode_discrete
from games.errors import BadSpec, BrokenPlugin, UnknownGame

# A whole game in a package of its own, as somebody else would write it: count down from the seed to nought.
COUNTDOWN = """
    import numpy as np
    from games.contract import Discrete, Encoding, Game, GameSpec
    from games.errors import BadState, IllegalAction

    class Countdown(Game):
        spec = GameSpec(
            env_id="countdown", build_id="countdown-1", action_space=Discrete(2),
            encoding=Encoding("state:left:v1", "action:discrete:v1", "obs:f32x1:v1", 1),
            max_horizon=9, preferred_batch=64, players=1, state_bytes=1, action_bytes=4, obs_shape=(1,),
            zero_sum=False, perfect_information=True, stochastic=False,
        )

        def _reset(self, seeds, hint, out):
            self._observe((1 + seeds % np.uint64(9)).astype(np.uint8).reshape(-1, 1), out)

        def _step(self, states, actions, out):
            taken = 1 + actions.copy().view("<u4")
            if (taken > 2).any():
                row = int(np.argmax(taken > 2))
                raise IllegalAction(row, actions[row].tobytes(), "take one or two")
            if (states == 0).any():
                row = int(np.argmax(states == 0))
                raise BadState(row, states[row].tobytes(), "nothing is left")
            self._observe(np.maximum(states.astype(np.int64) - taken, 0).astype(np.uint8), out.positions)
            out.rewards[:] = out.terminated[:] = out.positions.states[:, 0] == 0
            out.truncated[:] = 0
            out.info[:] = 0

        def _observe(self, states, out):
            if (states > 9).any():
                row = int(np.argmax(states > 9))
                raise BadState(row, states[row].tobytes(), "there are nine at most")
            out.states[:] = states
            out.obs[:] = states
            out.legal_masks[:] = np.where(states > 0, 3, 0)
            out.players[:] = 0

        def render_text(self, state):
            return "*" * state[0] or "nothing left"

        def action_text(self, action):
            return str(1 + action[0])

        def parse_action(self, text):
            return (int(text) - 1).to_bytes(4, "little")

    def other_name():
        return Countdown()

    def no_game():
        return object()

    def ends_the_process():
        raise SystemExit("bye")
"""


class Packages:
    """A folder of installed packages that a test fills."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def install(
        self, package: str, module: str, entry_points: dict[str, str], source: str = COUNTDOWN
    ) -> None:
        (self._folder / f"{module}.py").write_text(dedent(source))
        info = self._folder / f"{package.replace('-', '_')}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2\n")
        lines = [f"{name} = {value}" for name, value in entry_points.items()]
        (info / "entry_points.txt").write_text("\n".join(["[cartridge.games]", *lines, ""]))
        registry.refresh()


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Packages]:
    modules = set(sys.modules)
    with monkeypatch.context() as patched:
        patched.syspath_prepend(str(tmp_path))
        yield Packages(tmp_path)
    registry.refresh()
    for name in set(sys.modules) - modules:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def test_a_game_of_another_package_is_played_through_the_service(packages: Packages) -> None:
    packages.install("countdown-game", "countdown_game", {"countdown": "countdown_game:Countdown"})
    assert "countdown" in registry.names()
    assert registry.broken() == {}
    with (
        EngineServer("127.0.0.1", 0, engine_metrics=EngineMetrics(CollectorRegistry())) as server,
        EngineClient(server.address) as client,
    ):
        assert client.capabilities("countdown") == registry.get("countdown").spec
        seeds = np.arange(20, dtype=np.uint64)
        start = client.reset_batch("countdown", seeds)
        assert start.states[:, 0].tolist() == [1 + seed % 9 for seed in range(20)]
        reply = client.step_batch(
            "countdown", start.states, encode_discrete(np.ones(20, np.int64)), reset_seeds=seeds
        )
        assert reply.terminated.tolist() == [int(left <= 2) for left in start.states[:, 0]]
        assert client.render("countdown", bytes([4])) == "****"
        with pytest.raises(EngineRefused, match=r"actions\[0\] = 0x02000000: take one or two"):
            client.step_batch("countdown", start.states, encode_discrete(np.full(20, 2)))
    with pytest.raises(BadSpec, match="registered already"):
        registry.register("countdown", lambda: registry.get("tictactoe"))


def test_a_package_that_is_removed_takes_its_game_along(packages: Packages, tmp_path: Path) -> None:
    packages.install("countdown-game", "countdown_game", {"countdown": "countdown_game:Countdown"})
    registry.get("countdown")
    for path in (tmp_path / "countdown_game-1.2.dist-info").iterdir():
        path.unlink()
    registry.refresh()
    with pytest.raises(UnknownGame, match="'countdown': no such game"):
        registry.get("countdown")


BROKEN = {
    "absent": ("countdown_game:Nothing", "has no attribute 'Nothing'"),
    "elsewhere": ("no_such_module:Game", "ModuleNotFoundError: No module named 'no_such_module'"),
    "rename": ("countdown_game:other_name", "it makes 'countdown'; give the entry point that name"),
    "object": ("countdown_game:no_game", "it makes a object, not a Game with a GameSpec"),
    "exits": ("countdown_game:ends_the_process", "SystemExit: bye"),
    "tictactoe": ("countdown_game:Countdown", "'tictactoe' is another game's name; choose another"),
    "bad name": ("countdown_game:Countdown", "its name 'bad name' fits no run: use letters, digits, - and _"),
    "my.game": ("countdown_game:Countdown", "its name 'my.game' fits no run: use letters, digits, - and _"),
    "g" * 41: (
        "countdown_game:Countdown",
        "fits no run: use letters, digits, - and _, a letter or digit first, 40",
    ),
}


def test_broken_plugins_are_told_and_the_others_are_played(
    packages: Packages, capsys: pytest.CaptureFixture[str]
) -> None:
    points = {name: value for name, (value, _) in BROKEN.items()}
    packages.install("countdown-game", "countdown_game", points | {"countdown": "countdown_game:Countdown"})
    broken = registry.broken()
    assert sorted(broken) == sorted(BROKEN)
    for name, (value, reason) in BROKEN.items():
        assert broken[name].startswith(f"plugin {value} of countdown-game 1.2: ")
        assert reason in broken[name]
        assert "\n" not in broken[name]
        if name != "tictactoe":
            assert name not in registry.names()
            with pytest.raises(BrokenPlugin, match="repair or remove that package") as error:
                registry.get(name)
            assert (error.value.env_id, error.value.reason) == (name, broken[name])
    assert type(registry.get("tictactoe")).__name__ == "TicTacToe"

    metrics = CollectorRegistry()
    with (
        EngineServer("127.0.0.1", 0, engine_metrics=EngineMetrics(metrics)) as server,
        EngineClient(server.address) as client,
    ):
        assert client.refused_games() == broken
        assert "countdown" in [spec.env_id for spec in client.list_games()]
        with pytest.raises(EngineRefused, match="no_such_module") as refused:
            client.capabilities("elsewhere")
        assert refused.value.status is grpc.StatusCode.FAILED_PRECONDITION
        assert metrics.get_sample_value("engine_plugins_broken") == len(BROKEN)

    from cartridge import command

    assert command.main(["games", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("countdown ")]
    assert f"elsewhere is refused: {broken['elsewhere']}" in lines


@pytest.mark.parametrize(
    ("field", "said", "reason"),
    [
        ("max_horizon=9", "max_horizon=2**32", "GameSpec.max_horizon = 4294967296: give 4294967295 at most"),
        ("max_horizon=9", "max_horizon=9.5", "GameSpec.max_horizon = 9.5: give at least 1"),
        ("preferred_batch=64", "preferred_batch=2**32", "GameSpec.preferred_batch = 4294967296: give"),
        ("players=1", "players=256", "GameSpec.players = 256: give 255 at most"),
        ("state_bytes=1", "state_bytes=2**32", "GameSpec.state_bytes = 4294967296: give"),
        ("Discrete(2)", "Discrete(2**31)", "Discrete.n = 2147483648: give 2147483647 at most"),
        ("obs_shape=(1,)", "obs_shape=(2**32,)", "GameSpec.obs_shape = 4294967296: give"),
        ("obs_shape=(1,)", "obs_shape=(1,), grid=(1, 2**32)", "GameSpec.grid = 4294967296: give"),
        (':v1", 1)', ':v1", 2**32)', "GameSpec.encoding.schema_version = 4294967296: give"),
    ],
)
def test_a_game_whose_numbers_fit_no_message_is_broken_and_the_others_are_listed(
    packages: Packages, field: str, said: str, reason: str
) -> None:
    assert field in COUNTDOWN
    packages.install("large", "large", {"countdown": "large:Countdown"}, COUNTDOWN.replace(field, said, 1))
    assert reason in registry.broken()["countdown"]
    service = EngineService(EngineMetrics(CollectorRegistry()))
    listed = service._list_games(pb.ListGamesRequest())
    assert "countdown" not in [game.id.env_id for game in listed.games]
    assert [game.env_id for game in listed.broken] == ["countdown"]


def test_two_packages_do_not_share_a_name(packages: Packages) -> None:
    packages.install("a-game", "a_game", {"countdown": "a_game:Countdown"})
    packages.install("b-game", "b_game", {"countdown": "b_game:Countdown"})
    assert type(registry.get("countdown")).__module__ == "a_game"
    assert registry.broken() == {
        "countdown": "plugin b_game:Countdown of b-game 1.2: 'countdown' is another game's name; choose another"
    }


def test_a_plugin_may_ask_for_games_while_it_is_loaded(packages: Packages) -> None:
    source = dedent(COUNTDOWN) + "\nfrom games import registry\nassert 'tictactoe' in registry.names()\n"
    packages.install("curious", "curious", {"countdown": "curious:Countdown"}, source)
    assert registry.broken() == {}
    assert registry.get("countdown").spec.players == 1


def test_what_cannot_be_read_as_python_is_broken(packages: Packages) -> None:
    packages.install("a-game", "a_game", {"countdown": "a_game:Countdown"}, "def (:\n")
    assert "SyntaxError: invalid syntax" in registry.broken()["countdown"]
