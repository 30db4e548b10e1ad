"""Pictures: plans refuse what cannot be drawn, and text, SVG and PNG show what the plan says."""

from __future__ import annotations

import io
import re
from typing import Any
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from games import registry
from games.arena.loadouts import SIGHT
from games.conformance import random_actions
from games.contract import Game
from games.errors import BadBatch, BadPicture, BadState
from games.render.plan import (
    DARK,
    LIGHT,
    MOST_CELLS,
    Circle,
    Command,
    Line,
    Polygon,
    Rectangle,
    RenderPlan,
    RenderSpec,
    Text,
    text_plan,
)
from games.render.png import MOST_PIXELS, png
from games.render.svg import svg
from games.render.terminal import terminal

RED, BLUE = "#ff0000", "#0000ff"
WHITE = "#ffffff"

numbers = st.floats(-20, 30, width=32)
sizes = st.floats(0, 12, width=32)
colours = st.sampled_from([RED, BLUE, WHITE, "#1f2328"])
maybe = st.none() | colours
opacities = st.sampled_from([0, 0.3, 0.5, 1])
glyphs = st.sampled_from(["", "#", "ü"])
commands = st.one_of(
    st.builds(Rectangle, numbers, numbers, sizes, sizes, maybe, maybe, sizes, sizes, opacities, glyphs),
    st.builds(Circle, numbers, numbers, sizes, maybe, maybe, sizes, opacities, glyphs),
    st.builds(Line, numbers, numbers, numbers, numbers, colours, sizes, opacities, glyphs),
    st.builds(
        Polygon,
        st.lists(st.tuples(numbers, numbers), min_size=3, max_size=6).map(tuple),
        maybe,
        maybe,
        sizes,
        opacities,
        glyphs,
    ),
    st.builds(
        Text,
        numbers,
        numbers,
        st.sampled_from(["", "a <b> & 'c'", "two words", "É"]),
        colours,
        st.floats(0.1, 3),
        st.sampled_from(["start", "middle", "end"]),
        opacities,
        st.booleans(),
    ),
)


def plan(*drawn: Command, width: float = 4, height: float = 2, cell_px: int = 10) -> RenderPlan:
    return RenderPlan(width, height, WHITE, drawn, cell_px)


def pixels(drawn: RenderPlan) -> Image.Image:
    picture = Image.open(io.BytesIO(png(drawn)))
    assert picture.mode == "RGB"
    return picture


@settings(max_examples=150, deadline=None)
@given(st.lists(commands, max_size=6), st.floats(0.5, 9), st.floats(0.5, 9))
def test_whatever_a_plan_holds_is_drawn(drawn: list[Command], width: float, height: float) -> None:
    made = RenderPlan(width, height, WHITE, tuple(drawn), 6)
    root = ElementTree.fromstring(svg(made))
    assert len(root) == 1 + len(drawn)
    assert pixels(made).size == (round(width * 6), round(height * 6))
    plain, coloured = terminal(made), terminal(made, colour=True)
    assert len(coloured.splitlines()) >= len(plain.splitlines())
    stripped = re.sub(r"\x1b\[[0-9;]*m", "", coloured)
    assert [line.rstrip() for line in stripped.splitlines()][: len(plain.splitlines())] == plain.splitlines()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RenderSpec(cell_px=3), "cell_px = 3: give 4 to 256"),
        (lambda: RenderSpec(cell_px=257), "cell_px = 257"),
        (lambda: RenderSpec(viewpoint=-1), "viewpoint = -1"),
        (lambda: plan(width=0), "0 x 2 cells"),
        (lambda: plan(height=MOST_CELLS + 1), f"4 x {MOST_CELLS + 1} cells"),
        (lambda: plan(width=float("nan")), "nan x 2 cells"),
        (lambda: plan(Circle(float("inf"), 0, 1)), "Circle.x = inf"),
        (lambda: plan(Line(0, 0, 1e9, 0, RED)), "Line.x2 = 1000000000.0"),
        (lambda: plan(Polygon(((0, 0), (1, float("nan")), (1, 1)))), "Polygon.points = nan"),
        (lambda: plan(Polygon(((0, 0), (1, 1)))), "give at least three"),
        (lambda: plan(Circle(0, 0, 1, fill="red")), "Circle.fill = 'red': give a colour as #rrggbb"),
        (lambda: plan(Line(0, 0, 1, 1, "#FF0000")), "Line.stroke = '#FF0000'"),
        (lambda: plan(Circle(0, 0, 1, opacity=1.5)), "Circle.opacity = 1.5: give 0 to 1"),
        (lambda: plan(Circle(0, 0, -1)), "Circle.radius = -1: give 0 or more"),
        (lambda: plan(Line(0, 0, 1, 1, RED, stroke_width=-0.1)), "Line.stroke_width = -0.1: give 0 or more"),
        (lambda: plan(Rectangle(0, 0, -1, 1)), "Rectangle.width = -1: give 0 or more"),
        (lambda: plan(Rectangle(0, 0, 1, -1)), "Rectangle.height = -1: give 0 or more"),
        (lambda: plan(Text(0, 0, "a", RED, size=-1)), "Text.size = -1: give 0 or more"),
        (lambda: plan(Circle(0, 0, 1, glyph="ab")), "Circle.glyph = 'ab': give one character"),
        (lambda: plan(Text(0, 0, "a\nb", RED)), "give one line"),
        (lambda: plan(Text(0, 0, "a", RED, anchor="left")), "anchor = 'left'"),
        (lambda: RenderPlan(1, 1, "white", ()), "background = 'white'"),
        (lambda: RenderPlan(1, 1, WHITE, (Circle(0, 0, 1),) * 100_001), "100001 commands"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_one_line(make: Any, message: str) -> None:
    with pytest.raises(BadPicture) as refused:
        make()
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_picture_of_too_many_pixels_is_refused() -> None:
    with pytest.raises(BadPicture, match=f"give 1 to {MOST_PIXELS} of them; choose another cell_px"):
        png(plan(width=MOST_CELLS, height=MOST_CELLS, cell_px=16))


def test_shapes_cover_the_pixels_that_they_should() -> None:
    picture = pixels(plan(Rectangle(1, 0, 1, 1, fill=RED), Circle(3.5, 0.5, 0.5, fill=BLUE), cell_px=20))
    assert picture.size == (80, 40)
    assert picture.getpixel((30, 10)) == (255, 0, 0)
    assert picture.getpixel((20, 0)) == (255, 0, 0)
    assert picture.getpixel((39, 19)) == (255, 0, 0)
    assert {picture.getpixel(place) for place in [(19, 10), (40, 10), (30, 20), (61, 1)]} == {(255, 255, 255)}
    assert picture.getpixel((70, 10)) == (0, 0, 255)


def test_what_shines_through_is_mixed_with_what_is_below() -> None:
    picture = pixels(plan(Rectangle(0, 0, 4, 2, fill=RED), Rectangle(0, 0, 4, 2, fill=BLUE, opacity=0.5)))
    red, green, blue = picture.getpixel((5, 5))  # type: ignore[misc]
    assert green == 0
    assert abs(red - 127) <= 2
    assert abs(blue - 127) <= 2


def test_what_has_no_paint_is_not_seen_but_by_its_glyph() -> None:
    drawn = plan(
        Circle(0.5, 0.5, 0.4, stroke=RED, stroke_width=0, glyph="@"), Rectangle(2, 0, 1, 1, glyph="+")
    )
    assert pixels(drawn).getcolors() == [(800, (255, 255, 255))]
    assert terminal(drawn) == "@   +"


def test_svg_has_an_element_a_command_and_escapes_text() -> None:
    drawn = plan(
        Rectangle(0, 0, 1, 1, fill=RED, radius=0.1),
        Circle(1.5, 0.5, 1 / 3, stroke=BLUE),
        Line(0, 0, 1, 1, RED, opacity=0.5),
        Polygon(((0, 0), (1, 0), (1, 1)), fill=BLUE),
        Text(1, 1, "a<b", RED, anchor="end"),
    )
    assert svg(drawn).splitlines()[2:-1] == [
        '<rect x="0" y="0" width="1" height="1" rx="0.1" fill="#ff0000"/>',
        '<circle cx="1.5" cy="0.5" r="0.3333" fill="none" stroke="#0000ff" stroke-width="0.04"/>',
        '<line x1="0" y1="0" x2="1" y2="1" stroke="#ff0000" stroke-width="0.04" stroke-linecap="round" '
        'opacity="0.5"/>',
        '<polygon points="0,0 1,0 1,1" fill="#0000ff"/>',
        '<text x="1" y="1" fill="#ff0000" font-size="0.56" font-family="system-ui, sans-serif" '
        'dominant-baseline="central" text-anchor="end">a&lt;b</text>',
    ]


def test_a_terminal_shows_two_characters_a_cell_and_one_line_a_row() -> None:
    drawn = plan(
        Rectangle(0, 0, 2, 1, fill="#000000", glyph="."),
        Circle(1.5, 0.5, 0.3, fill=RED, glyph="o"),
        Line(0, 1.5, 1.5, 1.5, BLUE, glyph="-"),
        Text(3, 0.5, "hi", RED),
        Text(4, 1.5, "end", RED, anchor="end"),
    )
    assert terminal(drawn) == ". o   hi\n---- end"
    first = terminal(drawn, colour=True).splitlines()[0]
    assert first.startswith("\x1b[38;2;255;255;255;48;2;0;0;0m.")
    assert "\x1b[38;2;255;0;0;48;2;0;0;0mo" in first
    assert first.endswith("\x1b[0m")


def test_a_text_is_seen_whole_in_a_terminal_however_narrow_the_plan() -> None:
    assert terminal(plan(Text(0, 0.5, "a longer line", RED, size=0.2), width=1, height=1)) == "a longer line"


def test_lines_of_text_keep_their_columns() -> None:
    drawn = text_plan("ab\n\n  c  d", RenderSpec(palette=DARK))
    assert terminal(drawn) == " ab\n\n   c  d"
    assert (drawn.background, len(drawn.commands)) == (DARK.background, 2)


def test_a_palette_has_a_colour_for_every_player() -> None:
    for palette in (LIGHT, DARK):
        assert len({palette.player(number) for number in range(8)}) == 8
        assert palette.player(8) == palette.player(0)


def some_states(game: Game) -> list[bytes]:
    """States from the start of an episode to its end, or far into it."""
    generator, states = np.random.default_rng(5), []
    position = game.reset(np.array([11], np.uint64))
    for _ in range(60):
        states.append(position.states.tobytes())
        outcome = game.step(position.states, random_actions(game, position, generator))
        position = outcome.positions
        if outcome.terminated[0] or outcome.truncated[0]:
            break
    return [*states[:2], states[-1], position.states.tobytes()]


@pytest.mark.parametrize("env_id", registry.names())
def test_every_game_draws_every_position_from_every_viewpoint(env_id: str) -> None:
    game = registry.get(env_id)
    sights = (RenderSpec(cell_px=8, viewpoint=number) for number in range(game.spec.players))
    wanted = [RenderSpec(cell_px=8), RenderSpec(cell_px=8, palette=DARK), *sights]
    for state in some_states(game):
        for spec in wanted:
            drawn = game.plan(state, spec)
            assert drawn == game.plan(state, spec)
            assert drawn.background == spec.palette.background
            assert terminal(drawn).strip()
            ElementTree.fromstring(svg(drawn))
        colours_there = pixels(game.plan(state, wanted[0])).getcolors(1 << 24)
        assert colours_there is not None
        assert len(colours_there) > 1


@pytest.mark.parametrize("env_id", registry.names())
def test_no_game_draws_what_cannot_be(env_id: str) -> None:
    game = registry.get(env_id)
    start = game.reset(np.zeros(1, np.uint64)).states.tobytes()
    with pytest.raises(BadPicture, match=rf"viewpoint = {game.spec.players}: {env_id} has 0 to"):
        game.plan(start, RenderSpec(viewpoint=game.spec.players))
    with pytest.raises(BadBatch):
        game.plan(start[:-1])
    with pytest.raises(BadState):
        game.plan(b"\xff" * game.spec.state_bytes)


def test_tictactoe_draws_crosses_rings_and_the_line_that_won() -> None:
    game = registry.get("tictactoe")
    drawn = game.plan(bytes.fromhex("0101010202000000000101"))
    assert terminal(drawn) == "  a b c\n1 X X X\n2 O O .\n3 . . .\nX has won"
    lines = [command for command in drawn.commands if isinstance(command, Line)]
    rings = [
        command for command in drawn.commands if isinstance(command, Circle) and command.stroke_width > 0
    ]
    assert (len(lines), len(rings)) == (7, 2)
    assert (lines[-1].x1, lines[-1].y1, lines[-1].x2, lines[-1].y2) == (1.5, 1.5, 3.5, 1.5)


def test_an_agent_of_the_arena_is_shown_what_it_observes_and_nothing_else() -> None:
    game = registry.get("arena")
    generator = np.random.default_rng(3)
    position = game.reset(np.arange(4, dtype=np.uint64))
    shown = 0
    for _ in range(25):
        position = game.step(position.states, random_actions(game, position, generator)).positions
        goes_on = position.legal_masks[:, 0] > 0
        position = game.observe(np.ascontiguousarray(position.states[goes_on]))
        for row, agent in np.ndindex(len(position), game.spec.players):
            shown += check_sight(game, position.states[row].tobytes(), position.obs[row], agent)
    assert shown > 20
    state = position.states[0].tobytes()
    assert "blue_guard" in terminal(game.plan(state))
    assert "blue_guard" not in terminal(game.plan(state, RenderSpec(viewpoint=0)))


def check_sight(game: Game, state: bytes, obs: npt.NDArray[np.float32], agent: int) -> int:
    """An agent's picture holds what its observation holds; how many others it sees."""
    side = 2 * SIGHT[agent & 1] + 1
    own = obs[game.spec.agent_obs(agent)]
    # Planes of the ground (1 open, -1 wall) and of the others; then whether the flag is seen.
    ground, others = own[: 2 * side * side].reshape(2, -1)
    picture = terminal(game.plan(state, RenderSpec(viewpoint=agent)))
    board = "".join(line[2:] for line in picture.splitlines()[1:12])
    letters = "SGsg".replace("SGsg"[agent], "")
    assert sum(board.count(letter) for letter in letters) == np.count_nonzero(others)
    assert board.count("*") == int(own[2 * side * side])
    assert board.count("#") == np.count_nonzero(ground == -1)
    return int(np.count_nonzero(others))


def test_a_secret_is_not_drawn_before_the_end() -> None:
    game = registry.get("mastermind")
    for seed in range(5):
        position = game.reset(np.array([seed], np.uint64))
        others = game.reset(np.array([seed + 100], np.uint64))
        assert position.states.tobytes() != others.states.tobytes()
        assert game.plan(position.states.tobytes()) == game.plan(others.states.tobytes())


@pytest.mark.parametrize("env_id", ["tictactoe", "connect4", "gridworld"])
def test_a_board_in_the_terminal_is_the_board_in_text(env_id: str) -> None:
    game = registry.get(env_id)
    for state in some_states(game):
        text, drawn = game.render_text(state), terminal(game.plan(state))
        assert drawn == "\n".join(line.rstrip() for line in text.splitlines())


def test_a_line_of_four_is_struck_through() -> None:
    game = registry.get("connect4")
    position = game.reset(np.zeros(1, np.uint64))
    for column in (0, 6, 1, 6, 2, 6, 3):
        outcome = game.step(position.states, np.array([[column, 0, 0, 0]], np.uint8))
        position = outcome.positions
    assert outcome.terminated[0]
    (stroke,) = [
        command for command in game.plan(position.states.tobytes()).commands if isinstance(command, Line)
    ]
    assert (stroke.x1, stroke.y1, stroke.x2, stroke.y2) == (1.5, 5.5, 4.5, 5.5)
