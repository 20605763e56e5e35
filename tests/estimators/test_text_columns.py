"""Which columns text classifiers read, and which they refuse to."""

from typing import Any

import pandas as pd
import pytest

from tabtext.datasets import load_snippets
from tabtext.errors import ParameterError, UnknownColumnError
from tabtext.estimators import LanguageModel, TextClassifier

TINY: dict[str, Any] = {"embedding_width": 8, "hidden_width": 8, "epochs": 1, "verbose": 0}


@pytest.fixture(scope="module")
def reviews() -> pd.DataFrame:
    films = load_snippets("movies").head(80)
    label = (films["rating"] > 0).map({True: "praise", False: "blame"})
    return pd.DataFrame(
        {"review": films["text"], "title": "Film", "label": label, "weight": 1.0 + label.str.len()}
    )


def test_a_single_column_is_named_by_a_text(reviews: pd.DataFrame) -> None:
    model = TextClassifier(text_columns="review", **TINY).fit(reviews, target="label")

    assert model.feature_names_in_.tolist() == ["review"]
    assert LanguageModel(text_columns="review", **TINY).fit(reviews).preprocessor_.columns_ == [
        "review"
    ]


def test_a_misspelled_column_is_named_with_the_likely_one(reviews: pd.DataFrame) -> None:
    with pytest.raises(UnknownColumnError, match=r"'revew' is not in the table.*'review'"):
        TextClassifier(text_columns=["revew"], **TINY).fit(reviews, target="label")


def test_texts_without_a_name_take_the_one_that_was_asked_for(reviews: pd.DataFrame) -> None:
    texts, labels = reviews["review"].tolist(), reviews["label"].tolist()

    model = TextClassifier(text_columns=["review"], **TINY)
    model.fit(texts, labels, validation=(texts[:9], labels[:9]))

    assert model.feature_names_in_.tolist() == ["review"]
    assert model.predict(texts[:2]).tolist() == model.predict(reviews.head(2)).tolist()


def test_texts_alone_are_not_two_columns(reviews: pd.DataFrame) -> None:
    with pytest.raises(UnknownColumnError, match="'review' is not in the table"):
        TextClassifier(text_columns=["review", "title"], **TINY).fit(
            reviews["review"].tolist(), reviews["label"]
        )


@pytest.mark.parametrize(
    ("column", "role"), [("label", "the target"), ("weight", "the column of the sample weights")]
)
def test_what_must_not_be_learned_from_is_refused(
    reviews: pd.DataFrame, column: str, role: str
) -> None:
    with pytest.raises(ParameterError, match=f"{column!r} is {role}"):
        TextClassifier(text_columns=["review", column], **TINY).fit(
            reviews, target="label", sample_weight="weight"
        )


def test_a_target_given_apart_is_refused_too(reviews: pd.DataFrame) -> None:
    with pytest.raises(ParameterError, match="'label' is the target"):
        TextClassifier(text_columns=["review", "label"], **TINY).fit(
            reviews[["review"]], reviews["label"]
        )


@pytest.mark.parametrize("columns", [[], 5, [5], ["review", "review"]])
@pytest.mark.parametrize("estimator", [TextClassifier, LanguageModel])
def test_what_names_no_columns_is_refused(estimator: Any, columns: Any) -> None:
    with pytest.raises(ParameterError, match="text_columns="):
        estimator(text_columns=columns, **TINY).fit(["good"], [1])
