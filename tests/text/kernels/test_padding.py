"""The padding kernel against plain Python."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tabtext.text.documents import Documents
from tabtext.text.kernels.padding import fill_padded


@given(
    lengths=st.lists(st.integers(0, 9), min_size=1, max_size=12),
    chosen=st.lists(st.integers(0, 11), max_size=8),
    width=st.integers(0, 10),
    backward=st.booleans(),
)
def test_rows_hold_their_document_and_padding_behind_it(
    lengths: list[int], chosen: list[int], width: int, backward: bool
) -> None:
    documents = Documents.of([range(10 * n, 10 * n + length) for n, length in enumerate(lengths)])
    rows = np.array([row % len(lengths) for row in chosen], np.int64)
    out = np.full((len(rows), width), -7, np.int32)

    fill_padded(documents.ids, documents.offsets[:-1], documents.lengths, rows, backward, 1, out)

    read = documents.reversed() if backward else documents
    expected = [(read[row].tolist() + [1] * width)[:width] for row in rows]
    assert out.tolist() == expected
