"""Numba kernels of the softmax: exponentials of a tile of logits, and their sums, in one pass.

Each kernel runs in one thread and lets go of Python's lock; several may run side by side. The sums
of a row are kept in lanes and added up at its end, always in the same order, because only so may
LLVM work on many elements at once.

The exponential is that of the Cephes library: ``exp(x) = 2^n exp(r)``, with ``n`` the integer next
to ``x / ln 2``, and a polynomial of degree 6 for ``exp(r)``; it is right to about one unit in the
last place. Below -87, where single precision runs out of normal numbers, it is 0; above 88 it is
the value there, 1.7e38, which no sum can hide; of what is not a number, it is none.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["LANES", "exponentiate", "exponentiate_bfloat16"]

Floats = npt.NDArray[np.float32]
Bits = npt.NDArray[np.uint16]

LANES = 32
"""Numbers that are added up side by side: four registers of AVX2, two of AVX-512."""

_LOWEST, _HIGHEST = np.float32(-87.0), np.float32(88.0)
_ZERO, _ONE = np.float32(0.0), np.float32(1.0)
_PER_LN_2 = np.float32(1.4426950408889634)
# Adding and subtracting 1.5 * 2^23 rounds to the next integer, which then stands in the low bits.
_ROUNDER = np.float32(12582912.0)
# ln 2 in two parts: the first has so few digits that its product with n is exact.
_LN_2, _LN_2_REST = np.float32(0.693359375), np.float32(-2.12194440e-4)
_C2, _C3, _C4, _C5, _C6, _C7 = (
    np.float32(coefficient)
    for coefficient in (
        5.0000001201e-1,
        1.6666665459e-1,
        4.1665795894e-2,
        8.3334519073e-3,
        1.3981999507e-3,
        1.9875691500e-4,
    )
)
_MANTISSA_BITS = np.int32(23)
_HALF_BITS = np.uint32(16)
_JUST_BELOW_HALF = np.uint32(0x7FFF)
_LOWEST_BIT = np.uint32(1)

_FAST = {"contract"}  # a * b + c may be one instruction; nothing else may be rearranged


@njit(nogil=True, cache=True, fastmath=_FAST, inline="always")
def _exp(number: Any) -> Any:
    """``exp(number)``."""
    # Written so that what is not a number passes.
    x = _LOWEST if number < _LOWEST else number
    x = _HIGHEST if x > _HIGHEST else x
    rounded = x * _PER_LN_2 + _ROUNDER
    n = rounded - _ROUNDER
    r = x - n * _LN_2
    r = r - n * _LN_2_REST
    p = ((((_C7 * r + _C6) * r + _C5) * r + _C4) * r + _C3) * r + _C2
    p = p * (r * r) + (r + _ONE)
    # Adding n to the exponent of p.
    exponent = np.float32(rounded).view(np.int32) << _MANTISSA_BITS
    power = np.int32(np.float32(p).view(np.int32) + exponent).view(np.float32)
    return _ZERO if number < _LOWEST else power


@njit(nogil=True, cache=True, inline="always")
def _from_bfloat16(bits: Any) -> Any:
    """The number of which these are the upper half of the bits."""
    return np.uint32(np.uint32(bits) << _HALF_BITS).view(np.float32)


@njit(nogil=True, cache=True, inline="always")
def _to_bfloat16(number: Any) -> Any:
    """The upper half of a number's bits, rounded to the nearest, of two the even."""
    bits = np.float32(number).view(np.uint32)
    odd = (bits >> _HALF_BITS) & _LOWEST_BIT
    return np.uint16((bits + _JUST_BELOW_HALF + odd) >> _HALF_BITS)


@njit(nogil=True, cache=True)
def _total(lanes: Floats) -> Any:
    """The sum of the lanes, which are lost."""
    half = np.uintp(LANES // 2)
    while half > 0:
        for lane in range(half):
            lanes[lane] += lanes[lane + half]
        half //= np.uintp(2)
    return lanes[0]


@njit(nogil=True, cache=True, fastmath=_FAST)
def exponentiate(logits: Floats, bias: Floats, shift: Floats, sums: Floats, lanes: Floats) -> None:
    """Replace logits by exponentials, and add them to the sums of their rows.

    In plain Python, with ``lanes`` for scratch, ``LANES`` numbers::

        for row in range(len(logits)):
            logits[row] = exp(logits[row] + bias - shift[row])
            sums[row] += sum(logits[row])
    """
    words = np.uintp(logits.shape[1])
    whole = words - words % np.uintp(LANES)
    for row in range(logits.shape[0]):
        values = logits[row]
        down = shift[row]
        lanes[:] = _ZERO
        for begin in range(np.uintp(0), whole, np.uintp(LANES)):
            for lane in range(np.uintp(LANES)):
                value = _exp(values[begin + lane] + bias[begin + lane] - down)
                values[begin + lane] = value
                lanes[lane] += value
        for word in range(whole, words):
            value = _exp(values[word] + bias[word] - down)
            values[word] = value
            lanes[word - whole] += value
        sums[row] += _total(lanes)


@njit(nogil=True, cache=True, fastmath=_FAST)
def exponentiate_bfloat16(
    logits: Bits, bias: Floats, shift: Floats, sums: Floats, lanes: Floats
) -> None:
    """Do as ``exponentiate``, where logits and exponentials are the bits of bfloat16 numbers.

    What is added up are the exponentials before they are rounded.
    """
    words = np.uintp(logits.shape[1])
    whole = words - words % np.uintp(LANES)
    for row in range(logits.shape[0]):
        values = logits[row]
        down = shift[row]
        lanes[:] = _ZERO
        for begin in range(np.uintp(0), whole, np.uintp(LANES)):
            for lane in range(np.uintp(LANES)):
                value = _exp(_from_bfloat16(values[begin + lane]) + bias[begin + lane] - down)
                values[begin + lane] = _to_bfloat16(value)
                lanes[lane] += value
        for word in range(whole, words):
            value = _exp(_from_bfloat16(values[word]) + bias[word] - down)
            values[word] = _to_bfloat16(value)
            lanes[word - whole] += value
        sums[row] += _total(lanes)
