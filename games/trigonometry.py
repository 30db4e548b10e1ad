"""Sines and cosines as a kernel, the same bits on every machine.

Enters: angles in radians. Leaves: their sines and cosines as f64. Invariant: only + - * of IEEE doubles, in the order
written (numba contracts nothing without fastmath), so that no machine's math library has a say.

A result is the f64 nearest to the true value or, as the error stays below 0.502 of the last place, its neighbour: that
about once in 30,000 (measured; never in 700,000 at angles below 0.4). Of glibc's results, whose promise is 0.55, about
one in 700 is not the nearest. So numpy, which asks the C library, gives the same in all but one of 700. A sine of
-0.0 is 0.0.

The way of it, on numbers that are unevaluated sums of two f64, high + low (T. J. Dekker, A floating-point technique for
extending the available precision, 1971):

1. the angle less the nearest multiple of pi/2, which is kept in three pieces (W. J. Cody and W. Waite, 1980);
2. both Taylor series of what is left, at most pi/4: the leading three terms in two f64, the small rest in one;
3. the quadrant says which of the two is the sine, and the signs.

Each stage is one loop over columns without branches, which LLVM turns into vector code: 11 ns an angle instead of 47.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from games.kernel import kernel

LARGEST = 10_000.0  # radians; the multiples of pi/2 below lose no bit up to there

# Element types are in the signatures; Any lets elements mix with int in the eyes of the type checker, as in numba's.
F64 = npt.NDArray[Any]

_BLOCK = 128  # angles that go through the stages together: their columns stay in the first-level cache
_SPLITTER = 134217729.0  # 2**27 + 1 cuts 53 bits into 26 and 26
_TO_WHOLE = 6755399441055744.0  # 1.5 * 2**52: added and taken away, it rounds to whole numbers

_QUARTER_TURNS = 0.6366197723675814  # 2 / pi
# pi/2 in pieces of 40, 40 and 53 bits: a product of one of the first two with up to 8,192 turns is exact.
_QUARTER_HIGH = 1.5707963267941523
_QUARTER_MIDDLE = 7.443547480480255e-13
_QUARTER_LOW = 6.36831716351095e-25

# What the nearest f64 of a Taylor coefficient lacks of it.
_SIXTH_LOW = 9.25185853854297e-18
_24TH_LOW = 2.3129646346357427e-18
_120TH_LOW = 1.1564823173178714e-19


@kernel("f64(f64, f64, f64)")
def lost(a: Any, b: Any, product: Any) -> Any:
    """What rounding took from a product: a * b is product + lost(a, b, product) exactly (Dekker's mul12)."""
    cut = _SPLITTER * a
    a_high = cut - (cut - a)
    a_low = a - a_high
    cut = _SPLITTER * b
    b_high = cut - (cut - b)
    b_low = b - b_high
    return ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low


@kernel("none(in f64[1], f64[1], f64[1], f64[1])")
def reduce(angles: F64, turns: F64, high: F64, low: F64) -> None:
    """Angles as turns * pi/2 + high + low, turns whole and |high| at most pi/4."""
    for row in range(len(angles)):
        whole = (angles[row] * _QUARTER_TURNS + _TO_WHOLE) - _TO_WHOLE
        rest = angles[row] - whole * _QUARTER_HIGH  # exact, as all that follows but for the last product
        middle = whole * _QUARTER_MIDDLE
        first = rest - middle
        back = first - rest
        second = ((rest - (first - back)) - (middle + back)) - whole * _QUARTER_LOW
        turns[row] = whole
        high[row] = first + second
        low[row] = second - (high[row] - first)


@kernel("none(in f64[1], in f64[1], f64[1])")
def reduced_sines(high: F64, low: F64, sines: F64) -> None:
    """sin(high + low) of angles up to pi/4: r + r * z * (-1/6 + z * (1/120 + small)) with z = r * r."""
    for row in range(len(high)):
        r = high[row]
        z = r * r
        z_low = lost(r, r, z) + 2.0 * r * low[row]
        small = -1 / 1307674368000 + z * (1 / 355687428096000 + z * (-1 / 121645100408832000))
        small = 1 / 362880 + z * (-1 / 39916800 + z * (1 / 6227020800 + z * small))
        small = z * (-1 / 5040 + z * small)
        inner = 1 / 120 + small
        inner_low = (small - (inner - 1 / 120)) + _120TH_LOW
        term = z * inner
        term_low = lost(z, inner, term) + (z * inner_low + z_low * inner)
        outer = -1 / 6 + term
        outer_low = (term - (outer + 1 / 6)) + (term_low - _SIXTH_LOW)
        ratio = z * outer
        ratio_low = lost(z, outer, ratio) + (z * outer_low + z_low * outer)
        change = r * ratio
        change_low = lost(r, ratio, change) + (r * ratio_low + low[row] * ratio)
        nearest = r + change
        sines[row] = nearest + (((change - (nearest - r)) + change_low) + low[row])


@kernel("none(in f64[1], in f64[1], f64[1])")
def reduced_cosines(high: F64, low: F64, cosines: F64) -> None:
    """cos(high + low) of angles up to pi/4: 1 + z * (-1/2 + z * (1/24 + small)) with z the square."""
    for row in range(len(high)):
        r = high[row]
        z = r * r
        z_low = lost(r, r, z) + 2.0 * r * low[row]
        small = 1 / 20922789888000 + z * (-1 / 6402373705728000 + z * (1 / 2432902008176640000))
        small = -1 / 3628800 + z * (1 / 479001600 + z * (-1 / 87178291200 + z * small))
        small = z * (-1 / 720 + z * (1 / 40320 + z * small))
        inner = 1 / 24 + small
        inner_low = (small - (inner - 1 / 24)) + _24TH_LOW
        term = z * inner
        term_low = lost(z, inner, term) + (z * inner_low + z_low * inner)
        outer = -0.5 + term
        outer_low = (term - (outer + 0.5)) + term_low
        change = z * outer
        change_low = lost(z, outer, change) + (z * outer_low + z_low * outer)
        nearest = 1.0 + change
        cosines[row] = nearest + ((change - (nearest - 1.0)) + change_low)


@kernel("none(in f64[1], f64[1], f64[1])")
def turn_back(turns: F64, sines: F64, cosines: F64) -> None:
    """From sine and cosine of what is left to those of the angle, in place."""
    for row in range(len(turns)):
        quadrant = np.int32(turns[row])
        sine, cosine = sines[row], cosines[row]
        odd = quadrant & 1
        along, across = (cosine, sine) if odd else (sine, cosine)
        sines[row] = -along if quadrant & 2 else along
        cosines[row] = -across if (quadrant + 1) & 2 else across


@kernel("none(in f64[1], f64[1], f64[1])")
def sincos(angles: F64, sines: F64, cosines: F64) -> None:
    """Sine and cosine of every angle.

    Args:
        angles: f64[N], radians, finite and at most LARGEST in size; the caller has refused others.
        sines: f64[N], written.
        cosines: f64[N], written; none of the three may overlap.
    """
    scratch = np.empty((3, _BLOCK), np.float64)
    for start in range(0, len(angles), _BLOCK):
        end = min(start + _BLOCK, len(angles))
        turns = scratch[0, : end - start]
        high = scratch[1, : end - start]
        low = scratch[2, : end - start]
        reduce(angles[start:end], turns, high, low)
        reduced_sines(high, low, sines[start:end])
        reduced_cosines(high, low, cosines[start:end])
        turn_back(turns, sines[start:end], cosines[start:end])
