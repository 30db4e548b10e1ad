"""What is asked about states: older encodings, lines of sight, text; and lines for names of any make."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from engine import limits
from engine.admission import Rows
from engine.calls import line_of
from engine.catalog import Catalog
from engine.client import EngineClient
from engine.errors import EngineRefused, Refusal, WireError
from engine.inspection import Inspection
from engine.metrics import EngineMetrics
from engine.server import EngineServer
from engine.stubs import engine_pb2 as pb
from games import registry
from games.render.plan import RenderSpec
from games.render.png import png
from games.render.svg import svg
from toy_games import OLD_STATE, Lanes

GAME = Lanes()
NEW_STATE = GAME.spec.encoding.state
ID = pb.EngineId(env_id="lanes")
STATES = np.array([[5, 0, 4, 3], [9, 8, 1, 0]], np.uint8)


@pytest.fixture(scope="module")
def client() -> Iterator[EngineClient]:
    registry.register("lanes", Lanes)
    try:
        with (
            EngineServer("127.0.0.1", 0, engine_metrics=EngineMetrics(CollectorRegistry())) as server,
            EngineClient(server.address) as connected,
        ):
            yield connected
    finally:
        registry.unregister("lanes")


def refused(client: EngineClient, name: str, **fields: Any) -> tuple[str, str]:
    request, response = getattr(pb, f"{name}Request"), getattr(pb, f"{name}Response")
    with pytest.raises(EngineRefused) as error:
        client.unary(name, request, response)(request(**fields))
    return error.value.status.name, str(error.value)


def test_states_of_an_older_encoding_become_todays(client: EngineClient) -> None:
    upgraded = client.upgrade_states("lanes", OLD_STATE, STATES[:, :3].copy())
    assert upgraded.tolist() == [[5, 0, 4, 0], [9, 8, 1, 0]]
    assert client.upgrade_states("lanes", NEW_STATE, STATES).tolist() == STATES.tolist()


@pytest.mark.parametrize(
    ("fields", "status", "message"),
    [
        ({"encoding": "state:packed_u8:v9"}, "INVALID_ARGUMENT", "lanes understands state:packed_u8:v2, sta"),
        ({"encoding": ""}, "INVALID_ARGUMENT", "state encoding ''"),
        ({"encoding": "e" * 129}, "INVALID_ARGUMENT", "encoding: 129 characters is over the limit of 128"),
        ({"encoding": OLD_STATE, "states": bytes(8)}, "INVALID_ARGUMENT", "rows of 4 bytes; state:packed_u8"),
        (
            {"encoding": OLD_STATE, "states": bytes(7)},
            "INVALID_ARGUMENT",
            "7 bytes are not 2 rows of one size",
        ),
        ({"encoding": OLD_STATE, "states": b""}, "INVALID_ARGUMENT", "0 bytes are not 2 rows of one size"),
        (
            {"encoding": OLD_STATE, "states": bytes(6)},
            "INVALID_ARGUMENT",
            "states[0] = 0x00000000: is outside",
        ),
        ({"count": 0}, "INVALID_ARGUMENT", "count = 0"),
        ({"count": 65_537}, "RESOURCE_EXHAUSTED", "count = 65537"),
    ],
)
def test_states_that_cannot_be_upgraded_are_refused(
    client: EngineClient, fields: dict[str, Any], status: str, message: str
) -> None:
    code, text = refused(client, "UpgradeStates", **({"id": ID, "count": 2, "states": bytes(8)} | fields))
    assert code == status
    assert message in text


def test_lines_of_sight_are_words_of_cells(client: EngineClient) -> None:
    seen = client.visible("lanes", STATES, np.array([7, 2], np.uint32))
    assert seen.tolist() == [[1 << 7], [0b1_1111_1111]]
    assert seen.tobytes() == GAME.visible(STATES, np.array([7, 2], np.uint32)).tobytes()
    ask = client.unary("Visibility", pb.VisibilityRequest, pb.VisibilityResponse)
    answer = ask(pb.VisibilityRequest(id=ID, count=1, states=STATES[:1].tobytes(), cells=bytes(4)))
    assert (answer.count, answer.height, answer.width) == (1, 1, 9)


@pytest.mark.parametrize(
    ("fields", "status", "message"),
    [
        ({"cells": bytes(7)}, "INVALID_ARGUMENT", "cells: 7 bytes; count = 2 rows of 4 bytes need 8"),
        ({"states": bytes(7)}, "INVALID_ARGUMENT", "states: 7 bytes; count = 2 rows of 4 bytes need 8"),
        ({"states": bytes(8)}, "INVALID_ARGUMENT", "states[0] = 0x00000000"),
        ({"cells": b"\0\0\0\0\x09\0\0\0"}, "INVALID_ARGUMENT", "cells[1] = 9: the grid has 1 x 9 cells"),
        ({"cells": b"\xff" * 8}, "INVALID_ARGUMENT", "cells[0] = 4294967295"),
        ({"count": 0}, "INVALID_ARGUMENT", "count = 0"),
        ({"count": 2**32 - 1}, "RESOURCE_EXHAUSTED", "count = 4294967295"),
        ({"id": pb.EngineId(env_id="tictactoe")}, "UNIMPLEMENTED", "'tictactoe': has no lines of sight"),
    ],
)
def test_a_question_about_sight_that_makes_no_sense_is_refused(
    client: EngineClient, fields: dict[str, Any], status: str, message: str
) -> None:
    good = {"id": ID, "count": 2, "states": STATES.tobytes(), "cells": bytes(8)}
    code, text = refused(client, "Visibility", **(good | fields))
    assert code == status
    assert message in text


@pytest.mark.parametrize(
    ("env_id", "status"),
    [
        ("x" * 129, "INVALID_ARGUMENT"),
        ("x" * 1_000_000, "INVALID_ARGUMENT"),
        ("\u1234" * 100, "NOT_FOUND"),
        ("a\nb\0c\x1b[31m", "NOT_FOUND"),
    ],
)
def test_a_name_of_any_make_is_refused_in_a_line_that_can_be_shown(
    client: EngineClient, env_id: str, status: str
) -> None:
    for name in ("Reset", "StepBatch"):
        code, text = refused(client, name, id=pb.EngineId(env_id=env_id))
        assert code == status
        assert len(text) <= 1000
        assert text.isascii()
        assert text.isprintable()
    for name in ("Reset", "StepBatch"):
        code, _ = refused(client, name, id=pb.EngineId(env_id="lanes", build_id=env_id))
        assert code == ("INVALID_ARGUMENT" if len(env_id) > limits.MAX_NAME else "FAILED_PRECONDITION")


def test_a_line_is_one_short_line() -> None:
    assert line_of(WireError("a\n  b\tc\0\u20ac")) == r"a b c\x00\u20ac"
    assert line_of(WireError("x" * 1001)) == "x" * 997 + "..."


def test_render_is_text_or_a_picture(client: EngineClient) -> None:
    state = STATES[0].tobytes()
    assert client.render("lanes", state) == "W...R"
    assert client.picture("lanes", state) == svg(GAME.plan(state)).encode()
    small = GAME.plan(state, RenderSpec(cell_px=8, viewpoint=1))
    assert client.picture("lanes", state, png=True, cell_px=8, viewpoint=1) == png(small)
    for game in registry.names():
        start = client.reset_batch(game, np.zeros(1, np.uint64)).states.tobytes()
        assert client.picture(game, start).startswith(b"<svg ")
        assert client.picture(game, start, png=True, cell_px=4).startswith(b"\x89PNG\r\n")


def test_no_more_pictures_than_may_be_are_drawn_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    metrics = EngineMetrics(CollectorRegistry())
    inspection = Inspection(Catalog(metrics), Rows(10, metrics))
    request = pb.RenderRequest(
        id=pb.EngineId(env_id="tictactoe"), state=bytes(11), format=pb.RENDER_FORMAT_SVG
    )
    deep: list[str] = []

    def drawn(plan: Any) -> str:
        """A picture while which the next one is asked for, up to the one that is refused."""
        deep.append("")
        try:
            inspection.render(request)
        except Refusal as error:
            deep.append(f"{error.status.name} {error.retry_after_s} {error}")
        return svg(plan)

    monkeypatch.setattr("engine.inspection.svg", drawn)
    for _ in range(2):  # what was drawn gives its place back
        deep.clear()
        inspection.render(request)
        assert len(deep) == limits.MAX_PICTURES + 1
        assert deep[-1] == (
            "RESOURCE_EXHAUSTED 1.0 pictures = 2: as many as may be drawn at once; try again in 1 s"
        )


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"state": bytes(4)}, "states[0] = 0x00000000"),
        ({"state": bytes(4), "format": 2}, "states[0] = 0x00000000"),
        ({"state": bytes(5), "format": 3}, "state: 5 bytes; this game's are 4"),
        ({"format": 4}, "format = 4: there are 1 (text), 2 (SVG) and 3 (PNG)"),
        ({"format": 2, "cell_px": 3}, "cell_px = 3: give 4 to 256"),
        ({"format": 3, "cell_px": 2**32 - 1}, "cell_px = 4294967295: give 4 to 256"),
        ({"format": 3, "viewpoint": 2}, "viewpoint = 2: lanes has 0 to 1"),
    ],
)
def test_a_picture_that_cannot_be_is_refused(
    client: EngineClient, fields: dict[str, Any], message: str
) -> None:
    code, text = refused(client, "Render", **({"id": ID, "state": STATES[0].tobytes()} | fields))
    assert code == "INVALID_ARGUMENT"
    assert message in text
