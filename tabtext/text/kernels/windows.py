"""The compiled loop that cuts windows out of documents laid end to end, which no array holds so."""

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from tabtext.text.kernels.documents import turned_part

__all__ = ["fill_windows"]

Integers = npt.NDArray[np.integer[Any]]


@njit(nogil=True, cache=True)
def fill_windows(
    ids: Integers,
    begins: Integers,
    ends: Integers,
    starts: Integers,
    stops: Integers,
    backward: bool,
    padding: int,
    out: Integers,
) -> None:
    """Write one window of a stream of documents into every row.

    Document ``i`` begins at ``begins[i]`` of the ids and ends at ``ends[i]`` of the stream. Row
    ``r`` has the stream from ``starts[r]`` on, and padding from ``stops[r]`` on. In plain Python,
    where ``read`` turns a document round as ``reverse_documents`` does, if it is read backward::

        lengths = numpy.diff(ends, prepend=0)
        stream = [token for b, n in zip(begins, lengths) for token in read(ids[b : b + n])]
        row = stream[starts[r] : min(stops[r], starts[r] + width)]
        out[r] = row + [padding] * (width - len(row))
    """
    width = out.shape[1]
    for row in range(len(starts)):
        position = starts[row]
        stop = min(stops[row], position + width)
        place = 0
        document = np.searchsorted(ends, position, side="right")
        while position < stop:
            before = ends[document - 1] if document > 0 else 0
            begin = begins[document]
            low, high = turned_part(ids, begin, begin + ends[document] - before, backward)
            source = begin + position - before
            for _ in range(min(ends[document], stop) - position):
                turned = low <= source < high
                out[row, place] = ids[low + high - 1 - source if turned else source]
                place += 1
                source += 1
            position = min(ends[document], stop)
            document += 1
        for rest in range(place, width):
            out[row, rest] = padding
