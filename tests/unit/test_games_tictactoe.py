"""Tic-tac-toe's kernels equal a plain-Python reference, on every state that there is and on states that cannot be."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from games import registry
from games.contract import decode_discrete, encode_discrete
from games.errors import BadActionText, BadHint, BadState, IllegalAction
from games.tictactoe.state import STATE, typed

REACHABLE = 5_478  # positions, the empty and the ended ones included
GAMES = 255_168  # sequences of moves from the empty board to an end
ENDS = {1: 131_184, 2: 77_904, 3: 46_080}  # of those: won by player 0, by player 1, drawn

LINES = [(0, 1, 2), (3, 4, 5), (6, 7, 8), (0, 3, 6), (1, 4, 7), (2, 5, 8), (0, 4, 8), (2, 4, 6)]

Board = tuple[int, ...]  # nine cells


class Reference:
    """The rules as a child would put them; no code in common with the kernels."""

    @staticmethod
    def status(board: Board) -> int:
        for stone in (1, 2):
            if any(all(board[cell] == stone for cell in line) for line in LINES):
                return stone
        return 0 if 0 in board else 3

    @staticmethod
    def player(board: Board) -> int:
        return 0 if board.count(1) == board.count(2) else 1

    @classmethod
    def state(cls, board: Board) -> bytes:
        return bytes([*board, cls.player(board), cls.status(board)])

    @classmethod
    def obs(cls, board: Board) -> list[float]:
        mine = cls.player(board) + 1
        planes = [
            [cell == mine for cell in board],
            [cell == 3 - mine for cell in board],
            [cell == 0 for cell in board],
        ]
        return [float(value) for plane in [*planes, [mine == 1, mine == 2]] for value in plane]

    @classmethod
    def mask(cls, board: Board) -> int:
        return 0 if cls.status(board) else sum(1 << cell for cell in range(9) if board[cell] == 0)

    @classmethod
    def play(cls, board: Board, cell: int) -> Board:
        return (*board[:cell], cls.player(board) + 1, *board[cell + 1 :])


def reachable() -> list[Board]:
    """Every board that play leads to, by playing."""
    found: set[Board] = set()
    fresh: set[Board] = {(0,) * 9}
    while fresh:
        found |= fresh
        fresh = {
            Reference.play(board, cell)
            for board in fresh
            if not Reference.status(board)
            for cell in range(9)
            if board[cell] == 0
        } - found
    return sorted(found)


BOARDS = reachable()
STATES = np.frombuffer(b"".join(map(Reference.state, BOARDS)), np.uint8).reshape(-1, 11)
GAME = registry.get("tictactoe")


def test_there_are_as_many_positions_as_the_literature_counts() -> None:
    assert len(BOARDS) == REACHABLE
    assert len(GAME.observe(STATES)) == REACHABLE


def test_kernels_accept_exactly_the_reachable_states() -> None:
    # All boards of cells 0..2 with each player and status, one at a time, as a batch is refused whole.
    reached = set(map(bytes, STATES))
    boards = np.array(list(itertools.product(range(3), repeat=9)), np.uint8)
    for player, status in itertools.product(range(2), range(4)):
        rows = np.hstack([boards, np.full((len(boards), 2), (player, status), np.uint8)])
        accepted = {bytes(row) for row in rows if _accepts(row)}
        assert accepted == {row for row in reached if row[9:] == bytes([player, status])}


def _accepts(row: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> bool:
    try:
        GAME.observe(row.reshape(1, -1))
    except BadState:
        return False
    return True


def test_observation_mask_and_player_equal_the_reference_everywhere() -> None:
    positions = GAME.observe(STATES)
    assert positions.obs.tolist() == [Reference.obs(board) for board in BOARDS]
    assert positions.legal_masks[:, 0].tolist() == [Reference.mask(board) for board in BOARDS]
    assert positions.players.tolist() == [Reference.player(board) for board in BOARDS]
    assert positions.states.tobytes() == STATES.tobytes()


def test_every_step_equals_the_reference_and_the_mask_says_which_there_are() -> None:
    moves = [(board, cell) for board in BOARDS for cell in range(9) if Reference.mask(board) >> cell & 1]
    states = np.frombuffer(b"".join(Reference.state(board) for board, _ in moves), np.uint8).reshape(-1, 11)
    outcome = GAME.step(states, encode_discrete(np.array([cell for _, cell in moves])))
    after = [Reference.play(board, cell) for board, cell in moves]
    statuses = [Reference.status(board) for board in after]
    to = outcome.positions
    assert list(map(bytes, to.states)) == [Reference.state(board) for board in after]
    assert to.obs.tolist() == [Reference.obs(board) for board in after]
    assert to.legal_masks[:, 0].tolist() == [Reference.mask(board) for board in after]
    assert to.players.tolist() == [Reference.player(board) for board in after]
    assert outcome.rewards.tolist() == [float(status in (1, 2)) for status in statuses]
    assert outcome.terminated.tolist() == [int(status > 0) for status in statuses]
    assert not outcome.truncated.any()
    assert outcome.info.tolist() == [
        status | 9 - board.count(0) << 8 for status, board in zip(statuses, after, strict=True)
    ]


def test_every_action_outside_the_mask_is_refused() -> None:
    for board in BOARDS:
        state = np.frombuffer(Reference.state(board), np.uint8).reshape(1, -1)
        for cell in (
            *(cell for cell in range(9) if not Reference.mask(board) >> cell & 1),
            9,
            256,
            2**32 - 1,
        ):
            error = BadState if Reference.status(board) else IllegalAction
            with pytest.raises(error):
                GAME.step(state, encode_discrete(np.array([cell])))


def test_all_games_are_played_and_end_as_the_literature_counts() -> None:
    position = GAME.reset(np.zeros(1, np.uint64))
    ends = dict.fromkeys(ENDS, 0)
    for _ in range(GAME.spec.max_horizon):
        cells = np.arange(9, dtype=np.uint64)
        rows, actions = np.nonzero(position.legal_masks >> cells & np.uint64(1))
        outcome = GAME.step(np.ascontiguousarray(position.states[rows]), encode_discrete(actions))
        statuses = typed(outcome.positions.states)["status"]
        for status in ends:
            ends[status] += int((statuses == status).sum())
        position = GAME.observe(np.ascontiguousarray(outcome.positions.states[outcome.terminated == 0]))
    assert ends == ENDS
    assert sum(ends.values()) == GAMES
    assert len(position) == 0


def test_reset_starts_with_the_empty_board_whatever_the_seeds() -> None:
    start = GAME.reset(np.array([0, 1, 2**64 - 1], np.uint64))
    assert start.states.tobytes() == bytes(33)
    assert start.obs.tolist() == [Reference.obs((0,) * 9)] * 3
    assert start.legal_masks.tolist() == [[0x1FF]] * 3
    assert start.players.tolist() == [0, 0, 0]


def test_a_hint_is_refused() -> None:
    with pytest.raises(BadHint, match="hint = 0x6162: tictactoe has one start only"):
        GAME.reset(np.zeros(1, np.uint64), b"ab")


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ("03 00 00 00 00 00 00 00 00 01 00", "above 2"),
        ("00 00 00 00 00 00 00 00 ff 00 00", "above 2"),
        ("02 00 00 00 00 00 00 00 00 01 00", "no sequence of moves"),
        ("01 01 00 00 00 00 00 00 00 00 00", "no sequence of moves"),
        ("01 01 01 02 02 02 00 00 00 00 01", "no sequence of moves"),  # both have a line
        ("01 01 01 02 02 00 02 00 00 00 01", "no sequence of moves"),  # player 1 moved after the end
        ("01 00 00 00 00 00 00 00 00 00 00", "player to move"),
        ("01 00 00 00 00 00 00 00 00 02 00", "player to move"),
        ("01 01 01 02 02 00 00 00 00 01 00", "status"),
        ("01 00 00 00 00 00 00 00 00 01 03", "status"),
        ("01 01 01 02 02 00 00 00 00 01 01", "episode has ended"),
    ],
)
def test_an_impossible_or_ended_state_is_refused_with_its_row_and_bytes(state: str, reason: str) -> None:
    rows = np.zeros((3, 11), np.uint8)
    rows[1] = np.frombuffer(bytes.fromhex(state), np.uint8)
    before = rows.copy()
    with pytest.raises(BadState, match=reason) as refused:
        GAME.step(rows, encode_discrete(np.array([0, 5, 0])))
    assert refused.value.row == 1
    assert refused.value.value == bytes.fromhex(state)
    assert str(refused.value).startswith(f"states[1] = 0x{bytes.fromhex(state).hex()}: ")
    assert "\n" not in str(refused.value)
    assert (rows == before).all()


def test_an_illegal_action_is_refused_with_its_row_and_value() -> None:
    start = GAME.reset(np.zeros(2, np.uint64))
    after = GAME.step(start.states, encode_discrete(np.array([4, 4])))
    with pytest.raises(IllegalAction, match=r"actions\[1\] = 0x04000000: cell 4 \(b2\) is taken") as refused:
        GAME.step(after.positions.states, encode_discrete(np.array([0, 4])))
    assert refused.value.row == 1
    with pytest.raises(IllegalAction, match=r"actions\[0\] = 0x09000000: cell 9 is not on the board"):
        GAME.step(start.states, encode_discrete(np.array([9, 0])))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.integers(0, 8), min_size=1, max_size=9), st.integers(0, 10), st.integers(0, 255))
def test_a_changed_byte_is_refused_or_is_another_reachable_state(
    moves: list[int], at: int, byte: int
) -> None:
    board: Board = (0,) * 9
    for cell in moves:
        if board[cell] == 0 and not Reference.status(board):
            board = Reference.play(board, cell)
    changed = bytearray(Reference.state(board))
    changed[at] = byte
    assert _accepts(np.frombuffer(bytes(changed), np.uint8)) == (bytes(changed) in set(map(bytes, STATES)))


@settings(max_examples=200, deadline=None)
@given(st.binary(min_size=11, max_size=11), st.integers(0, 2**32 - 1))
def test_any_bytes_are_stepped_as_the_reference_does_or_refused(state: bytes, action: int) -> None:
    row = np.frombuffer(state, np.uint8).reshape(1, -1)
    board = tuple(state[:9])
    fine = board in set(BOARDS) and state == Reference.state(board)
    if fine and action < 9 and Reference.mask(board) >> action & 1:
        assert bytes(GAME.step(row, encode_discrete(np.array([action]))).positions.states) == Reference.state(
            Reference.play(board, action)
        )
    else:
        with pytest.raises(BadState if not fine or Reference.status(board) else IllegalAction):
            GAME.step(row, encode_discrete(np.array([action])))


def test_typed_state_and_bytes_are_the_same_memory() -> None:
    states = STATES.copy()
    records = typed(states)
    assert STATE.itemsize == 11
    records["cells"][5, 3] = 2
    assert states[5, 3] == 2


def test_actions_go_through_their_encoding_and_their_text() -> None:
    cells = np.arange(9)
    assert decode_discrete(encode_discrete(cells)).tolist() == cells.tolist()
    names = [GAME.action_text(row.tobytes()) for row in encode_discrete(cells)]
    assert names == ["a1", "b1", "c1", "a2", "b2", "c2", "a3", "b3", "c3"]
    for cell, name in enumerate(names):
        assert (
            GAME.parse_action(f" {name.upper()}\n")
            == GAME.parse_action(str(cell))
            == cell.to_bytes(4, "little")
        )


@pytest.mark.parametrize("text", ["", "d1", "a4", "9", "-1", "b22", "ü", "²"])
def test_a_move_that_is_not_one_is_refused_in_words(text: str) -> None:
    with pytest.raises(BadActionText, match="type a column and a row such as b2, or a number 0-8"):
        GAME.parse_action(text)


def test_render_shows_the_board_and_refuses_impossible_ones() -> None:
    won = bytes.fromhex("0101010202000000000101")
    assert GAME.render_text(won) == "  a b c\n1 X X X\n2 O O .\n3 . . .\nX has won"
    with pytest.raises(BadState):
        GAME.render_text(b"\3" * 11)
