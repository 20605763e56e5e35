"""Views of documents, beside copies of them."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabtext.estimators.text_batches.stream import StreamBatches
from tabtext.text.document_view import DocumentView
from tabtext.text.documents import Documents
from tabtext.text.perplexity import padded_documents
from tabtext.text.special_tokens import SPECIAL_TOKENS

LISTS = st.lists(st.lists(st.integers(0, 9), max_size=6), max_size=6)


@given(lists=LISTS, data=st.data(), backward=st.booleans())
def test_a_view_is_read_as_a_copy_would_be(
    lists: list[list[int]], data: st.DataObject, backward: bool
) -> None:
    documents = Documents.of(lists)
    rows = data.draw(st.lists(st.integers(0, len(lists) - 1)) if lists else st.just([]))
    view = DocumentView(documents, np.array(rows, np.int64))

    copy = documents.take(rows)
    view, copy = (view.reversed(), copy.reversed()) if backward else (view, copy)

    assert (len(view), view.n_tokens) == (len(copy), copy.n_tokens)
    assert view.lengths.tolist() == copy.lengths.tolist()
    n_unknown, n_known = (copy.ids == 0).sum(), (copy.ids >= len(SPECIAL_TOKENS)).sum()
    assert view.unknown_share() == n_unknown / max(n_unknown + n_known, 1)
    for mine, its in zip(
        padded_documents(view, tokens_at_once=8),
        padded_documents(copy, tokens_at_once=8),
        strict=True,
    ):
        assert [part.tolist() for part in mine] == [part.tolist() for part in its]


def test_a_view_of_all_is_all() -> None:
    documents = Documents.of([[2, 9, 3], [2, 3]])

    view = DocumentView.of(documents)

    assert DocumentView.of(view) is view
    assert view.ids is documents.ids
    assert view.fingerprint() == documents.fingerprint()
    assert view.reversed().reversed().fingerprint() == documents.fingerprint()


def test_a_view_of_mapped_documents_stays_mapped(tmp_path: Path) -> None:
    Documents.of([[2, 9, 3], [2, 3]]).save(tmp_path)

    view = DocumentView(Documents.load(tmp_path), np.array([1]), backward=True)

    assert isinstance(view.ids.base, np.memmap)


def test_fingerprints_tell_views_apart() -> None:
    documents, others = Documents.of([[2, 9, 3]] * 3), Documents.of([[2, 8, 3]] * 3)
    views = [
        DocumentView(documents),
        DocumentView(others),
        DocumentView(documents, backward=True),
        *(DocumentView(documents, np.array(rows)) for rows in ([0, 1], [1, 0], [0, 1, 2], [])),
    ]

    assert len({view.fingerprint() for view in views}) == len(views)


@pytest.mark.parametrize("kind", [np.int32, np.int64])
def test_the_type_of_the_rows_is_no_matter(kind: type) -> None:
    documents = Documents.of([[2, 9, 3], [2, 3]])

    view = DocumentView(documents, np.array([1, 0], kind))

    other = DocumentView(documents, np.array([1, 0], np.int64))
    assert view.fingerprint() == other.fingerprint()


def test_no_token_is_copied(tmp_path: Path) -> None:
    Documents(np.full(1_000_000, 9, np.int32), np.arange(0, 1_000_001, 10_000)).save(tmp_path)
    documents = Documents.load(tmp_path)
    DocumentView(documents).unknown_share()  # compiles

    tracemalloc.start()
    view = DocumentView(documents, np.arange(100)).reversed()
    batches = StreamBatches(view, batch_size=64)
    next(batches.walk(0, seed=0))
    assert view.unknown_share() == 0.0
    assert batches.fingerprint() != DocumentView(documents).fingerprint()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 0.2 * view.n_tokens  # bytes
