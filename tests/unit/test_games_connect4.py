"""Connect four's kernels equal a plain-Python reference on random play, and count the positions that there are."""

from __future__ import annotations

import random

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from games import registry
from games.connect4 import kernels
from games.connect4.state import STATE, typed
from games.contract import decode_discrete, encode_discrete
from games.errors import BadActionText, BadHint, BadState, IllegalAction

# Positions after 0, 1, .. moves, ended ones included (OEIS A212693)
POSITIONS = [1, 7, 49, 238, 1_120, 4_263, 16_422, 54_859, 184_275]
DRAWN = "133663402231104003412416426561032045555526"  # a game, as columns
DIRECTIONS = [(0, 1), (1, 0), (1, 1), (1, -1)]
LINES = [
    [(y + down * k, x + right * k) for k in range(4)]
    for y in range(6)
    for x in range(7)
    for down, right in DIRECTIONS
    if y + 3 * down < 6 and 0 <= x + 3 * right < 7
]
GAME = registry.get("connect4")

Board = list[list[int]]  # 6 rows from the top of 7 cells: 0 empty, 1 player 0's stone, 2 player 1's


class Reference:
    """The rules on a list of lists; no code in common with the kernels."""

    @staticmethod
    def empty() -> Board:
        return [[0] * 7 for _ in range(6)]

    @staticmethod
    def stones(board: Board, stone: int) -> int:
        return sum(row.count(stone) for row in board)

    @classmethod
    def player(cls, board: Board) -> int:
        return 0 if cls.stones(board, 1) == cls.stones(board, 2) else 1

    @staticmethod
    def has_four(board: Board, stone: int) -> bool:
        return any(all(board[y][x] == stone for y, x in line) for line in LINES)

    @classmethod
    def status(cls, board: Board) -> int:
        for stone in (1, 2):
            if cls.has_four(board, stone):
                return stone
        return 3 if cls.stones(board, 0) == 0 else 0

    @classmethod
    def state(cls, board: Board) -> bytes:
        planes = [
            sum(1 << column for column in range(7) if row[column] == stone)
            for stone in (1, 2)
            for row in board
        ]
        return bytes([*planes, cls.player(board), cls.status(board)])

    @classmethod
    def obs(cls, board: Board) -> list[float]:
        mine = cls.player(board) + 1
        return [float(cell == stone) for stone in (mine, 3 - mine) for row in board for cell in row]

    @classmethod
    def mask(cls, board: Board) -> int:
        return 0 if cls.status(board) else sum(1 << x for x in range(7) if board[0][x] == 0)

    @classmethod
    def play(cls, board: Board, column: int) -> Board:
        after = [list(row) for row in board]
        row = max(y for y in range(6) if board[y][column] == 0)
        after[row][column] = cls.player(board) + 1
        return after

    @classmethod
    def board(cls, state: bytes) -> Board | None:
        """The board of state bytes, or None if they are not those of one that a first and a last move can explain."""
        board = cls.empty()
        for place, packed in enumerate(state[:12]):
            for column in range(8):
                if packed >> column & 1:
                    if column == 7 or board[place % 6][column]:
                        return None
                    board[place % 6][column] = 1 + place // 6
        return board if cls._possible(board) and state == cls.state(board) else None

    @classmethod
    def _possible(cls, board: Board) -> bool:
        if any(board[y][x] and not board[y + 1][x] for y in range(5) for x in range(7)):
            return False
        if cls.stones(board, 1) - cls.stones(board, 2) not in (0, 1):
            return False
        if not cls.stones(board, 1):
            return True
        last = 2 - cls.player(board)  # the stone of who moved last
        return (
            1 in board[5]
            and not cls.has_four(board, 3 - last)
            and any(not cls.has_four(before, last) for before in cls._before(board, last))
        )

    @staticmethod
    def _before(board: Board, last: int) -> list[Board]:
        boards = []
        for column in range(7):
            for row in range(6):
                if board[row][column]:
                    if board[row][column] == last:
                        before = [list(cells) for cells in board]
                        before[row][column] = 0
                        boards.append(before)
                    break
        return boards


def played(moves: list[int]) -> Board:
    """The board after those columns, as far as they are legal."""
    board = Reference.empty()
    for column in moves:
        if Reference.mask(board) >> column & 1:
            board = Reference.play(board, column)
    return board


def drawn_board(text: str) -> Board:
    """A board as written here: rows from the top, the upper empty ones left out."""
    rows = [[".XO".index(cell) for cell in line] for line in text.split()]
    return [[0] * 7 for _ in range(6 - len(rows))] + rows


def as_rows(states: list[bytes]) -> npt.NDArray[np.uint8]:
    return np.frombuffer(b"".join(states), np.uint8).reshape(-1, 14)


def accepts(state: bytes) -> bool:
    try:
        GAME.observe(as_rows([state]))
    except BadState:
        for column in range(7):
            with pytest.raises(BadState):
                GAME.step(as_rows([state]), encode_discrete(np.array([column])))
        return False
    return True


def test_random_games_equal_the_reference_from_start_to_end() -> None:
    dice = random.Random(4)
    boards = [Reference.empty() for _ in range(60)]
    masks = [Reference.mask(board) for board in boards]
    states = GAME.reset(np.arange(60, dtype=np.uint64)).states
    ends = {1: 0, 2: 0}
    while boards:
        columns = [dice.choice([x for x in range(7) if mask >> x & 1]) for mask in masks]
        movers = [Reference.player(board) for board in boards]
        boards = [Reference.play(board, column) for board, column in zip(boards, columns, strict=True)]
        masks = [Reference.mask(board) for board in boards]
        statuses = [Reference.status(board) for board in boards]
        outcome = GAME.step(states, encode_discrete(np.array(columns)))
        to = outcome.positions
        assert list(map(bytes, to.states)) == [Reference.state(board) for board in boards]
        assert to.obs.tolist() == [Reference.obs(board) for board in boards]
        assert to.legal_masks[:, 0].tolist() == masks
        assert to.players.tolist() == [Reference.player(board) for board in boards]
        assert outcome.rewards.tolist() == [
            float(status == mover + 1) for status, mover in zip(statuses, movers, strict=True)
        ]
        assert outcome.terminated.tolist() == [int(status > 0) for status in statuses]
        assert not outcome.truncated.any()
        assert outcome.info.tolist() == [
            status | 42 - Reference.stones(board, 0) << 8
            for status, board in zip(statuses, boards, strict=True)
        ]
        for status in ends:
            ends[status] += statuses.count(status)
        boards = [board for board, status in zip(boards, statuses, strict=True) if not status]
        masks = [mask for mask in masks if mask]
        states = np.ascontiguousarray(to.states[outcome.terminated == 0])
    assert min(ends.values()) > 5


def test_a_game_without_a_line_is_drawn_when_the_board_is_full() -> None:
    states = GAME.reset(np.zeros(1, np.uint64)).states
    for column in map(int, DRAWN):
        outcome = GAME.step(states, encode_discrete(np.array([column])))
        assert outcome.rewards.tolist() == [0.0]
        states = outcome.positions.states
    assert states.tobytes() == Reference.state(played([int(column) for column in DRAWN]))
    assert typed(states)["status"].tolist() == [3]
    assert outcome.terminated.tolist() == [1]
    assert outcome.info.tolist() == [3 | 42 << 8]
    assert outcome.positions.legal_masks.tolist() == [[0]]
    assert GAME.observe(states).states.tobytes() == states.tobytes()


def test_there_are_as_many_positions_as_the_literature_counts() -> None:
    position = GAME.reset(np.zeros(1, np.uint64))
    counts = [1]
    for _ in POSITIONS[1:]:
        rows, actions = np.nonzero(position.legal_masks >> np.arange(7, dtype=np.uint64) & np.uint64(1))
        outcome = GAME.step(np.ascontiguousarray(position.states[rows]), encode_discrete(actions))
        unique = np.unique(outcome.positions.states.view("V14")[:, 0])
        counts.append(len(unique))
        position = GAME.observe(np.ascontiguousarray(unique).view(np.uint8).reshape(-1, 14))
    assert counts == POSITIONS


def test_there_are_69_lines_and_four_cells_of_each_are_needed() -> None:
    assert len(LINES) == 69
    for line in LINES:
        bits = [1 << 8 * y + x for y, x in line]
        assert kernels.lines(sum(bits))
        assert not any(kernels.lines(sum(bits) - bit) for bit in bits)


@given(st.lists(st.lists(st.integers(0, 1), min_size=7, max_size=7), min_size=6, max_size=6))
def test_lines_are_seen_where_they_are_and_do_not_go_round_an_edge(board: Board) -> None:
    stones = sum(1 << 8 * y + x for y in range(6) for x in range(7) if board[y][x])
    assert bool(kernels.lines(stones)) == Reference.has_four(board, 1)


@pytest.mark.parametrize(
    ("board", "possible"),
    [
        ("OOO.... XXXX...", True),
        ("OOO.OOO XXXXXXX", True),  # seven in a row: the middle came last
        (".OOO... XXXXXO.", False),  # five in a row, but either end leaves four
        ("OOOX... XXXX.O.", False),  # the line is covered
        ("OOOO... XXXX...", False),  # both have a line
        ("OOO.... XXXX..O", False),  # player 1 moved after the end
        ("...X... ..XX... .XOX... XOOXOOO", True),  # two lines at one stroke
        ("X.....X X.....X XOO.O.X XOO.OOX", False),  # two lines, each of its own last stone
        ("X...... O......", False),  # player 1 moved first
        ("OX..... XO.....", True),
        ("X...... O...... X...... O......", False),
        ("X...... O...... O...... X......", False),  # player 1's last stone is covered
    ],
)
def test_a_board_is_taken_if_a_first_and_a_last_stone_explain_it(board: str, possible: bool) -> None:
    state = Reference.state(drawn_board(board))
    assert accepts(state) == (Reference.board(state) is not None) == possible


def test_columns_that_cannot_be_filled_by_turns_are_not_seen() -> None:
    # The documented gap: O, O, X, X from the top, where the only order of moves is X, X, O, O.
    state = Reference.state(drawn_board("O...... O...... X...... X......"))
    outcome = GAME.step(as_rows([state]), encode_discrete(np.array([0])))
    assert accepts(outcome.positions.states.tobytes())


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ("00 00 00 00 00 80 00 00 00 00 00 00 01 00", "bit 7"),
        ("00 00 00 00 00 01 00 00 00 00 00 01 00 00", "stone of both"),
        ("00 00 00 00 01 00 00 00 00 00 00 00 01 00", "empty cell beneath"),
        ("00 00 00 00 04 01 00 00 00 00 00 02 01 00", "empty cell beneath"),
        ("00 00 00 00 00 03 00 00 00 00 00 00 02 00", "nor one more"),
        ("00 00 00 00 00 00 00 00 00 00 00 01 00 00", "nor one more"),
        ("00 00 00 00 01 00 00 00 00 00 00 01 00 00", "no sequence of moves"),  # player 1 was first
        ("00 00 00 00 00 01 00 00 00 00 00 00 00 00", "player to move"),
        ("00 00 00 00 00 00 00 00 00 00 00 00 02 00", "player to move"),
        ("00 00 00 00 00 0f 00 00 00 00 07 00 01 00", "status"),
        ("00 00 00 00 00 0f 00 00 00 00 07 00 01 02", "status"),
        ("00 00 00 00 07 10 00 00 00 00 00 0f 00 00", "status"),
        ("00 00 00 00 00 00 00 00 00 00 00 00 00 03", "status"),
        ("00 00 00 00 00 0f 00 00 00 00 07 00 01 01", "episode has ended"),
    ],
)
def test_an_impossible_or_ended_state_is_refused_with_its_row_and_bytes(state: str, reason: str) -> None:
    rows = np.zeros((3, 14), np.uint8)
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
    full = as_rows([Reference.state(played([3] * 6))] * 2)
    with pytest.raises(IllegalAction, match=r"actions\[1\] = 0x03000000: column 3 \(d\) is full") as refused:
        GAME.step(full, encode_discrete(np.array([0, 3])))
    assert refused.value.row == 1
    for column in (7, 8, 256, 65_539, 2**31, 2**32 - 1):
        with pytest.raises(IllegalAction, match=rf"column {column} is not on the board; give 0-6"):
            GAME.step(full, encode_discrete(np.array([0, column])))


@settings(max_examples=400, deadline=None)
@given(st.lists(st.integers(0, 6), max_size=42), st.integers(0, 13), st.integers(0, 255))
def test_a_changed_byte_is_refused_unless_the_reference_can_explain_it(
    moves: list[int], at: int, byte: int
) -> None:
    changed = bytearray(Reference.state(played(moves)))
    assert accepts(bytes(changed))
    changed[at] = byte
    assert accepts(bytes(changed)) == (Reference.board(bytes(changed)) is not None)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from((1, 2)), max_size=6), min_size=7, max_size=7),
    st.integers(0, 2**32 - 1) | st.integers(0, 6),
)
def test_any_piles_are_stepped_as_the_reference_does_or_refused(piles: list[list[int]], action: int) -> None:
    board = [[pile[5 - y] if len(pile) > 5 - y else 0 for pile in piles] for y in range(6)]
    state = Reference.state(board)
    fine = Reference.board(state) is not None
    assert accepts(state) == fine
    if fine and action < 7 and Reference.mask(board) >> action & 1:
        outcome = GAME.step(as_rows([state]), encode_discrete(np.array([action])))
        assert bytes(outcome.positions.states) == Reference.state(Reference.play(board, action))
    else:
        with pytest.raises(BadState if not fine or Reference.status(board) else IllegalAction):
            GAME.step(as_rows([state]), encode_discrete(np.array([action])))


@settings(max_examples=300, deadline=None)
@given(st.binary(min_size=14, max_size=14), st.integers(0, 2**32 - 1))
@example(bytes(14), 6)
def test_any_bytes_are_taken_or_refused_as_the_reference_says(state: bytes, action: int) -> None:
    board = Reference.board(state)
    assert accepts(state) == (board is not None)
    if board is None or action > 6:
        with pytest.raises(BadState if board is None else IllegalAction):
            GAME.step(as_rows([state]), encode_discrete(np.array([action])))


def test_reset_starts_with_the_empty_board_whatever_the_seeds() -> None:
    start = GAME.reset(np.array([0, 1, 2**64 - 1], np.uint64))
    assert start.states.tobytes() == bytes(42)
    assert start.obs.tolist() == [Reference.obs(Reference.empty())] * 3
    assert start.legal_masks.tolist() == [[0x7F]] * 3
    assert start.players.tolist() == [0, 0, 0]


def test_a_hint_is_refused() -> None:
    with pytest.raises(BadHint, match="hint = 0x6162: connect4 has one start only"):
        GAME.reset(np.zeros(1, np.uint64), b"ab")


def test_typed_state_and_bytes_are_the_same_memory() -> None:
    states = as_rows([Reference.state(played([3, 3, 4]))]).copy()
    records = typed(states)
    assert STATE.itemsize == 14
    assert records["stones"][0, 0].tolist() == [0, 0, 0, 0, 0, 0b11000]
    assert records["stones"][0, 1].tolist() == [0, 0, 0, 0, 0b1000, 0]
    records["player"][0] = 7
    assert states[0, 12] == 7


def test_actions_go_through_their_encoding_and_their_text() -> None:
    columns = np.arange(7)
    assert decode_discrete(encode_discrete(columns)).tolist() == columns.tolist()
    names = [GAME.action_text(row.tobytes()) for row in encode_discrete(columns)]
    assert names == list("abcdefg")
    for column, name in enumerate(names):
        for text in (name, f" {name.upper()}\n", str(column)):
            assert GAME.parse_action(text) == column.to_bytes(4, "little")
    with pytest.raises(IllegalAction, match="column 7 is not on the board"):
        GAME.action_text((7).to_bytes(4, "little"))


@pytest.mark.parametrize("text", ["", "h", "7", "-1", "d1", "ü", "²"])
def test_a_move_that_is_not_one_is_refused_in_words(text: str) -> None:
    with pytest.raises(BadActionText, match="type a letter a-g, or a number 0-6 from the left"):
        GAME.parse_action(text)


def test_render_shows_the_board_and_refuses_impossible_ones() -> None:
    board = """\
6 . . . . . . .
5 . . . . . . .
4 . . . . . . .
3 . . . . . . .
2 . O O O . . .
1 . X X X X . .
  a b c d e f g
"""
    assert GAME.render_text(Reference.state(played([1, 1, 2, 2, 3, 3, 4]))) == board + "X has won"
    assert GAME.render_text(bytes(14)).endswith("a b c d e f g\nX to move")
    assert GAME.render_text(Reference.state(played(list(map(int, DRAWN))))).endswith("\ndrawn")
    with pytest.raises(BadState):
        GAME.render_text(b"\xff" * 14)
