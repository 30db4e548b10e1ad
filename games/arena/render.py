"""The arena in text and as a picture: the map with everything on it, and joint actions in words.

Enters: a typed state, or what a person typed. Leaves: text, a plan, or an action's four numbers.
Invariant: north is up; columns a-k go right, rows 1-11 go down; cell 0 is a1, cell 120 is k11.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from games.arena.arenas import MAPS, tables
from games.arena.kernels import HEALTH, HORIZON, OUT
from games.arena.loadouts import ACTIONS, SIGHT
from games.arena.state import AGENTS, BLUE_WON, BOTH_OUT, GOES_ON, RED_WON, SIDE
from games.errors import BadActionText
from games.render import board
from games.render.plan import Command, Rectangle, RenderPlan, RenderSpec

LETTERS = "SGsg"  # red scout, red guard, blue scout, blue guard
FLAG = "*"

_SHADE = 0.55  # how dark what is not seen is

_SHORT = {
    "north": "n",
    "south": "s",
    "west": "w",
    "east": "e",
    "northwest": "nw",
    "northeast": "ne",
    "southwest": "sw",
    "southeast": "se",
    "stay": "-",
}
_ENDS = {RED_WON: "red has won", BLUE_WON: "blue has won", BOTH_OUT: "both teams are out"}


def map_text(state: Any) -> str:
    """The map of one `STATE` record with agents and flag, who has how much health, and how far the episode is."""
    grid_map = MAPS[int(state["map"])]
    cells = list("".join(grid_map.rows))
    cells[int(state["flag"])] = FLAG
    for letter, cell in zip(LETTERS, state["cells"].tolist(), strict=True):
        if cell != OUT:
            cells[cell] = letter
    lines = ["   " + " ".join(chr(ord("a") + column) for column in range(SIDE))]
    for row in range(SIDE):
        lines.append(f"{row + 1:2} {' '.join(cells[SIDE * row : SIDE * (row + 1)])}")
    lines += [agent_text(state, agent) for agent in range(len(AGENTS))]
    return "\n".join([*lines, status_text(state)])


def map_picture(state: Any, spec: RenderSpec) -> RenderPlan:
    """One `STATE` record as a picture: all of it, or what the agent `spec.viewpoint` is told.

    What an agent does not see lies in shade, and who or what is there is not drawn.
    """
    palette, seen = spec.palette, seen_cells(state, spec.viewpoint)
    commands: list[Command] = [
        *board.column_labels((chr(ord("a") + column) for column in range(SIDE)), palette),
        *board.row_labels((str(row + 1) for row in range(SIDE)), palette),
        *board.tiles(SIDE, SIDE, palette.board),
    ]
    for cell, mark in enumerate("".join(MAPS[int(state["map"])].rows)):
        if mark == "#":
            x, y = _place(cell)
            commands.append(Rectangle(x, y, 1, 1, palette.wall, glyph="#"))
    commands += [
        Rectangle(*_place(cell), 1, 1, palette.shade, opacity=_SHADE)
        for cell in range(SIDE * SIDE)
        if cell not in seen
    ]
    flag = int(state["flag"])
    if flag in seen:
        commands += board.flag(*_place(flag), palette.goal, glyph=FLAG)
    for agent, cell in enumerate(state["cells"].tolist()):
        if cell in seen or (agent == spec.viewpoint and cell != OUT):
            commands += _fighter(agent, cell, int(state["health"][agent]), spec)
    words = [agent_text(state, agent) for agent in range(len(AGENTS)) if spec.viewpoint in (None, agent)]
    return board.board_plan(SIDE + 1, SIDE + 1, commands, "\n".join([*words, status_text(state)]), spec)


def seen_cells(state: Any, agent: int | None) -> frozenset[int]:
    """The cells that one agent sees, all for None; none for who is out."""
    if agent is None:
        return frozenset(range(SIDE * SIDE))
    cell = int(state["cells"][agent])
    if cell == OUT:
        return frozenset()
    words = tables().sight[int(state["map"]), cell]
    bits = np.unpackbits(words.astype("<u8").view(np.uint8), count=SIDE * SIDE, bitorder="little")
    row, column = divmod(cell, SIDE)
    near = SIGHT[agent & 1]
    return frozenset(
        other
        for other in np.flatnonzero(bits).tolist()
        if max(abs(other // SIDE - row), abs(other % SIDE - column)) <= near
    )


def _fighter(agent: int, cell: int, health: int, spec: RenderSpec) -> list[Command]:
    """A scout is round, a guard square; a bar below shows the share of health that is left."""
    (x, y), colour, glyph = _place(cell), _team_colour(agent, spec), LETTERS[agent]
    left = 0.7 * health / int(HEALTH[agent & 1])
    body: list[Command] = [Rectangle(x + 0.2, y + 0.12, 0.6, 0.6, colour, radius=0.06, glyph=glyph)]
    if agent & 1 == 0:
        body = board.disc(x, y - 0.08, colour, glyph=glyph, radius=0.3)
    return [*body, Rectangle(x + 0.15, y + 0.82, left, 0.1, colour)]


def _team_colour(agent: int, spec: RenderSpec) -> str:
    # Red and blue stand the other way round in the palette.
    return spec.palette.player(1 - agent // 2)


def _place(cell: int) -> tuple[int, int]:
    """Column and row in the picture, whose first of either are labels."""
    return 1 + cell % SIDE, 1 + cell // SIDE


def agent_text(state: Any, agent: int) -> str:
    """One agent in a line, e.g. "S red_scout at b3, health 2 of 2"."""
    cell = int(state["cells"][agent])
    what = f"{LETTERS[agent]} {AGENTS[agent]}"
    if cell == OUT:
        return f"{what} is out"
    return f"{what} at {cell_text(cell)}, health {int(state['health'][agent])} of {int(HEALTH[agent & 1])}"


def status_text(state: Any) -> str:
    """Where the episode is, e.g. "map 1 (rooms), step 7 of 100, goes on"."""
    status = int(state["status"])
    end = "goes on" if status == GOES_ON else _ENDS.get(status, "the horizon is reached")
    number = int(state["map"])
    return f"map {number} ({MAPS[number].name}), step {int(state['steps'])} of {HORIZON}, {end}"


def cell_text(cell: int) -> str:
    """The name of cell 0..120, "a1".."k11"."""
    return f"{chr(ord('a') + cell % SIDE)}{cell // SIDE + 1}"


def parse_words(text: str) -> list[int]:
    """The four action numbers that a person means by "north stay shoot-guard e" or "1 0 6 4".

    Raises:
        BadActionText: they are not four, or one is no action of its agent.
    """
    words = text.lower().replace(",", " ").split()
    if len(words) != len(AGENTS):
        raise BadActionText(
            f"move {text.strip()!r}: {len(words)} actions; type one each for {', '.join(AGENTS)}, such as "
            "north stay shoot-guard east, or their numbers"
        )
    numbers = []
    for agent, word in enumerate(words):
        known = _words(agent & 1)
        if word not in known:
            raise BadActionText(
                f"move {text.strip()!r}: {AGENTS[agent]} has no {word!r}; type one of "
                f"{', '.join(ACTIONS[agent & 1])}, or a number 0-{len(ACTIONS[agent & 1]) - 1}"
            )
        numbers.append(known[word])
    return numbers


def _words(loadout: int) -> dict[str, int]:
    """Everything that stands for an action of a loadout: its word, its first letters, its number."""
    known = {str(number): number for number in range(len(ACTIONS[loadout]))}
    for number, word in enumerate(ACTIONS[loadout]):
        known[word] = number
        known[_SHORT.get(word, word)] = number
    return known
