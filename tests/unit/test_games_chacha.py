"""ChaCha20 kernels equal RFC 8439, an independent library and plain Python; what is drawn from them is uniform."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from hypothesis import given, settings
from hypothesis import strategies as st

from games import chacha
from plain_chacha import PlainCursor, plain_block, plain_seeded_block

U64 = st.integers(0, 2**64 - 1)
EDGES = [0, 1, 2**32 - 1, 2**32, 2**63, 2**64 - 1]

# RFC 8439 section 2.3.2 and appendix A.1: key, 32-bit counter, 96-bit nonce, block.
VECTORS = [
    (
        bytes(range(32)).hex(),
        1,
        "000000090000004a00000000",
        "10f1e7e4d13b5915500fdd1fa32071c4c7d1f4c733c068030422aa9ac3d46c4e"
        "d2826446079faa0914c2d705d98b02a2b5129cd1de164eb9cbd083e8a2503c4e",
    ),
    (
        "00" * 32,
        0,
        "00" * 12,
        "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7"
        "da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586",
    ),
    (
        "00" * 32,
        1,
        "00" * 12,
        "9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed"
        "29b721769ce64e43d57133b074d839d531ed1f28510afb45ace10a1f4b794d6f",
    ),
    (
        "00" * 31 + "01",
        1,
        "00" * 12,
        "3aeb5224ecf849929b9d828db1ced4dd832025e8018b8160b82284f3c949aa5a"
        "8eca00bbb4a73bdad192b5c42f73f2fd4e273644c8b36125a64addeb006c13a0",
    ),
    (
        "00ff" + "00" * 30,
        2,
        "00" * 12,
        "72d54dfbf12ec44b362692df94137f328fea8da73990265ec1bbbea1ae9af0ca"
        "13b25aa26cb4a648cb9b9d1be65b2c0924a66c54d545ec1b7374f4872e99f096",
    ),
    (
        "00" * 32,
        0,
        "00" * 11 + "02",
        "c2c64d378cd536374ae204b9ef933fcd1a8b2288b3dfa49672ab765b54ee27c7"
        "8a970e0e955c14f3a88e741b97c286f75f8fc299e8148362fa198a39531bed6d",
    ),
]


def kernel_block(key: bytes, tail: bytes) -> bytes:
    """The kernel's block; `tail` is 16 bytes of counter and nonce, however they are divided."""
    out = np.zeros(chacha.BLOCK_WORDS, np.uint32)
    counter, stream = np.frombuffer(tail, np.uint64)
    chacha.block(np.frombuffer(key, np.uint32), counter, stream, out)
    return out.tobytes()


def seeded(seed: int, counter: int) -> list[int]:
    out = np.zeros(chacha.BLOCK_WORDS, np.uint32)
    chacha.seeded_block(np.uint64(seed), np.uint64(counter), out)
    return [int(word) for word in out]


def cursor_at(seed: int, counter: int) -> npt.NDArray[np.uint32]:
    cursor = np.zeros(chacha.CURSOR_WORDS, np.uint32)
    chacha.begin(cursor, np.uint64(seed), np.uint64(counter))
    return cursor


def test_quarter_round_of_rfc_8439_section_2_1_1() -> None:
    words = np.array([0x11111111, 0x01020304, 0x9B8D6F43, 0x01234567], np.uint32)
    chacha.quarter_round(words, 0, 1, 2, 3)
    assert words.tolist() == [0xEA2A92F4, 0xCB1CF8CE, 0x4581472E, 0x5881C4BB]


def test_quarter_round_of_rfc_8439_section_2_2_1_touches_four_words() -> None:
    before = """879531e0 c5ecf37d 516461b1 c9a62f8a 44c20ef3 3390af7f d9fc690b 2a5f714c
                53372767 b00a5631 974c541a 359e9963 5c971061 3d631689 2098d9d6 91dbd320"""
    after = before.replace("516461b1", "bdb886dc").replace("2a5f714c", "cfacafd2")
    after = after.replace("53372767", "e46bea80").replace("3d631689", "ccc07c79")
    words = np.array([int(word, 16) for word in before.split()], np.uint32)
    chacha.quarter_round(words, 2, 7, 8, 13)
    assert words.tolist() == [int(word, 16) for word in after.split()]


@pytest.mark.parametrize(("key", "counter", "nonce", "expected"), VECTORS)
def test_blocks_of_rfc_8439(key: str, counter: int, nonce: str, expected: str) -> None:
    tail = counter.to_bytes(4, "little") + bytes.fromhex(nonce)
    assert kernel_block(bytes.fromhex(key), tail).hex() == expected


def test_blocks_equal_the_cryptography_library() -> None:
    # Its 16-byte nonce is words 12-15 as they stand, so that counters of 64 bits are reached too.
    drawn = random.Random(8439)
    for _ in range(3000):
        key, tail = drawn.randbytes(32), drawn.randbytes(16)
        library = Cipher(ChaCha20(key, tail), None).encryptor().update(bytes(64))
        assert kernel_block(key, tail) == library, (key.hex(), tail.hex())


def test_seeded_blocks_are_a_key_stream_of_the_cryptography_library() -> None:
    key = (0x0123456789ABCDEF).to_bytes(8, "little") + bytes(24)
    stream = Cipher(ChaCha20(key, bytes(16)), None).encryptor().update(bytes(64 * 50))
    words = [word for counter in range(50) for word in seeded(0x0123456789ABCDEF, counter)]
    assert words == np.frombuffer(stream, "<u4").tolist()


@settings(max_examples=100, deadline=None)
@given(U64 | st.sampled_from(EDGES), U64 | st.sampled_from(EDGES))
def test_seeded_blocks_equal_plain_python(seed: int, counter: int) -> None:
    assert seeded(seed, counter) == plain_seeded_block(seed, counter)
    key = seed.to_bytes(8, "little") + bytes(24)
    assert plain_block(key, counter.to_bytes(16, "little")) == plain_seeded_block(seed, counter)


@pytest.mark.parametrize("rows", [*range(18), 64, 1003])
@pytest.mark.parametrize("width", [16, 19])
def test_blocks_of_many_rows_are_the_blocks_of_each(rows: int, width: int) -> None:
    drawn = np.random.default_rng(rows)
    seeds = drawn.integers(0, 2**64, rows, np.uint64)
    counters = drawn.integers(0, 2**64, rows, np.uint64)
    seeds[: len(EDGES)] = EDGES[:rows]
    counters[: len(EDGES)] = EDGES[::-1][:rows]
    out = np.full((rows, width), 7, np.uint32)
    chacha.seeded_blocks(seeds, counters, out)
    assert out[:, :16].tolist() == [
        seeded(*row) for row in zip(seeds.tolist(), counters.tolist(), strict=True)
    ]
    assert (out[:, 16:] == 7).all()


def test_a_cursor_draws_the_words_in_order_and_counts_the_blocks() -> None:
    cursor = cursor_at(99, 7)
    assert int(chacha.next_counter(cursor)) == 7
    words = [int(chacha.draw(cursor)) for _ in range(16)]
    assert words == plain_seeded_block(99, 7)
    assert int(chacha.next_counter(cursor)) == 8
    words = [int(chacha.draw(cursor)) for _ in range(17)]
    assert words == plain_seeded_block(99, 8) + plain_seeded_block(99, 9)[:1]
    assert int(chacha.next_counter(cursor)) == 10


def test_the_counter_carries_into_its_high_word_and_wraps() -> None:
    for counter in (2**32 - 1, 2**64 - 1):
        cursor = cursor_at(3, counter)
        words = [int(chacha.draw(cursor)) for _ in range(32)]
        after = (counter + 1) % 2**64
        assert words == plain_seeded_block(3, counter) + plain_seeded_block(3, after)
        assert int(chacha.next_counter(cursor)) == (counter + 2) % 2**64


# Bounds above 2**31 refuse up to half of the words, small ones next to none.
BOUND = st.integers(1, 2**32 - 1) | st.sampled_from(
    [1, 2, 10, 16, 2**31, 2**31 + 1, 3 * 2**30 + 1, 2**32 - 1]
)


@settings(max_examples=150, deadline=None)
@given(U64, U64, st.lists(st.none() | BOUND, min_size=1, max_size=30))
def test_what_is_drawn_equals_plain_python(seed: int, counter: int, calls: list[int | None]) -> None:
    cursor, plain = cursor_at(seed, counter), PlainCursor(seed, counter)
    for bound in calls:
        if bound is None:
            assert float(chacha.uniform(cursor)) == plain.uniform()
        else:
            assert int(chacha.below(cursor, np.uint32(bound))) == plain.below(bound)
        assert int(chacha.next_counter(cursor)) == plain.counter


def test_a_bound_of_0_gives_0_and_not_a_crash() -> None:
    assert int(chacha.below(cursor_at(1, 0), np.uint32(0))) == 0


def drawn_from(draw: Callable[[npt.NDArray[np.uint32]], Any], count: int) -> npt.NDArray[np.float64]:
    cursor = cursor_at(2048, 0)
    return np.array([draw(cursor) for _ in range(count)], np.float64)


@pytest.mark.parametrize("bound", [2, 3, 6, 10, 16, 97])
def test_integers_below_a_bound_are_uniform(bound: int) -> None:
    count = 20_000
    values = drawn_from(lambda cursor: chacha.below(cursor, np.uint32(bound)), count).astype(np.int64)
    seen = np.bincount(values, minlength=bound)
    assert len(seen) == bound
    freedom = bound - 1
    square = float(((seen - count / bound) ** 2).sum() / (count / bound))
    # Chi-square has mean k and variance 2k; five deviations, the seed being fixed.
    assert abs(square - freedom) < 5 * (2 * freedom) ** 0.5


def test_integers_below_three_quarters_of_the_words_have_no_bias() -> None:
    # With a bound of 3 * 2**30, w % bound would give each value below 2**30 twice as often as the others.
    values = drawn_from(lambda cursor: chacha.below(cursor, np.uint32(3 << 30)), 20_000)
    thirds = np.bincount((values // 2**30).astype(np.int64), minlength=3)
    assert np.abs(thirds - 20_000 / 3).max() < 5 * (20_000 * 2 / 9) ** 0.5


def test_floats_are_uniform_below_1_and_have_53_bits() -> None:
    values = drawn_from(chacha.uniform, 20_000)
    assert values.min() >= 0.0
    assert values.max() < 1.0
    assert abs(values.mean() - 0.5) < 5 / (12 * len(values)) ** 0.5
    assert abs(values.var() - 1 / 12) < 5 / (180 * len(values)) ** 0.5
    scaled = values * 2**53
    assert (scaled == np.floor(scaled)).all()
    assert (scaled % 2 == 1).any()
