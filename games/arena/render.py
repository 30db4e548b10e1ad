"""The arena in text: the whole map with everything on it, and joint actions in words.

Enters: a typed state, or what a person typed. Leaves: text, or an action's four numbers.
Invariant: north is up; columns a-k go right, rows 1-11 go down; cell 0 is a1, cell 120 is k11.
"""

from __future__ import annotations

from typing import Any

from games.arena.arenas import MAPS
from games.arena.kernels import HEALTH, HORIZON, OUT
from games.arena.loadouts import ACTIONS
from games.arena.state import AGENTS, BLUE_WON, BOTH_OUT, GOES_ON, RED_WON, SIDE
from games.errors import BadActionText

LETTERS = "SGsg"  # red scout, red guard, blue scout, blue guard
FLAG = "*"

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
