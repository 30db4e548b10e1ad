"""Mastermind's kernels equal a plain-Python reference, answer every guess to every secret, and hide the secret."""

from __future__ import annotations

import itertools
import random
from collections import Counter

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from games import registry
from games.contract import Positions
from games.encodings import encode_actions
from games.errors import BadActionText, BadHint, BadState, IllegalAction
from games.mastermind.state import STATE, typed

GAME = registry.get("mastermind")
CODES = np.array(list(itertools.product(range(6), repeat=4)))  # all 1,296
SEEDS = [0, 1, 2, 20, 2**32, 2**63 + 12_345, 2**64 - 1]

Code = tuple[int, ...]  # four colours


class Reference:
    """The rules with lists and counters; no code in common with the kernels."""

    @staticmethod
    def answer(secret: Code, guess: Code) -> tuple[int, int]:
        black = sum(s == g for s, g in zip(secret, guess, strict=True))
        return black, (Counter(secret) & Counter(guess)).total() - black

    @classmethod
    def status(cls, secret: Code, guesses: list[Code]) -> int:
        return 1 if secret in guesses else 2 if len(guesses) == 10 else 0

    @classmethod
    def state(cls, secret: Code, guesses: list[Code]) -> bytes:
        turns = b"".join(bytes([*guess, *cls.answer(secret, guess)]) for guess in guesses)
        return bytes([*secret, len(guesses), cls.status(secret, guesses)]) + turns.ljust(60, b"\0")

    @classmethod
    def obs(cls, secret: Code, guesses: list[Code]) -> list[float]:
        values: list[float] = []
        for guess in guesses:
            values += [float(peg == colour) for peg in guess for colour in range(6)]
            values += [keys / 4 for keys in cls.answer(secret, guess)]
        return values + [0.0] * (260 - len(values))

    @classmethod
    def possible(cls, state: bytes) -> bool:
        secret = tuple(state[:4])
        guesses = [tuple(state[6 + 6 * turn : 10 + 6 * turn]) for turn in range(min(state[4], 10))]
        colours = [*secret, *itertools.chain(*guesses)]
        return max(colours) < 6 and secret not in guesses[:-1] and state == cls.state(secret, guesses)


def chacha_words(seed: int) -> list[int]:
    """Block 0 of a seed's key stream (RFC 8439 section 2.3), one word after the other."""

    def quarter(a: int, b: int, c: int, d: int) -> None:
        for target, other, mixed, left in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            x[target] = (x[target] + x[other]) % 2**32
            word = x[mixed] ^ x[target]
            x[mixed] = (word << left | word >> 32 - left) % 2**32

    start = [int.from_bytes(b"expand 32-byte k"[i : i + 4], "little") for i in range(0, 16, 4)]
    start += [seed % 2**32, seed >> 32, *[0] * 10]
    x = list(start)
    for _ in range(10):
        for i in range(4):
            quarter(i, 4 + i, 8 + i, 12 + i)
        for i in range(4):
            quarter(i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4)
    return [(a + b) % 2**32 for a, b in zip(x, start, strict=True)]


def secret_of(seed: int) -> Code:
    """The first four words of block 0 that are not refused, each times 6 over 2**32."""
    products = [word * 6 for word in chacha_words(seed)]
    return tuple(product >> 32 for product in products if product % 2**32 >= 2**32 % 6)[:4]


def start(*secrets: Code) -> npt.NDArray[np.uint8]:
    return as_rows([Reference.state(secret, []) for secret in secrets])


def as_rows(states: list[bytes]) -> npt.NDArray[np.uint8]:
    return np.frombuffer(b"".join(states), np.uint8).reshape(-1, 66)


def encoded(guesses: npt.ArrayLike) -> npt.NDArray[np.uint8]:
    return encode_actions("action:u32x4:v1", np.array(guesses))


def accepts(state: bytes) -> bool:
    try:
        GAME.observe(as_rows([state]))
    except BadState:
        with pytest.raises(BadState):
            GAME.step(as_rows([state]), encoded([[0, 0, 0, 0]]))
        return False
    return True


def codes() -> st.SearchStrategy[Code]:
    return st.tuples(*[st.integers(0, 5)] * 4)


def test_secrets_are_drawn_from_the_seed_as_documented() -> None:
    position = GAME.reset(np.array(SEEDS, np.uint64))
    assert position.states.tobytes() == start(*map(secret_of, SEEDS)).tobytes()
    assert not position.obs.any()
    assert position.legal_masks.shape == (len(SEEDS), 0)
    assert not position.players.any()


def test_every_secret_is_as_likely_as_the_others() -> None:
    rows = 1296 * 100
    secrets = typed(GAME.reset(np.arange(rows, dtype=np.uint64)).states)["secret"]
    counts = np.bincount(secrets @ np.array([216, 36, 6, 1]), minlength=1296)
    # Chi-squared with 1,295 degrees of freedom: 1,295 and a standard deviation of 51; seeds are fixed.
    assert abs(((counts - 100) ** 2 / 100).sum() - 1295) < 4 * 51


def test_random_games_equal_the_reference_from_start_to_end() -> None:
    dice = random.Random(6)
    seeds = list(range(200))
    games: list[tuple[Code, list[Code]]] = [(secret_of(seed), []) for seed in seeds]
    states = GAME.reset(np.array(seeds, np.uint64)).states
    ends = Counter[int]()
    while games:
        # Few colours, that some guesses crack the secret.
        guesses = [tuple(dice.choice(secret) for _ in range(4)) for secret, _ in games]
        games = [(secret, [*past, guess]) for (secret, past), guess in zip(games, guesses, strict=True)]
        statuses = [Reference.status(*game) for game in games]
        answers = [Reference.answer(secret, guesses[-1]) for secret, guesses in games]
        outcome = GAME.step(states, encoded(guesses))
        to = outcome.positions
        assert list(map(bytes, to.states)) == [Reference.state(*game) for game in games]
        assert to.obs.tolist() == [Reference.obs(*game) for game in games]
        assert not to.players.any()
        assert outcome.rewards.tolist() == [-2.0 if status == 2 else -1.0 for status in statuses]
        assert outcome.terminated.tolist() == [int(status > 0) for status in statuses]
        assert not outcome.truncated.any()
        assert outcome.info.tolist() == [
            status | len(past) << 8 | black << 16 | white << 24
            for status, (_, past), (black, white) in zip(statuses, games, answers, strict=True)
        ]
        ends.update(statuses)
        games = [game for game, status in zip(games, statuses, strict=True) if not status]
        states = np.ascontiguousarray(to.states[outcome.terminated == 0])
    assert min(ends[1], ends[2]) > 10


def test_every_guess_at_every_secret_is_answered_as_counting_says() -> None:
    colours = (CODES[:, :, np.newaxis] == np.arange(6)).sum(axis=1)
    seeds, guesses = np.zeros(1296, np.uint64), encoded(CODES)
    kinds: set[tuple[int, int]] = set()
    for secret, counts in zip(CODES, colours, strict=True):
        answers = typed(
            GAME.step(GAME.reset(seeds, bytes(secret.tolist())).states, guesses).positions.states
        )["turns"][:, 0]
        black = (secret == CODES).sum(axis=1)
        assert (answers["black"] == black).all()
        assert (answers["white"] == np.minimum(colours, counts).sum(axis=1) - black).all()
        kinds.update(zip(answers["black"].tolist(), answers["white"].tolist(), strict=True))
    assert len(kinds) == 14  # all but three black keys and a white one


def test_knuths_strategy_cracks_every_secret_with_at_most_five_guesses() -> None:
    # Knuth, The Computer as Master Mind (1977): guess so that the largest class of answers is smallest.
    colours = (CODES[:, :, np.newaxis] == np.arange(6)).sum(axis=1)
    black = (CODES[:, np.newaxis] == CODES).sum(axis=2)
    answers = np.minimum(colours[:, np.newaxis], colours).sum(axis=2) * 5 + black  # u[secret, guess]

    def next_guess(candidates: npt.NDArray[np.intp]) -> int:
        if len(candidates) == 1296:
            return 7  # (0, 0, 1, 1)
        spread = np.zeros((1296, 25), np.int64)
        for secret in candidates:
            spread[np.arange(1296), answers[secret]] += 1
        worst = 2 * spread.max(axis=1)
        worst[candidates] -= 1  # of equals, one that can be right
        return int(worst.argmin())

    position, returns = GAME.observe(start(*map(tuple, CODES.tolist()))), np.zeros(1296)
    classes = [np.arange(1296)]  # secrets that were answered alike so far
    for _ in range(5):
        guesses = np.zeros(1296, np.intp)
        for candidates in classes:
            guesses[candidates] = next_guess(candidates)
        alive = np.concatenate(classes)
        outcome = GAME.step(np.ascontiguousarray(position.states[alive]), encoded(CODES[guesses[alive]]))
        position.states[alive] = outcome.positions.states
        returns[alive] += outcome.rewards
        classes = [
            candidates[answers[candidates, guesses[candidates]] == answer]
            for candidates in classes
            for answer in set(answers[candidates, guesses[candidates]].tolist())
            if answer != 24
        ]
    assert classes == []
    assert (typed(position.states)["status"] == 1).all()
    assert returns.min() == -5
    assert 4.4 < -returns.mean() < 4.5  # Knuth: 4.48


def test_the_tenth_guess_ends_the_episode_right_or_wrong() -> None:
    states = start((0, 1, 2, 3), (0, 1, 2, 3))
    for _ in range(9):
        outcome = GAME.step(states, encoded([[5, 5, 5, 5]] * 2))
        assert not outcome.terminated.any()
        states = outcome.positions.states
    outcome = GAME.step(states, encoded([[0, 1, 2, 3], [0, 1, 3, 2]]))
    assert outcome.rewards.tolist() == [-1.0, -2.0]
    assert outcome.terminated.tolist() == [1, 1]
    assert typed(outcome.positions.states)["status"].tolist() == [1, 2]
    assert outcome.info.tolist() == [1 | 10 << 8 | 4 << 16, 2 | 10 << 8 | 2 << 16 | 2 << 24]
    for row in outcome.positions.states:
        with pytest.raises(BadState, match="episode has ended"):
            GAME.step(row.reshape(1, -1), encoded([[0, 0, 0, 0]]))


def test_secrets_that_are_answered_alike_look_alike() -> None:
    states = start((0, 0, 1, 1), (1, 1, 0, 0), (0, 1, 0, 1))
    position: Positions = GAME.step(states, encoded([[2, 2, 3, 3]] * 3)).positions
    assert len({row.tobytes() for row in position.obs}) == 1
    position = GAME.step(position.states, encoded([[2, 0, 2, 1]] * 3)).positions
    assert len({row.tobytes() for row in position.obs}) == 3  # two black, two white, one of each


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({3: 6}, r"colour of the secret \(bytes 0-3\) is above 5"),
        ({0: 255}, "colour of the secret"),
        ({4: 11}, r"guesses made \(byte 4\) are more than 10"),
        ({4: 255}, "guesses made"),
        ({4: 1}, "not 0"),
        ({4: 3}, "keys of a turn"),  # a third turn of zeros is 0, 0, 0, 0 with one black key
        ({6: 6}, "colour of a guess is above 5"),
        ({10: 1}, "keys of a turn"),
        ({11: 0}, "keys of a turn"),
        ({5: 1}, r"status \(byte 5\)"),
        ({5: 2}, "status"),
        ({5: 3}, "status"),
        ({6: 0, 7: 1, 8: 2, 9: 3, 10: 4, 11: 0}, "status .* one follows that cracked the secret"),
        ({65: 1}, "not played"),
        ({18: 1}, "not played"),
    ],
)
def test_an_impossible_state_is_refused_with_its_row_and_bytes(changes: dict[int, int], reason: str) -> None:
    good = Reference.state((0, 1, 2, 3), [(1, 0, 4, 4), (3, 3, 3, 3)])
    bad = bytearray(good)
    for offset, byte in changes.items():
        bad[offset] = byte
    rows = as_rows([good, bytes(bad), good])
    for call in (lambda: GAME.step(rows, encoded([[0, 0, 0, 0]] * 3)), lambda: GAME.observe(rows)):
        with pytest.raises(BadState, match=reason) as refused:
            call()
        assert refused.value.row == 1
        assert refused.value.value == bytes(bad)
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("guesses", "count", "reason"),
    [
        (9, 10, "status"),
        (9, 11, "more than 10"),
        (10, 9, "status"),
        (10, 10, "status"),
        (10, 11, "more than 10"),
    ],
)
def test_a_wrong_count_of_blank_turns_is_refused(guesses: int, count: int, reason: str) -> None:
    # A guess of colour 0 without keys looks like a turn that was not played.
    state = bytearray(Reference.state((1, 1, 1, 1), [(0, 0, 0, 0)] * guesses))
    state[4] = count
    state[5] = 2 if count == 9 else 0
    assert not accepts(bytes(state))
    with pytest.raises(BadState, match=reason):
        GAME.step(as_rows([bytes(state)]), encoded([[1, 1, 1, 1]]))


@settings(max_examples=400, deadline=None)
@given(
    codes(),
    st.lists(codes(), max_size=10),
    st.booleans(),
    st.integers(0, 65),
    st.integers(0, 6) | st.just(255),
)
def test_a_changed_byte_is_refused_or_is_another_possible_state(
    secret: Code, guesses: list[Code], crack: bool, at: int, byte: int
) -> None:
    guesses = [guess for guess in guesses if guess != secret]
    if crack:
        guesses = [*guesses[:9], secret]
    changed = bytearray(Reference.state(secret, guesses))
    assert accepts(bytes(changed))
    changed[at] = byte
    assert accepts(bytes(changed)) == Reference.possible(bytes(changed))


@settings(max_examples=300, deadline=None)
@given(
    st.binary(min_size=66, max_size=66) | codes().map(lambda secret: Reference.state(secret, [])),
    st.lists(st.integers(0, 5) | st.integers(0, 2**32 - 1), min_size=4, max_size=4),
)
def test_any_bytes_are_stepped_as_the_reference_does_or_refused(state: bytes, guess: list[int]) -> None:
    fine = Reference.possible(state) and state[5] == 0
    if fine and max(guess) < 6:
        outcome = GAME.step(as_rows([state]), encoded([guess]))
        assert bytes(outcome.positions.states) == Reference.state(tuple(state[:4]), [tuple(guess)])
    else:
        with pytest.raises(BadState if not fine else IllegalAction):
            GAME.step(as_rows([state]), encoded([guess]))


@pytest.mark.parametrize("peg", range(4))
@pytest.mark.parametrize("colour", [6, 255, 256, 2**16, 2**24 + 5, 2**32 - 1])
def test_a_colour_that_there_is_not_is_refused_with_its_peg(peg: int, colour: int) -> None:
    guesses = np.zeros((3, 4), np.int64)
    guesses[1:, peg] = colour
    with pytest.raises(IllegalAction, match=rf"peg {peg} has colour {colour}; give 0-5") as refused:
        GAME.step(start(*[(0, 0, 0, 0)] * 3), encoded(guesses))
    assert refused.value.row == 1
    with pytest.raises(IllegalAction, match=rf"peg {peg} has colour {colour}; give 0-5"):
        GAME.action_text(encoded(guesses[1:2]).tobytes())


def test_a_hint_is_the_secret_of_every_row() -> None:
    position = GAME.reset(np.array([1, 2], np.uint64), b"\5\0\3\3")
    assert position.states.tobytes() == start((5, 0, 3, 3), (5, 0, 3, 3)).tobytes()


@pytest.mark.parametrize("hint", [b"\0", b"\0\1\2", b"\0\1\2\6", b"0123", b"\0" * 5])
def test_a_hint_that_is_no_secret_is_refused(hint: bytes) -> None:
    with pytest.raises(BadHint, match=f"hint = 0x{hint.hex()}: .* 4 bytes, each a colour 0-5"):
        GAME.reset(np.zeros(1, np.uint64), hint)


def test_typed_state_and_bytes_are_the_same_memory() -> None:
    states = as_rows([Reference.state((0, 1, 2, 3), [(1, 0, 4, 4)])]).copy()
    records = typed(states)
    assert STATE.itemsize == 66
    assert records["turns"]["guess"][0, 0].tolist() == [1, 0, 4, 4]
    assert records["turns"]["white"][0, 0] == 2
    records["turns"]["white"][0, 9] = 7
    assert states[0, 65] == 7


def test_guesses_go_through_their_text() -> None:
    for guess in CODES[::5]:
        action = encoded([guess]).tobytes()
        text = GAME.action_text(action)
        for typing in (text, text.lower(), f" {' '.join(text)}\n", "".join(map(str, guess))):
            assert GAME.parse_action(typing) == action
    assert GAME.action_text(encoded([[0, 1, 2, 3]]).tobytes()) == "ROYG"


@pytest.mark.parametrize("text", ["", "ROY", "ROYGB", "ROYX", "0126", "-123", "ü", "²²²²"])
def test_a_guess_that_is_not_one_is_refused_in_words(text: str) -> None:
    with pytest.raises(BadActionText, match="type four letters of ROYGBV, such as ROYG, or four digits 0-5"):
        GAME.parse_action(text)


def test_render_shows_the_board_and_tells_the_secret_at_the_end_only() -> None:
    guesses: list[Code] = [(0, 1, 4, 2), (5, 5, 5, 5)]
    lines = GAME.render_text(Reference.state((0, 1, 2, 3), guesses)).splitlines()
    assert lines[:4] == ["    ? ? ? ?", " 1  R O B Y  ##+.", " 2  V V V V  ....", " 3  . . . ."]
    assert lines[10] == "10  . . . ."
    assert lines[-1] == "guess 3 of 10"
    lines = GAME.render_text(Reference.state((0, 1, 2, 3), [*guesses, (0, 1, 2, 3)])).splitlines()
    assert (lines[0], lines[3], lines[-1]) == ("    R O Y G", " 3  R O Y G  ####", "cracked with guess 3")
    missed = GAME.render_text(Reference.state((0, 1, 2, 3), [(4, 4, 4, 4)] * 10))
    assert missed.startswith("    R O Y G")
    assert missed.endswith("not cracked in 10 guesses")
    with pytest.raises(BadState):
        GAME.render_text(b"\xff" * 66)
