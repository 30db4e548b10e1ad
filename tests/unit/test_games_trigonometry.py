"""Sines and cosines against series of 60 digits, and the machine code against the interpreter."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from games import trigonometry
from games.trigonometry import LARGEST, lost, sincos

PI = Decimal("3.14159265358979323846264338327950288419716939937510582097494459230781640628620899862803")
WORST = Decimal("0.502")  # of the last place

Floats = npt.NDArray[np.float64]


def series(angle: float, *, first: int) -> Decimal:
    """The Taylor series of sine (first 1) or cosine (first 0), of the angle less whole turns."""
    with localcontext() as context:
        context.prec = 60
        rest = Decimal(angle).remainder_near(2 * PI)
        term = rest if first else Decimal(1)
        total, power = Decimal(0), first
        while abs(term) > Decimal("1e-45") * abs(total):
            total += term
            term *= -rest * rest / ((power + 1) * (power + 2))
            power += 2
        return total


def both(angles: Floats) -> tuple[Floats, Floats]:
    sines, cosines = np.empty_like(angles), np.empty_like(angles)
    sincos(angles, sines, cosines)
    return sines, cosines


def off(value: float, exact: Decimal) -> Decimal:
    """The error in units of the last place."""
    return abs(Decimal(value) - exact) / Decimal(math.ulp(float(exact)))


def angles_within(largest: float, rows: int = 1500) -> Floats:
    return np.random.default_rng(4).uniform(-largest, largest, rows)


@pytest.mark.parametrize("largest", [1e-6, 0.21, math.pi / 4, math.pi, 84.0, LARGEST])
def test_results_are_the_nearest_floats_or_almost(largest: float) -> None:
    angles = angles_within(largest)
    nearest = 0
    for column, first in zip(both(angles), (1, 0), strict=True):
        for angle, value in zip(angles.tolist(), column.tolist(), strict=True):
            exact = series(angle, first=first)
            assert off(value, exact) < WORST
            nearest += value == float(exact)
    assert nearest >= 2 * len(angles) - 2


def test_angles_next_to_a_quarter_turn_lose_nothing() -> None:
    # What is left of them is as small as 1e-17: the second and third piece of pi/2 are all of it.
    quarters = np.arange(-60, 61) * (math.pi / 2)
    angles = np.concatenate([quarters, np.nextafter(quarters, 1e9), np.nextafter(quarters, -1e9)])
    for column, first in zip(both(angles), (1, 0), strict=True):
        for angle, value in zip(angles.tolist(), column.tolist(), strict=True):
            if angle:
                assert off(value, series(angle, first=first)) < WORST


def test_numpy_mostly_gives_the_same() -> None:
    angles = angles_within(84.0, 100_000)
    sines, cosines = both(angles)
    assert (sines == np.sin(angles)).mean() > 0.99
    assert (cosines == np.cos(angles)).mean() > 0.99
    np.testing.assert_allclose(sines, np.sin(angles), rtol=4e-16, atol=0)


@given(st.floats(-LARGEST, LARGEST))
def test_sine_is_odd_cosine_is_even_and_they_lie_on_the_circle(angle: float) -> None:
    sines, cosines = both(np.array([angle, -angle]))
    assert sines[0] == -sines[1]
    assert cosines[0] == cosines[1]
    assert abs(sines[0] ** 2 + cosines[0] ** 2 - 1.0) < 5e-16


MODERATE = st.floats(-1e100, 1e100).filter(lambda number: number == 0 or abs(number) > 1e-100)


@given(MODERATE, MODERATE)
def test_what_a_product_lost_is_told_exactly(a: float, b: float) -> None:
    product = a * b
    assert Fraction(product) + Fraction(float(lost(a, b, product))) == Fraction(a) * Fraction(b)


def test_machine_code_rounds_as_the_interpreter_does() -> None:
    # A compiler that contracted a product and a sum into one rounding would be found here.
    machine: list[Any] = [trigonometry.reduce, trigonometry.reduced_sines, trigonometry.reduced_cosines]
    interpreter = [kernel.function for kernel in machine]
    angles = angles_within(84.0, 300)
    columns = []
    for reduce, sines_of, cosines_of in (machine, interpreter):
        turns, high, low, sines, cosines = (np.empty_like(angles) for _ in range(5))
        reduce(angles, turns, high, low)
        sines_of(high, low, sines)
        cosines_of(high, low, cosines)
        columns.append([column.tobytes() for column in (turns, high, low, sines, cosines)])
    assert columns[0] == columns[1]


def test_an_angles_result_does_not_depend_on_its_place() -> None:
    angles = angles_within(84.0, 300)
    together = both(angles)
    alone = [both(angles[row : row + 1]) for row in range(len(angles))]
    for column in range(2):
        assert together[column].tobytes() == b"".join(pair[column].tobytes() for pair in alone)
