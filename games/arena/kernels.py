"""The rules of the arena as kernels over N rows.

Enters: state and action columns, the tables of the maps. Leaves: every column of `Positions` or `Outcomes` but the
observations, and where the first refused row is.
Invariant: a state is accepted exactly if its agents, its flag, its steps and its status agree with each other and with
its map; the rules lead on from it. What follows is the same whichever agent is looked at first.

A kernel returns OK, or `row * REASONS + reason` of the first row that it refuses; rows before it are written then
already. Agents 0 to 3 are red scout, red guard, blue scout, blue guard: bit 0 is the loadout, bit 1 the team.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from games.chacha import CURSOR_WORDS, begin, below, next_counter
from games.kernel import kernel

OK = -1
BAD_MAP, BAD_AGENT, BAD_FLAG, BAD_STEPS, BAD_STATUS, ENDED = range(6)
OUT_OF_RANGE, NOT_LEGAL = 8, 12  # plus the agent
REASONS = 16

HORIZON = 100
OUT = 255  # the cell of who is out
OPEN, RED_ZONE, BLUE_ZONE = 1, 2, 4
# Actions: stay, north, south, west, east; scouts also northwest, northeast, southwest, southeast; then two shots.
DOWN = np.array([0, -1, 1, 0, 0, -1, -1, 1, 1], np.int64)
RIGHT = np.array([0, 0, 0, -1, 1, -1, 1, -1, 1], np.int64)
# Of a scout, of a guard.
LOADOUT_MOVES = np.array([9, 5], np.int64)  # actions before the shots, stay included
RANGES = np.array([2, 3], np.int64)  # of a shot, in rows and in columns
HEALTH = np.array([2, 3], np.int64)  # at the start

_WIDTH = 11
_MAP, _STATUS, _STEPS, _FLAG, _CELLS, _HEALTH, _STATE_BYTES = 16, 17, 18, 19, 20, 24, 28
_CELL, _POINTS, _WISH = range(3)  # rows of a kernel's scratch, a column an agent
_STATUS_OF = np.array([[3, 2], [1, 0]], np.uint8)  # [red is in, blue is in]

# Element types are in the signatures; Any lets elements mix with int in the eyes of the type checker, as in numba's.
U8 = npt.NDArray[Any]
U32 = npt.NDArray[Any]
I64 = npt.NDArray[Any]
U64 = npt.NDArray[Any]
F32 = npt.NDArray[Any]


@kernel("i64(in u8[2], i64, in u8[2], i64[2])")
def load(states: U8, row: int, ground: U8, work: I64) -> int:
    """A row's agents to the scratch; what is wrong with the row, or OK."""
    board = states[row, _MAP]
    if board >= len(ground):
        return BAD_MAP
    flag = states[row, _FLAG]
    if flag >= ground.shape[1] or not ground[board, flag]:
        return BAD_FLAG
    for agent in range(4):
        cell, points = np.int64(states[row, _CELLS + agent]), np.int64(states[row, _HEALTH + agent])
        work[_CELL, agent], work[_POINTS, agent] = cell, points
        if points == 0 and cell == OUT:
            continue
        if points == 0 or points > HEALTH[agent & 1] or cell >= ground.shape[1] or not ground[board, cell]:
            return BAD_AGENT
        if cell == flag:
            return BAD_FLAG
        for other in range(agent):
            if work[_CELL, other] == cell:
                return BAD_AGENT
    if states[row, _STEPS] > HORIZON:
        return BAD_STEPS
    return OK if states[row, _STATUS] == status_of(states[row, _STEPS], work) else BAD_STATUS


@kernel("i64(i64, i64[2])")
def status_of(steps: int, work: I64) -> Any:
    """The status that these agents after so many steps have."""
    red = work[_POINTS, 0] + work[_POINTS, 1] > 0
    blue = work[_POINTS, 2] + work[_POINTS, 3] > 0
    status = np.int64(_STATUS_OF[np.int64(red), np.int64(blue)])
    return 4 if status == 0 and steps == HORIZON else status


@kernel("u64(in u64[3], in u64[4], i64, i64, i64[2])")
def legal(moves: U64, reach: U64, board: int, agent: int, work: I64) -> Any:
    """One agent's legal actions while the episode goes on."""
    cell, loadout = work[_CELL, agent], agent & 1
    if cell == OUT:
        return np.uint64(1)
    mask = moves[board, loadout, cell]
    for index in range(2):
        target = work[_CELL, 2 - (agent & 2) + index]
        if target != OUT:
            seen = reach[board, loadout, cell, target >> 6] >> np.uint64(target & 63) & np.uint64(1)
            mask |= seen << np.uint64(LOADOUT_MOVES[loadout] + index)
    return mask


@kernel("i64(in u8[2], i64, in u64[3], in u64[4], i64, i64[2])")
def read_actions(actions: U8, row: int, moves: U64, reach: U64, board: int, work: I64) -> int:
    """Wishes to the scratch: the cell where each agent wants to be, or -1 - target for a shot; or what is wrong."""
    for agent in range(4):
        action = np.int64(actions[row, 4 * agent])
        rest = actions[row, 4 * agent + 1] | actions[row, 4 * agent + 2] | actions[row, 4 * agent + 3]
        first_shot = LOADOUT_MOVES[agent & 1]
        if rest or action >= first_shot + 2:
            return OUT_OF_RANGE + agent
        if not legal(moves, reach, board, agent, work) >> np.uint64(action) & np.uint64(1):
            return NOT_LEGAL + agent
        if action < first_shot:
            work[_WISH, agent] = work[_CELL, agent] + DOWN[action] * _WIDTH + RIGHT[action]
        else:
            work[_WISH, agent] = -1 - (2 - (agent & 2) + action - first_shot)
    return OK


@kernel("i64(i64, f32[2], i64[2])")
def shoot(row: int, rewards: F32, work: I64) -> int:
    """All shots at once, then the hit who have no health left leave; who was hit, a bit each."""
    hit = 0
    for agent in range(4):
        if work[_WISH, agent] < 0:
            target = -1 - work[_WISH, agent]
            work[_WISH, agent] = work[_CELL, agent]
            work[_POINTS, target] -= 1
            rewards[row, agent] += np.float32(1)
            rewards[row, target] -= np.float32(1)
            hit |= 1 << target
    for agent in range(4):
        if work[_POINTS, agent] <= 0:
            work[_POINTS, agent] = 0
            work[_CELL, agent] = OUT
            work[_WISH, agent] = OUT
    return hit


@kernel("i64(i64[2])")
def move(work: I64) -> int:
    """All moves at once; who wanted to move and did not, a bit each."""
    stays = 0  # who does not leave its cell
    for agent in range(4):
        if work[_WISH, agent] == work[_CELL, agent]:
            stays |= 1 << agent
    still = stays
    for one in range(4):
        for other in range(one):
            same = work[_WISH, one] == work[_WISH, other]
            swap = work[_WISH, one] == work[_CELL, other] and work[_WISH, other] == work[_CELL, one]
            if (same or swap) and work[_CELL, one] != OUT and work[_CELL, other] != OUT:
                stays |= 1 << one | 1 << other
    # Who stays is in the way of who wanted its cell. Whatever begins it holds two, so two rounds reach the other two.
    for _ in range(2):
        for agent in range(4):
            for other in range(4):
                if other != agent and stays >> other & 1 and work[_WISH, agent] == work[_CELL, other] != OUT:
                    stays |= 1 << agent
    for agent in range(4):
        if not stays >> agent & 1:
            work[_CELL, agent] = work[_WISH, agent]
    return stays & ~still


@kernel("i64(u32[1], in u8[2], i64, i64, i64[2])")
def draw_cell(cursor: U32, ground: U8, board: int, kind: int, work: I64) -> int:
    """A uniform cell of a kind (OPEN or a zone) where no agent is."""
    free = 0
    for cell in range(ground.shape[1]):
        free += ground[board, cell] & kind != 0
    for agent in range(4):
        if work[_CELL, agent] != OUT:
            free -= ground[board, work[_CELL, agent]] & kind != 0
    left = np.int64(below(cursor, np.uint32(free)))
    for cell in range(ground.shape[1]):
        taken = False
        for agent in range(4):
            taken |= work[_CELL, agent] == cell
        if ground[board, cell] & kind and not taken:
            if left == 0:
                return cell
            left -= 1
    return OUT  # not reached: a map has more open cells than agents


@kernel("none(u8[2], i64, i64, u64)")
def store_word(states: U8, row: int, at: int, word: Any) -> None:
    """Eight bytes, little-endian."""
    for byte in range(8):
        states[row, at + byte] = word >> np.uint64(8 * byte) & np.uint64(255)


@kernel("u64(in u8[2], i64, i64)")
def load_word(states: U8, row: int, at: int) -> Any:
    """Eight bytes, little-endian."""
    word = np.uint64(0)
    for byte in range(8):
        word |= np.uint64(states[row, at + byte]) << np.uint64(8 * byte)
    return word


@kernel("i64(u8[2], i64, i64, i64, in u8[2], f32[2], u32[1], i64[2])")
def take_flag(
    states: U8, row: int, board: int, flag: int, ground: U8, rewards: F32, cursor: U32, work: I64
) -> int:
    """Who stands on the flag takes it, and it appears elsewhere; who did, a bit."""
    for agent in range(4):
        if work[_CELL, agent] == flag:
            rewards[row, agent] += np.float32(1)
            for opponent in range(2 - (agent & 2), 4 - (agent & 2)):
                rewards[row, opponent] -= np.float32(0.5)
            begin(cursor, load_word(states, row, 0), load_word(states, row, 8))
            states[row, _FLAG] = draw_cell(cursor, ground, board, OPEN, work)
            store_word(states, row, 8, next_counter(cursor))
            return 1 << agent
    return 0


@kernel("none(i64, i64, in u64[3], in u64[4], i64, i64[2], u64[2])")
def write_masks(
    row: int, board: int, moves: U64, reach: U64, status: int, work: I64, legal_masks: U64
) -> None:
    """The legal masks of all agents."""
    for agent in range(4):
        legal_masks[row, agent] = np.uint64(0) if status else legal(moves, reach, board, agent, work)


@kernel("none(in u64[1], i64, in u8[2], in u64[3], in u64[4], u8[2], u64[2], u8[1])")
def reset(
    seeds: U64,
    wanted: int,
    ground: U8,
    moves: U64,
    reach: U64,
    states: U8,
    legal_masks: U64,
    players: U8,
) -> None:
    """Draw a start in every row: the map (unless one is wanted, 0 or more), the agents in order, the flag."""
    cursor = np.empty(CURSOR_WORDS, np.uint32)
    work = np.empty((3, 4), np.int64)
    for row in range(len(players)):
        begin(cursor, seeds[row], np.uint64(0))
        board: Any = np.int64(below(cursor, np.uint32(len(ground))))
        if wanted >= 0:
            board = wanted
        for agent in range(4):
            work[_CELL, agent], work[_POINTS, agent] = OUT, HEALTH[agent & 1]
        for agent in range(4):
            zone = BLUE_ZONE if agent & 2 else RED_ZONE
            work[_CELL, agent] = draw_cell(cursor, ground, board, zone, work)
            states[row, _CELLS + agent] = work[_CELL, agent]
            states[row, _HEALTH + agent] = work[_POINTS, agent]
        states[row, _FLAG] = draw_cell(cursor, ground, board, OPEN, work)
        store_word(states, row, 0, seeds[row])
        store_word(states, row, 8, next_counter(cursor))
        states[row, _MAP], states[row, _STATUS], states[row, _STEPS] = board, 0, 0
        write_masks(row, board, moves, reach, 0, work, legal_masks)
        players[row] = 0


@kernel("i64(in u8[2], in u8[2], in u64[3], in u64[4], u8[2], u64[2], u8[1])")
def observe(states: U8, ground: U8, moves: U64, reach: U64, copies: U8, legal_masks: U64, players: U8) -> int:
    """Derive masks and players from states, and copy them."""
    work = np.empty((3, 4), np.int64)
    for row in range(len(players)):
        reason = load(states, row, ground, work)
        if reason != OK:
            return row * REASONS + reason
        for offset in range(_STATE_BYTES):
            copies[row, offset] = states[row, offset]
        write_masks(row, states[row, _MAP], moves, reach, states[row, _STATUS], work, legal_masks)
        players[row] = 0
    return OK


@kernel(
    "i64(in u8[2], in u8[2], in u8[2], in u64[3], in u64[4], u8[2], u64[2], u8[1], f32[2], u8[1], u8[1], u64[1])"
)
def step(
    states: U8,
    actions: U8,
    ground: U8,
    moves: U64,
    reach: U64,
    successors: U8,
    legal_masks: U64,
    players: U8,
    rewards: F32,
    terminated: U8,
    truncated: U8,
    info: U64,
) -> int:
    """Play a joint action in every row; see `Arena` for the rules and for what info holds."""
    cursor = np.empty(CURSOR_WORDS, np.uint32)
    work = np.empty((3, 4), np.int64)
    for row in range(len(players)):
        board: Any = np.int64(states[row, _MAP])
        reason = load(states, row, ground, work)
        if reason == OK and states[row, _STATUS]:
            reason = ENDED
        if reason == OK:
            reason = read_actions(actions, row, moves, reach, board, work)
        if reason != OK:
            return row * REASONS + reason
        for offset in range(_STATE_BYTES):
            successors[row, offset] = states[row, offset]
        for agent in range(4):
            rewards[row, agent] = 0
        hit = shoot(row, rewards, work)
        blocked = move(work)
        takers = take_flag(successors, row, board, states[row, _FLAG], ground, rewards, cursor, work)
        played = states[row, _STEPS] + 1
        status = status_of(played, work)
        within: Any = 0
        for agent in range(4):
            within |= np.int64(work[_CELL, agent] != OUT) << agent
            successors[row, _CELLS + agent] = work[_CELL, agent]
            successors[row, _HEALTH + agent] = work[_POINTS, agent]
            if status == 1 or status == 2:
                rewards[row, agent] += np.float32(2 if (agent >> 1) + 1 == status else -2)
        successors[row, _STEPS], successors[row, _STATUS] = played, status
        write_masks(row, board, moves, reach, status, work, legal_masks)
        players[row], terminated[row], truncated[row] = 0, 1 <= status <= 3, status == 4
        info[row] = within | hit << 4 | blocked << 8 | takers << 12 | status << 16 | played << 24
    return OK
