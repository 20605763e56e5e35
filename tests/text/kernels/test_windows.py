"""Windows of documents laid end to end, beside plain Python."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tabtext.text.documents import Documents
from tabtext.text.kernels.windows import fill_windows

PADDING = 1


def reference(
    documents: list[list[int]], order: list[int], starts: list[int], stops: list[int], width: int
) -> list[list[int]]:
    stream = [token for number in order for token in documents[number]]
    rows = [
        stream[start : min(stop, start + width)] for start, stop in zip(starts, stops, strict=True)
    ]
    return [row + [PADDING] * (width - len(row)) for row in rows]


@given(data=st.data())
def test_windows_are_those_of_the_stream_in_one_array(data: st.DataObject) -> None:
    documents = data.draw(st.lists(st.lists(st.integers(2, 99), max_size=6), max_size=8))
    order = data.draw(st.permutations(range(len(documents))))
    n_tokens = sum(len(document) for document in documents)
    places = st.integers(0, n_tokens)
    pairs = data.draw(st.lists(st.tuples(places, places), min_size=1, max_size=4))
    starts, stops = zip(*(sorted(pair) for pair in pairs), strict=True)
    width = data.draw(st.integers(1, 12))
    ids = np.array([token for document in documents for token in document], np.int32)
    lengths = np.array([len(document) for document in documents], np.int64)
    begins = np.cumsum(lengths) - lengths
    chosen = np.array(order, np.int64)
    backward = data.draw(st.booleans())
    windows = np.empty((len(starts), width), np.int64)

    fill_windows(
        ids,
        begins[chosen],
        np.cumsum(lengths[chosen]),
        np.array(starts),
        np.array(stops),
        backward,
        PADDING,
        windows,
    )

    held = Documents.of(documents)
    read = [document.tolist() for document in (held.reversed() if backward else held)]
    expected = reference(read, list(order), list(starts), list(stops), width)
    assert windows.tolist() == expected
