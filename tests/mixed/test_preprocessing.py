"""Tables that hold texts, encoded."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabtext.errors import DataError, UnknownColumnError
from tabtext.mixed.preprocessing import (
    MixedPreprocessor,
    learn_columns,
    mixed_schema,
    shortened,
    stacked_texts,
)
from tabtext.tabular.preprocessing import TabularPreprocessor
from tabtext.tabular.schema import Role, Schema
from tabtext.text.documents import Documents
from tabtext.text.preprocessing import TextPreprocessor
from tabtext.text.special_tokens import END_ID

PROSE = [
    "a quiet and beautiful film about two brothers",
    "the worst film that I have seen this year",
    "nobody who likes the book will like this film",
    "a film that makes two hours feel like ten minutes",
]
TABLE = pa.table(
    {
        "review": PROSE,
        "title": ["Brothers", None, "", "Ten Minutes"],
        "stars": [4.0, 1.0, 1.5, 5.0],
    }
)


def schema_of(
    table: pa.Table = TABLE,
    *,
    roles: dict[str, str] | None = None,
    text_columns: list[str] | None = None,
) -> Schema:
    return mixed_schema(
        table, targets=(), weight=None, roles=roles, exclude=(), text_columns=text_columns
    )


def fitted(max_tokens: int = 100) -> MixedPreprocessor:
    schema = schema_of(roles={"title": "text"})
    columns = schema.names(Role.TEXT)
    texts, _ = stacked_texts(TABLE, columns)
    text = TextPreprocessor(min_freq=1).fit(texts)
    tabular = learn_columns(TabularPreprocessor(), TABLE, schema)
    return MixedPreprocessor(tabular, text, tuple(columns), max_tokens)


def test_prose_is_text_and_other_columns_are_not() -> None:
    schema = schema_of()

    assert schema.names(Role.TEXT) == ["review"]
    assert schema.role("title") is Role.CATEGORICAL


def test_a_role_makes_a_column_text_and_another_makes_prose_a_category() -> None:
    schema = schema_of(roles={"title": "text", "review": "categorical"})

    assert schema.names(Role.TEXT) == ["title"]


def test_named_columns_are_read_and_no_others() -> None:
    schema = schema_of(text_columns=["title"])

    assert schema.names(Role.TEXT) == ["title"]
    assert schema.role("review") is Role.IGNORE


def test_a_table_without_texts_is_referred_to_the_tabular_estimators() -> None:
    with pytest.raises(DataError, match=r"TabularRegressor .* roles=\{column: 'text'\}"):
        schema_of(TABLE.select(["stars", "title"]))


def test_a_table_of_texts_alone_is_referred_to_the_text_estimators() -> None:
    with pytest.raises(DataError, match=r"but texts \(review\): use TextRegressor"):
        schema_of(TABLE.select(["review"]))


def test_every_column_of_text_has_documents_of_its_own() -> None:
    preprocessor = fitted()

    rows = preprocessor.transform(TABLE)

    words = [preprocessor.text.text_of(rows.texts[0][row]) for row in range(4)]
    assert words[1] == PROSE[1]
    assert preprocessor.text.text_of(rows.texts[1][3]) == "Ten Minutes"


def test_a_missing_text_has_no_token_and_an_empty_one_begins_and_ends() -> None:
    titles = fitted().transform(TABLE).texts[1]

    assert titles.lengths[1] == 0
    assert titles.lengths[2] == 2


@pytest.mark.parametrize("kind", [pa.null(), pa.float64(), pa.dictionary(pa.int8(), pa.string())])
def test_a_column_without_any_text_may_have_whatever_type(kind: pa.DataType) -> None:
    # pandas reads a column of empty fields as floats.
    nothing = TABLE.set_column(0, "review", pa.nulls(4, kind))

    rows = fitted().transform(nothing)

    assert rows.texts[0].lengths.tolist() == [0] * 4
    assert rows.texts[1].lengths.tolist() == fitted().transform(TABLE).texts[1].lengths.tolist()


def test_a_role_makes_a_column_text_that_has_none_yet() -> None:
    nothing = TABLE.set_column(1, "title", pa.nulls(4))

    assert schema_of(nothing, roles={"title": "text"}).names(Role.TEXT) == ["review", "title"]


def test_long_texts_are_cut_and_still_end() -> None:
    reviews = fitted(max_tokens=5).transform(TABLE).texts[0]

    assert reviews.lengths.tolist() == [5, 5, 5, 5]
    assert [document[-1] for document in reviews] == [END_ID] * 4
    whole = fitted().transform(TABLE).texts[0]
    assert reviews[2][:4].tolist() == whole[2][:4].tolist()


def test_rows_do_not_depend_on_the_order_of_columns_or_on_further_ones() -> None:
    preprocessor = fitted()
    other = TABLE.select(["stars", "title", "review"]).append_column("further", [["x"] * 4])

    rows, same = preprocessor.transform(TABLE), preprocessor.transform(other)

    for documents, others in zip(rows.texts, same.texts, strict=True):
        assert np.array_equal(documents.ids, others.ids)
    assert np.array_equal(rows.tabular.continuous, same.tabular.continuous)


def test_no_rows_are_no_documents() -> None:
    rows = fitted().transform(TABLE.slice(0, 0))

    assert len(rows) == 0
    assert [len(documents) for documents in rows.texts] == [0, 0]


def test_a_missing_column_of_text_is_named() -> None:
    with pytest.raises(UnknownColumnError, match="'review'"):
        fitted().transform(TABLE.drop_columns(["review"]))


def test_what_is_saved_encodes_alike(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("saved")
    preprocessor = fitted()

    preprocessor.save(folder)
    loaded = MixedPreprocessor.load(folder, max_tokens=100)

    assert loaded.text_columns == preprocessor.text_columns
    rows, same = preprocessor.transform(TABLE), loaded.transform(TABLE)
    assert np.array_equal(rows.texts[0].ids, same.texts[0].ids)


@given(st.lists(st.tuples(st.integers(2, 12), st.integers(0, 12)), max_size=8))
def test_cutting_is_what_it_is_in_plain_python(pairs: list[tuple[int, int]]) -> None:
    documents = [[2, *range(10, 8 + length), END_ID] for length, _ in pairs]
    lengths = [min(limit, length) for length, limit in pairs]

    found = shortened(Documents.of(documents), np.array(lengths, np.int64))

    expected = [
        [*document[: limit - 1], END_ID] if limit else []
        for document, limit in zip(documents, lengths, strict=True)
    ]
    assert [document.tolist() for document in found] == expected
