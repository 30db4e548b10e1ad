"""The arena as its docstring puts it, in plain Python: rules, masks, observations, and the ChaCha20 behind its draws.

In: a seed, or a state and a joint action. Out: states, masks, rewards and observations in plain values.
Invariant: nothing here is of the arena's kernels; moves are found by trying sets of movers, sight by geometry.
"""

from __future__ import annotations

import functools
import itertools
import struct
from dataclasses import dataclass, replace

import sight_oracle

SIDE, HORIZON = 11, 100
HEALTH, SIGHT, SHOT = (2, 3, 2, 3), (4, 3, 4, 3), (2, 3, 2, 3)
COMPASS = [(0, 0), (-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1)]
MOVES = (9, 5, 9, 5)

in_sight = functools.cache(sight_oracle.sees)

Cell = tuple[int, int]  # row, column
Rows = tuple[str, ...]


@dataclass(frozen=True)
class Position:
    """A state, with None for the cell of who is out."""

    seed: int
    counter: int
    map: int
    status: int
    steps: int
    flag: Cell
    cells: tuple[Cell | None, ...]
    health: tuple[int, ...]

    @classmethod
    def of(cls, state: bytes) -> Position:
        seed, counter, number, status, steps, flag, *rest = struct.unpack("<QQ12B", state)
        cells = tuple(None if cell == 255 else divmod(cell, SIDE) for cell in rest[:4])
        return cls(seed, counter, number, status, steps, divmod(flag, SIDE), cells, tuple(rest[4:]))

    def state(self) -> bytes:
        cells = [255 if cell is None else SIDE * cell[0] + cell[1] for cell in self.cells]
        flag = SIDE * self.flag[0] + self.flag[1]
        head = struct.pack("<QQ4B", self.seed, self.counter, self.map, self.status, self.steps, flag)
        return head + bytes(cells) + bytes(self.health)


@dataclass(frozen=True)
class Step:
    """What a joint action leads to."""

    position: Position
    rewards: tuple[float, ...]
    info: int


class ChaCha:
    """Words of a seed's key stream from a block on (RFC 8439, the counter in two words)."""

    def __init__(self, seed: int, counter: int) -> None:
        self.seed, self.counter, self.words = seed, counter, list[int]()

    def word(self) -> int:
        if not self.words:
            start = [*struct.unpack("<4I", b"expand 32-byte k"), *halves(self.seed), *[0] * 6]
            start += [*halves(self.counter), 0, 0]
            self.words = [(a + b) % 2**32 for a, b in zip(rounds(list(start)), start, strict=True)]
            self.counter = (self.counter + 1) % 2**64
        return self.words.pop(0)

    def below(self, bound: int) -> int:
        while True:
            product = self.word() * bound
            if product % 2**32 >= 2**32 % bound:
                return product >> 32


def halves(number: int) -> tuple[int, int]:
    return number % 2**32, number >> 32


def rounds(x: list[int]) -> list[int]:
    columns = [(0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15)]
    diagonals = [(0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)]
    for a, b, c, d in (columns + diagonals) * 10:
        for one, other, target, turn in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            x[one] = (x[one] + x[other]) % 2**32
            mixed = x[target] ^ x[one]
            x[target] = (mixed << turn | mixed >> 32 - turn) % 2**32
    return x


def is_open(rows: Rows, cell: Cell) -> bool:
    return 0 <= cell[0] < SIDE and 0 <= cell[1] < SIDE and rows[cell[0]][cell[1]] == "."


def sees(rows: Rows, one: Cell, other: Cell, distance: int) -> bool:
    near = max(abs(one[0] - other[0]), abs(one[1] - other[1])) <= distance
    return near and in_sight(rows, SIDE * one[0] + one[1], SIDE * other[0] + other[1])


def opponents(agent: int) -> tuple[int, int]:
    return (2, 3) if agent < 2 else (0, 1)


def draw(chacha: ChaCha, rows: Rows, columns: range, taken: list[Cell]) -> Cell:
    """A free cell of these columns."""
    everywhere = ((r, c) for r in range(SIDE) for c in range(SIDE))
    free = [cell for cell in everywhere if cell[1] in columns and is_open(rows, cell) and cell not in taken]
    return free[chacha.below(len(free))]


def start(maps: tuple[Rows, ...], seed: int, wanted: int | None) -> Position:
    chacha = ChaCha(seed, 0)
    drawn = chacha.below(len(maps))
    number = drawn if wanted is None else wanted
    cells: list[Cell] = []
    for agent in range(4):
        cells.append(draw(chacha, maps[number], range(2) if agent < 2 else range(9, 11), cells))
    flag = draw(chacha, maps[number], range(SIDE), cells)
    return Position(seed, chacha.counter, number, 0, 0, flag, tuple(cells), HEALTH)


def masks(rows: Rows, position: Position) -> list[int]:
    return [0 if position.status else mask(rows, position, agent) for agent in range(4)]


def mask(rows: Rows, position: Position, agent: int) -> int:
    cell = position.cells[agent]
    if cell is None:
        return 1
    legal = set()
    for action, (down, right) in enumerate(COMPASS[: MOVES[agent]]):
        to = (cell[0] + down, cell[1] + right)
        if is_open(rows, to) and sees(rows, cell, to, 1):
            legal.add(action)
    for index, opponent in enumerate(opponents(agent)):
        there = position.cells[opponent]
        if there is not None and sees(rows, cell, there, SHOT[agent]):
            legal.add(MOVES[agent] + index)
    return sum(1 << action for action in legal)


def moved(cells: list[Cell | None], wishes: list[Cell | None]) -> set[int]:
    """Who moves: the largest set of agents of whom nobody is in another's way."""
    movers = [agent for agent in range(4) if wishes[agent] not in (None, cells[agent])]
    for count in range(len(movers), 0, -1):
        for group in itertools.combinations(movers, count):
            if all(free(agent, set(group), cells, wishes) for agent in group):
                return set(group)
    return set()


def free(agent: int, group: set[int], cells: list[Cell | None], wishes: list[Cell | None]) -> bool:
    wish = wishes[agent]
    others = [other for other in range(4) if other != agent and cells[other] is not None]
    wanted_too = any(wishes[other] == wish for other in others)
    swapped = any(cells[other] == wish and wishes[other] == cells[agent] for other in others)
    occupied = any(cells[other] == wish and other not in group for other in others)
    return not (wanted_too or swapped or occupied)


def step(rows: Rows, position: Position, actions: tuple[int, ...]) -> Step:
    rewards, health, hit = [0.0] * 4, list(position.health), set()
    for agent, action in enumerate(actions):
        if action >= MOVES[agent]:
            target = opponents(agent)[action - MOVES[agent]]
            health[target] -= 1
            rewards[agent] += 1
            rewards[target] -= 1
            hit.add(target)
    health = [max(points, 0) for points in health]
    cells = [cell if health[agent] else None for agent, cell in enumerate(position.cells)]
    wishes: list[Cell | None] = []
    for cell, action, count in zip(cells, actions, MOVES, strict=True):
        down, right = COMPASS[action] if action < count else (0, 0)
        wishes.append(None if cell is None else (cell[0] + down, cell[1] + right))
    movers = moved(cells, wishes)
    blocked = {agent for agent in range(4) if wishes[agent] != cells[agent]} - movers
    cells = [wishes[agent] if agent in movers else cells[agent] for agent in range(4)]
    takers = [agent for agent in range(4) if cells[agent] == position.flag]
    flag, counter = position.flag, position.counter
    for agent in takers:
        rewards[agent] += 1
        for opponent in opponents(agent):
            rewards[opponent] -= 0.5
        chacha = ChaCha(position.seed, position.counter)
        flag = draw(chacha, rows, range(SIDE), [cell for cell in cells if cell is not None])
        counter = chacha.counter
    status = status_of(health, position.steps + 1)
    if status in (1, 2):
        rewards = [reward + (2 if 1 + agent // 2 == status else -2) for agent, reward in enumerate(rewards)]
    alive = {agent for agent in range(4) if health[agent]}
    bits = [sum(1 << agent for agent in group) for group in (alive, hit, blocked, set(takers))]
    info = sum(word << 4 * index for index, word in enumerate(bits))
    after = replace(
        position, counter=counter, status=status, steps=position.steps + 1, flag=flag, cells=tuple(cells)
    )
    after = replace(after, health=tuple(health))
    return Step(after, tuple(rewards), info | status << 16 | after.steps << 24)


def status_of(health: list[int], steps: int) -> int:
    red, blue = any(health[:2]), any(health[2:])
    if red and blue:
        return 4 if steps == HORIZON else 0
    return 1 if red else 2 if blue else 3


def is_position(maps: tuple[Rows, ...], state: bytes) -> bool:
    """Whether a state is one that the arena takes."""
    position = Position.of(state)
    if position.map >= len(maps) or position.steps > HORIZON:
        return False
    rows = maps[position.map]
    inside = [cell for cell in position.cells if cell is not None]
    fits = all(
        (points == 0) == (cell is None) and points <= most
        for points, cell, most in zip(position.health, position.cells, HEALTH, strict=True)
    )
    apart = len({*inside, position.flag}) == len(inside) + 1
    standing = all(is_open(rows, cell) for cell in [*inside, position.flag])
    return fits and apart and standing and position.status == status_of(list(position.health), position.steps)


def observation(rows: Rows, position: Position, agent: int) -> list[float]:
    """One agent's part, before rounding to f32."""
    cell, radius = position.cells[agent], SIGHT[agent]
    span = range(-radius, radius + 1)
    around = [None if cell is None else (cell[0] + down, cell[1] + right) for down in span for right in span]
    shown = [
        at is not None
        and cell is not None
        and 0 <= at[0] < SIDE
        and 0 <= at[1] < SIDE
        and sees(rows, cell, at, radius)
        for at in around
    ]
    marks = {position.cells[other]: position.health[other] / HEALTH[other] for other in range(4)}
    ally = {position.cells[agent ^ 1]}
    others = {position.cells[opponent] for opponent in opponents(agent)}
    values, agents, flag = list[float](), list[float](), [0.0, 0.0, 0.0]
    for index, (at, seen) in enumerate(zip(around, shown, strict=True)):
        values.append(0.0 if not seen or at is None else 1.0 if is_open(rows, at) else -1.0)
        sign = at in ally or -(at in others)
        agents.append(sign * marks[at] if seen and sign else 0.0)
        if seen and at == position.flag:
            down, right = divmod(index, 2 * radius + 1)
            flag = [1.0, (down - radius) / radius, (right - radius) / radius]
    values += agents + flag
    values += [0.0, 0.0] if cell is None else [cell[0] / 10, cell[1] / 10]
    values += [position.health[one] / HEALTH[one] for one in (agent, agent ^ 1)]
    return [*values, (HORIZON - position.steps) / HORIZON]
