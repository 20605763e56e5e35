"""Documents: one flat array, in memory and on disk."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabtext.errors import ArtifactError, MissingFileError, ParameterError, SaveError
from tabtext.text.documents import Documents, writing_documents

lists_of_ids = st.lists(st.lists(st.integers(0, 99), max_size=8), max_size=8)


def as_lists(documents: Documents) -> list[list[int]]:
    return [document.tolist() for document in documents]


@given(lists=lists_of_ids)
def test_documents_come_back_as_they_were_given(lists: list[list[int]]) -> None:
    documents = Documents.of(lists)

    assert as_lists(documents) == lists
    assert len(documents) == len(lists)
    assert documents.lengths.tolist() == [len(document) for document in lists]
    assert documents.n_tokens == sum(map(len, lists))
    assert (documents.ids.dtype, documents.offsets.dtype) == (np.int32, np.int64)


def test_a_document_is_found_from_the_end_too_and_nothing_beyond() -> None:
    documents = Documents.of([[2, 3], [2, 9, 3]])

    assert documents[-1].tolist() == [2, 9, 3]
    with pytest.raises(IndexError):
        documents[2]


def test_rows_are_taken_in_the_order_asked_for_and_repeatedly() -> None:
    documents = Documents.of([[2, 3], [2, 9, 3], []])

    assert as_lists(documents.take([1, 0, 1, 2])) == [[2, 9, 3], [2, 3], [2, 9, 3], []]
    assert as_lists(documents.take([])) == []


@pytest.mark.parametrize("row", [-1, 2])
def test_a_row_that_is_not_there_is_named(row: int) -> None:
    with pytest.raises(ParameterError, match=f"no document {row}: there are 2"):
        Documents.of([[2, 3], [2, 3]]).take([0, row])


@given(lists=lists_of_ids)
def test_turning_round_twice_changes_nothing(lists: list[list[int]]) -> None:
    documents = Documents.of([[2, *document, 3] for document in lists])

    assert as_lists(documents.reversed().reversed()) == as_lists(documents)
    assert as_lists(documents.reversed()) == [[2, *document[::-1], 3] for document in lists]


def test_fingerprints_tell_documents_apart() -> None:
    fingerprints = {
        Documents.of(lists).fingerprint()
        for lists in ([], [[]], [[1, 2]], [[2, 1]], [[1], [2]], [[1, 2], []])
    }

    assert len(fingerprints) == 6
    assert Documents.of([[1, 2]]).fingerprint() in fingerprints


@pytest.mark.parametrize(
    ("ids", "offsets", "message"),
    [
        (np.zeros(2, np.int64), np.array([0, 2]), "ids must be .* int32"),
        (np.zeros((2, 1), np.int32), np.array([0, 2]), r"ids must be .* one dimension"),
        (np.zeros(4, np.int32)[::2], np.array([0, 2]), "ids must be a contiguous"),
        (np.zeros(2, np.int32), np.array([0, 2], np.int32), "offsets must be .* int64"),
        (np.zeros(2, np.int32), np.array([0, 1]), "offsets must run from 0 to .* 2"),
        (np.zeros(2, np.int32), np.array([], np.int64), "offsets must run from 0"),
        (np.zeros(2, np.int32), np.array([0, 2, 1, 2]), "offsets fall behind document 1"),
    ],
)
def test_arrays_that_are_no_documents_are_refused(
    ids: np.ndarray, offsets: np.ndarray, message: str
) -> None:
    with pytest.raises(ParameterError, match=message):
        Documents(ids, offsets)


# -- disk ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lists", [[], [[]], [[2, 3], [], [2, 9, 3]]])
def test_saved_documents_come_back(tmp_path: Path, lists: list[list[int]]) -> None:
    documents = Documents.of(lists)
    documents.save(tmp_path / "documents")

    loaded = Documents.load(tmp_path / "documents")

    assert as_lists(loaded) == lists
    assert loaded.fingerprint() == documents.fingerprint()
    assert isinstance(loaded.ids, np.memmap)


def test_mapped_documents_are_taken_turned_and_saved_like_others(tmp_path: Path) -> None:
    Documents.of([[2, 8, 9, 3], [2, 3]]).save(tmp_path / "first")
    mapped = Documents.load(tmp_path / "first")

    assert as_lists(mapped.reversed()) == [[2, 9, 8, 3], [2, 3]]
    assert as_lists(mapped.take([1])) == [[2, 3]]
    assert type(mapped.reversed().ids) is np.ndarray
    mapped.save(tmp_path / "second")
    for name in ("ids.npy", "offsets.npy", "documents.json"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()


def test_documents_that_were_not_written_to_the_end_are_not_there(tmp_path: Path) -> None:
    Documents.of([[2, 3]]).save(tmp_path)

    with (
        pytest.raises(ParameterError, match="1 ids were written, but the lengths say 2"),
        writing_documents(tmp_path, np.array([2])) as write,
    ):
        write(np.array([2], np.int32))

    with pytest.raises(MissingFileError, match=r"documents\.json"):
        Documents.load(tmp_path)


@pytest.mark.parametrize("name", ["ids.npy", "offsets.npy"])
@pytest.mark.parametrize("n_bytes", [0, 40, -2])
def test_a_truncated_file_is_named(tmp_path: Path, name: str, n_bytes: int) -> None:
    Documents.of([[2, 9, 3]]).save(tmp_path)
    path = tmp_path / name
    path.write_bytes(path.read_bytes()[:n_bytes])

    with pytest.raises(ArtifactError, match=f"{name}.*damaged|documents in .* are damaged"):
        Documents.load(tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    Documents.of([[2, 9, 3]]).save(tmp_path)
    (tmp_path / "ids.npy").unlink()

    with pytest.raises(MissingFileError, match=r"ids\.npy is missing"):
        Documents.load(tmp_path)


def test_files_of_other_documents_are_noticed(tmp_path: Path) -> None:
    Documents.of([[2, 9, 3]]).save(tmp_path / "first")
    Documents.of([[2, 3], [3]]).save(tmp_path / "second")
    (tmp_path / "first" / "offsets.npy").write_bytes(
        (tmp_path / "second" / "offsets.npy").read_bytes()
    )

    with pytest.raises(ArtifactError, match="belongs to other documents"):
        Documents.load(tmp_path / "first")


def test_a_file_that_would_run_code_is_not_loaded(tmp_path: Path) -> None:
    Documents.of([[2, 9, 3]]).save(tmp_path)
    np.save(tmp_path / "ids.npy", np.array([print], object), allow_pickle=True)

    with pytest.raises(ArtifactError, match=r"ids\.npy"):
        Documents.load(tmp_path)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format_version": "one"}', "\xff"])
def test_a_damaged_header_is_named(tmp_path: Path, content: str) -> None:
    Documents.of([[2, 9, 3]]).save(tmp_path)
    (tmp_path / "documents.json").write_text(content, encoding="latin-1")

    with pytest.raises(ArtifactError, match=r"documents\.json"):
        Documents.load(tmp_path)


def test_a_newer_format_says_to_upgrade(tmp_path: Path) -> None:
    Documents.of([[2, 9, 3]]).save(tmp_path)
    header = json.loads((tmp_path / "documents.json").read_text())
    (tmp_path / "documents.json").write_text(json.dumps({**header, "format_version": 9}))

    with pytest.raises(ArtifactError, match=r"format 9, newer .* pip install --upgrade"):
        Documents.load(tmp_path)


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")

    with pytest.raises(SaveError, match="was not written"):
        Documents.of([[2, 3]]).save(tmp_path / "file" / "documents")
