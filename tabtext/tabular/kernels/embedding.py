"""Numba kernels behind the embeddings: lookup, interpolation between knots, and their gradients.

Every array is allocated outside, and the outputs and gradients are flat. Offsets are *unsigned* on
purpose: with signed ones numba adds a test for negative indices to every element, which keeps LLVM
from vectorising the short inner loops and makes them three to four times slower. All kernels run
in one thread and always add in the order of the rows, so results repeat bit for bit; a second
thread gained little beside the matrix products, which have both cores for themselves.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["gather_knots", "gather_tables", "scatter_knots", "scatter_tables"]

Floats = npt.NDArray[np.floating[Any]]
Integers = npt.NDArray[np.integer[Any]]


@njit(nogil=True, cache=True)
def gather_tables(
    weight: Floats,
    codes: Integers,
    starts: Integers,
    cardinalities: Integers,
    widths: Integers,
    out: Floats,
) -> int:
    """Copy each code's vector into its place; return the flat position of a bad code, or -1.

    In plain Python, with ``tables[c]`` the rows of ``weight`` that belong to column ``c``::

        for row in codes:
            out.extend(value for c, code in enumerate(row) for value in tables[c][code])
    """
    rows, columns = codes.shape
    target = np.uintp(0)
    for row in range(rows):
        for column in range(columns):
            code = codes[row, column]
            if code < 0 or code >= cardinalities[column]:
                return int(row * columns + column)
            width = np.uintp(widths[column])
            source = np.uintp(starts[column]) + np.uintp(code) * width
            for offset in range(width):
                out[target + offset] = weight[source + offset]
            target += width
    return -1


@njit(nogil=True, cache=True)
def scatter_tables(
    gradient: Floats, codes: Integers, starts: Integers, widths: Integers, out: Floats
) -> None:
    """Add each row's gradient to the vectors that it looked up: ``gather_tables`` transposed."""
    rows, columns = codes.shape
    source = np.uintp(0)
    for row in range(rows):
        for column in range(columns):
            width = np.uintp(widths[column])
            target = np.uintp(starts[column]) + np.uintp(codes[row, column]) * width
            for offset in range(width):
                out[target + offset] += gradient[source + offset]
            source += width


@njit(nogil=True, cache=True)
def gather_knots(
    values: Floats,
    edges: Floats,
    bins: Integers,
    knots: Floats,
    positions: Integers,
    fractions: Floats,
    out: Floats,
) -> None:
    """Interpolate each value's vector between the vectors at the two edges around it.

    In plain Python, for the value ``x`` of column ``c``::

        k = last bin of column c whose left edge is <= x, and bin 0 for anything smaller
        f = min(max((x - edges[c, k]) / (edges[c, k + 1] - edges[c, k]), 0), 1)
        out.extend(knots[c, k] + f * (knots[c, k + 1] - knots[c, k]))

    ``knots`` is ``(columns, largest number of bins + 1, width)``, flat; ``positions`` receives the
    offset of ``knots[c, k]`` and ``fractions`` receives ``f``, for the gradient.
    """
    rows, columns = values.shape
    stride = np.uintp(edges.shape[1])
    width = np.uintp(knots.size // (columns * edges.shape[1]))
    target = np.uintp(0)
    for row in range(rows):
        for column in range(columns):
            value = values[row, column]
            low, high = 0, bins[column] - 1
            while low < high:
                middle = (low + high + 1) // 2
                if edges[column, middle] <= value:
                    low = middle
                else:
                    high = middle - 1
            left = edges[column, low]
            fraction = (value - left) / (edges[column, low + 1] - left)
            fraction = min(max(fraction, edges.dtype.type(0)), edges.dtype.type(1))
            source = (np.uintp(column) * stride + np.uintp(low)) * width
            positions[row, column] = source
            fractions[row, column] = fraction
            for offset in range(width):
                start = knots[source + offset]
                out[target + offset] = start + fraction * (knots[source + width + offset] - start)
            target += width


@njit(nogil=True, cache=True)
def scatter_knots(
    gradient: Floats, positions: Integers, fractions: Floats, width: int, out: Floats
) -> None:
    """Add each row's gradient to the two knots that it lay between: ``gather_knots`` transposed."""
    rows, columns = positions.shape
    step = np.uintp(width)
    source = np.uintp(0)
    for row in range(rows):
        for column in range(columns):
            target = np.uintp(positions[row, column])
            fraction = fractions[row, column]
            for offset in range(step):
                change = fraction * gradient[source + offset]
                out[target + offset] += gradient[source + offset] - change
                out[target + step + offset] += change
            source += step
