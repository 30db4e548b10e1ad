"""Every game holds to the contract through the running service as well: rows, refusals and all, over gRPC."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from engine.server import EngineServer
from games import registry
from games.checks.memory import digest
from games.conformance import CHECKS, check_game
from served_game import ServedGame, client_of


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with EngineServer("127.0.0.1", 0) as engine:
        yield engine.address
        client_of(engine.address).close()


@pytest.mark.parametrize("env_id", registry.names())
def test_every_game_conforms_through_the_service(env_id: str, address: str) -> None:
    report = check_game(ServedGame(env_id, address), seed=4, rows=16, steps=120, processes=0)
    assert [checked.name for checked in report.checked] == list(CHECKS)


@pytest.mark.parametrize("env_id", registry.names())
def test_the_service_plays_what_the_game_plays(env_id: str, address: str) -> None:
    assert digest(ServedGame(env_id, address), seed=6) == digest(registry.get(env_id), seed=6)
