"""The numba kernel behind a frozen network's first layer: rows of tables, added up."""

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["add_table_rows"]

Floats = npt.NDArray[np.floating[Any]]
Integers = npt.NDArray[np.integer[Any]]


@njit(nogil=True, cache=True)
def add_table_rows(
    codes: Integers,
    cardinalities: Integers,
    tables: Integers,
    strides: Integers,
    starts: Integers,
    rows_of_tables: Floats,
    bias: Floats,
    out: Floats,
) -> int:
    """Write the sum of a bias and of one row of every table; return the place of a bad code, or -1.

    In plain Python, for every row of codes::

        places = list(starts)
        for column, code in enumerate(row):
            places[tables[column]] += code * strides[column]
        out.append(bias + sum(rows_of_tables[place] for place in places))

    Offsets are unsigned for the reason that ``kernels.embedding`` gives.
    """
    n_rows, n_columns = codes.shape
    places = np.empty(len(starts), np.int64)
    width = np.uintp(out.shape[1])
    for row in range(n_rows):
        places[:] = starts
        for column in range(n_columns):
            code = np.int64(codes[row, column])
            if code < 0 or code >= cardinalities[column]:
                return int(row * n_columns + column)
            places[tables[column]] += code * strides[column]
        for unit in range(width):
            out[row, unit] = bias[unit]
        for table in range(len(places)):
            place = np.uintp(places[table])
            for unit in range(width):
                out[row, unit] += rows_of_tables[place, unit]
    return -1
