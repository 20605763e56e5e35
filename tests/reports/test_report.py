"""``write_report``: which sections a model gets, what they say, and what it does with odd data."""

import re
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

import tabtext
from tabtext import (
    LanguageModel,
    TabTextClassifier,
    TabularClassifier,
    TabularRegressor,
    TextClassifier,
    TextRegressor,
)
from tabtext.errors import DataError, ParameterError, UnknownColumnError
from tests.reports.conftest import QUICK, Page


@pytest.fixture(scope="module")
def of_regressor(report_of_flights: Path) -> Page:
    return Page(report_of_flights)


def test_a_regression_has_every_section(of_regressor: Page) -> None:
    assert of_regressor.titles == [
        "Result",
        "Predictions: arr_delay",
        "What the model depends on",
        "How predictions depend on columns",
        "Learning-rate finder",
        "Training",
        "Rows of the fit",
        "Columns",
        "What the columns hold",
    ]


def test_the_metrics_are_those_of_evaluate(
    of_regressor: Page, regressor: TabularRegressor, flights: pd.DataFrame
) -> None:
    expected = regressor.evaluate(flights[2000:])

    assert float(of_regressor.facts["RMSE (min)"]) == pytest.approx(expected["rmse"], rel=1e-3)
    assert float(of_regressor.facts["R²"]) == pytest.approx(expected["r2"], rel=1e-3)


def test_rows_without_a_target_are_counted(of_regressor: Page, flights: pd.DataFrame) -> None:
    n_missing = int(flights[2000:]["arr_delay"].isna().sum())

    assert n_missing > 0
    assert f"{n_missing} of 500 rows have no target and were left out." in of_regressor.text
    assert of_regressor.facts["rows"] == str(500 - n_missing)


def test_a_regression_shows_predictions_errors_time_and_intervals(of_regressor: Page) -> None:
    captions = " ".join(of_regressor.captions)

    for what in ("Predicted against true", "How errors are distributed", "over time", "Intervals:"):
        assert what in captions


def test_every_kind_of_column_has_its_dependence(of_regressor: Page) -> None:
    captions = of_regressor.captions

    assert "Depending on dep_delay; the grey lines show where rows are" in captions
    assert "Depending on hour of scheduled_departure; in brackets: rows" in captions
    assert "Depending on day of week of scheduled_departure; in brackets: rows" in captions
    assert "Depending on carrier; in brackets: rows" in captions
    assert not any("month of" in caption for caption in captions)  # all flights are of November


def test_the_columns_tell_role_and_reason(of_regressor: Page) -> None:
    rows = re.findall(r"<tr><td>(.*?)</tr>", of_regressor.html)
    carrier = next(row for row in rows if row.startswith("carrier"))

    assert "categorical" in carrier
    assert "text labels" in carrier
    assert "keep where arr_delay < 300" in of_regressor.text


@pytest.mark.usefixtures("unrendered")
def test_two_classes_have_curves(
    classifier: TabularClassifier, late: pd.DataFrame, tmp_path: Path
) -> None:
    page = Page(tabtext.write_report(classifier, late[2000:], tmp_path / "report.html"))

    assert "Predictions: arrival" in page.titles
    for what in ("Confusion matrix", "ROC curve", "Precision and recall", "Calibration"):
        assert any(caption.startswith(what) for caption in page.captions)
    assert any("Learned vectors of destination" in caption for caption in page.captions)


@pytest.mark.usefixtures("unrendered")
def test_rows_of_one_class_have_no_curves(
    classifier: TabularClassifier, late: pd.DataFrame, tmp_path: Path
) -> None:
    rows = late[2000:][late[2000:]["arrival"] == "late"]

    page = Page(tabtext.write_report(classifier, rows, tmp_path / "report.html"))

    assert "All these rows are 'late'; curves need rows of both classes." in page.text
    assert not any(caption.startswith("ROC curve") for caption in page.captions)


@pytest.mark.usefixtures("unrendered")
def test_several_classes_are_told_one_by_one(late: pd.DataFrame, tmp_path: Path) -> None:
    model = TabularClassifier(**QUICK).fit(late[:1000], target="origin")
    without_jfk = late[1000:][late[1000:]["origin"] != "JFK"]

    page = Page(tabtext.write_report(model, without_jfk, tmp_path / "report.html"))

    assert "ROC curves, each class against all others, the most frequent first" in page.captions
    assert "Calibration of the likeliest class, in ten groups of equal size" in page.captions
    jfk = re.search(r"<tr><td>JFK</td>(.*?)</tr>", page.html)
    assert jfk is not None
    assert re.findall(r">([^<]+)</td>", jfk[1])[0] == "0"


@pytest.mark.usefixtures("unrendered")
def test_several_labels_are_told_one_by_one(late: pd.DataFrame, tmp_path: Path) -> None:
    rows = late.assign(far=late["distance"] > 1000, windy=late["wind_speed"] > 10)
    rows = rows.drop(columns=["distance", "wind_speed"])
    model = TabularClassifier(**QUICK).fit(rows[:1000], target=["far", "windy"])

    page = Page(tabtext.write_report(model, rows[1000:], tmp_path / "report.html"))

    assert "Predictions: far, windy" in page.titles
    assert "Each label, cut at probability 0.5" in page.text


@pytest.mark.usefixtures("unrendered")
def test_several_quantities_have_a_section_each(flights: pd.DataFrame, tmp_path: Path) -> None:
    rows = flights.dropna(subset=["arr_delay", "wind_speed"])
    model = TabularRegressor(**QUICK).fit(rows[:1000], target=["arr_delay", "wind_speed"])

    page = Page(tabtext.write_report(model, rows[1000:1500], tmp_path / "report.html"))

    assert {"Predictions: arr_delay", "Predictions: wind_speed"} <= set(page.titles)


@pytest.mark.usefixtures("unrendered")
def test_texts_have_errors_word_by_word_and_length(
    reader: TextClassifier, sentences: pd.DataFrame, tmp_path: Path
) -> None:
    page = Page(tabtext.write_report(reader, sentences[400:], tmp_path / "report.html"))

    n_wrong = round((1 - reader.evaluate(sentences[400:])["accuracy"]) * 100)
    assert n_wrong > 0
    assert "Errors, word by word" in page.titles
    assert page.text.count("Taken for ") == min(n_wrong, 6)
    assert any("over the length of a text" in caption for caption in page.captions)
    assert "tokens in the vocabulary" in page.facts


@pytest.mark.usefixtures("unrendered")
def test_texts_may_come_without_a_table(
    reader: TextClassifier, sentences: pd.DataFrame, tmp_path: Path
) -> None:
    texts, answers = sentences["text"][400:].tolist(), sentences["sentiment"][400:].tolist()

    page = Page(tabtext.write_report(reader, texts, tmp_path / "report.html", y=answers))

    assert page.facts["rows"] == "100"


@pytest.mark.usefixtures("unrendered")
def test_quantities_of_texts_have_their_largest_errors(
    sentences: pd.DataFrame, tmp_path: Path
) -> None:
    lengths = sentences["text"].str.len().astype(float).rename("letters")
    model = TextRegressor(
        language_model=None, embedding_width=8, hidden_width=16, n_layers=1, epochs=1, verbose=0
    ).fit(sentences["text"][:300], lengths[:300])

    page = Page(
        tabtext.write_report(
            model, sentences["text"][300:], tmp_path / "report.html", y=lengths[300:]
        )
    )

    assert "The largest errors" in page.text
    assert page.text.count("for letters, and is") == 6


@pytest.mark.usefixtures("unrendered")
def test_tables_with_texts_have_the_sections_of_both(
    sentences: pd.DataFrame, tmp_path: Path
) -> None:
    numbers = np.arange(len(sentences))
    rows = sentences.assign(hours=numbers % 40 + 0.5, day=np.where(numbers % 3, "Mon", "Tue"))
    model = TabTextClassifier(
        language_model=None, embedding_width=8, hidden_width=16, n_layers=1, epochs=1, verbose=0
    ).fit(rows[:300], target="sentiment")

    page = Page(tabtext.write_report(model, rows[300:400], tmp_path / "report.html"))

    assert {"How predictions depend on columns", "Errors, word by word"} <= set(page.titles)
    assert "text:" in page.text
    assert "Depending on hours; the grey lines show where rows are" in page.captions
    assert any("over the length of a text" in caption for caption in page.captions)


@pytest.mark.usefixtures("unrendered")
def test_a_language_model_writes_and_is_judged_by_perplexity(
    sentences: pd.DataFrame, tmp_path: Path
) -> None:
    model = LanguageModel(embedding_width=8, hidden_width=16, n_layers=1, epochs=1, verbose=0)
    model = model.fit(sentences["text"][:400])

    page = Page(tabtext.write_report(model, sentences["text"][400:], tmp_path / "report.html"))

    assert page.titles == ["Result", "What it writes", "Training", "Rows of the fit"]
    assert float(page.facts["perplexity"].replace(",", "")) > 1


@pytest.mark.usefixtures("unrendered")
def test_a_loaded_model_has_the_same_report(
    regressor: TabularRegressor, flights: pd.DataFrame, tmp_path: Path
) -> None:
    regressor.save(tmp_path / "model")

    pages = [
        Page(tabtext.write_report(model, flights[2000:], tmp_path / "report.html"))
        for model in (regressor, tabtext.load(tmp_path / "model"))
    ]

    assert pages[0].html == pages[1].html


@pytest.mark.usefixtures("unrendered")
def test_without_rows_the_report_shows_what_the_model_knows(
    regressor: TabularRegressor, tmp_path: Path
) -> None:
    page = Page(tabtext.write_report(regressor, path=tmp_path / "report.html"))

    assert page.titles == ["Training", "Rows of the fit", "Columns"]


@pytest.mark.usefixtures("unrendered")
def test_a_fit_without_validation_rows_has_a_report(flights: pd.DataFrame, tmp_path: Path) -> None:
    model = TabularRegressor(**QUICK, validation_fraction=0.0)
    model.fit(flights[:500], target="arr_delay")

    page = Page(tabtext.write_report(model, flights[500:700], tmp_path / "report.html"))

    assert not any(caption.startswith(("Intervals", "RMSE")) for caption in page.captions)


@pytest.mark.usefixtures("unrendered")
def test_one_row_is_enough(
    regressor: TabularRegressor, flights: pd.DataFrame, tmp_path: Path
) -> None:
    row = flights.dropna().iloc[[2001]]

    page = Page(tabtext.write_report(regressor, row, tmp_path / "report.html"))

    assert page.facts["rows"] == "1"
    assert page.facts["R²"] == "-"


@pytest.mark.usefixtures("unrendered")
def test_constant_predictions_are_drawn(
    regressor: TabularRegressor, flights: pd.DataFrame, tmp_path: Path
) -> None:
    path = tmp_path / "report.html"

    page = Page(
        tabtext.write_report(regressor, flights[2000:], path, predictions=np.full(500, 7.0))
    )

    assert "Predicted against true; the colour counts rows" in page.captions


@pytest.mark.usefixtures("unrendered")
def test_unseen_levels_are_judged_like_others(
    classifier: TabularClassifier, late: pd.DataFrame, tmp_path: Path
) -> None:
    carriers = np.where(np.arange(len(late)) % 2, "ZZ", late["carrier"].astype(str))

    page = Page(
        tabtext.write_report(
            classifier, late.assign(carrier=carriers)[2000:], tmp_path / "report.html"
        )
    )

    assert "Depending on carrier; in brackets: rows" in page.captions


def test_names_from_data_are_neither_markup_nor_formulas(
    flights: pd.DataFrame, tmp_path: Path
) -> None:
    evil = {"carrier": "<b>$x_1</b>\nand $", "dep_delay": "a$b^{$", "arr_delay": "<script>\n$"}
    rows = flights[[*evil]].rename(columns=evil).dropna()
    model = TabularRegressor(**QUICK).fit(rows[:500], target="<script>\n$")

    page = Page(
        tabtext.write_report(
            model, rows[500:700], tmp_path / "report.html", unit="$x_$", description="<script>"
        )
    )

    assert "<script" not in page.html
    assert "<b>" not in page.html
    assert "Depending on a$b^{$; the grey lines show where rows are" in page.captions


@pytest.mark.usefixtures("unrendered")
def test_more_than_a_hundred_columns_are_described_and_the_first_are_drawn(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    rows = pd.DataFrame(generator.normal(size=(300, 120)), columns=[f"c{n}" for n in range(120)])
    rows["y"] = rows["c7"] * 3
    model = TabularRegressor(**QUICK).fit(rows[:200], target="y")

    page = Page(tabtext.write_report(model, rows[200:], tmp_path / "report.html"))

    assert len(re.findall(r"<tr><td>c\d+<", page.html)) == 120
    assert sum(caption.startswith("Distribution of") for caption in page.captions) == 12
    assert "Of 121 columns these are the target and the most important ones." in page.text


@pytest.mark.usefixtures("unrendered")
def test_given_predictions_are_judged_in_place_of_the_models(
    flights: pd.DataFrame, tmp_path: Path
) -> None:
    rows = flights[:600]
    model = TabularRegressor(**QUICK, n_folds=2).fit(rows, target="arr_delay")
    predictions = model.out_of_fold_predictions_

    page = Page(
        tabtext.write_report(model, rows, tmp_path / "report.html", predictions=predictions)
    )

    known = np.isfinite(predictions)
    errors = predictions[known] - rows["arr_delay"].to_numpy()[known]
    assert float(page.facts["MAE"]) == pytest.approx(np.abs(errors).mean(), rel=1e-3)
    assert page.facts["rows"] == str(known.sum())


@pytest.mark.parametrize(
    ("predictions", "message"),
    [
        (np.zeros(3), "3 predictions for 500 rows"),
        (np.zeros((500, 3)), "3 outputs in each row and the model has 1"),
        (np.full(500, np.nan), "no row has both a target and a prediction"),
    ],
    ids=["rows", "outputs", "none"],
)
def test_predictions_have_to_fit_the_rows_and_the_model(
    regressor: TabularRegressor,
    flights: pd.DataFrame,
    tmp_path: Path,
    predictions: npt.NDArray[np.float64],
    message: str,
) -> None:
    with pytest.raises(DataError, match=message):
        tabtext.write_report(
            regressor, flights[2000:], tmp_path / "report.html", predictions=predictions
        )


@pytest.mark.usefixtures("unrendered")
def test_rows_are_drawn_where_they_are_too_many(
    regressor: TabularRegressor, flights: pd.DataFrame, tmp_path: Path
) -> None:
    page = Page(tabtext.write_report(regressor, flights, tmp_path / "report.html", max_rows=50))

    assert page.facts["rows"] == "50"
    assert "They were drawn at random from " in page.text


def test_what_cannot_be_reported_leaves_no_file(
    regressor: TabularRegressor, reader: TextClassifier, flights: pd.DataFrame, tmp_path: Path
) -> None:
    path = tmp_path / "report.html"
    with pytest.raises(UnknownColumnError, match="arr_delay"):
        tabtext.write_report(regressor, flights.drop(columns="arr_delay"), path)
    with pytest.raises(DataError, match="missing in all"):
        tabtext.write_report(regressor, flights.assign(arr_delay=np.nan), path)
    with pytest.raises(ParameterError, match="needs rows"):
        tabtext.write_report(regressor, path=path, learning_rate_finder=True)
    with pytest.raises(ParameterError, match="no learning-rate finder"):
        tabtext.write_report(reader, path=path, learning_rate_finder=True)
    with pytest.raises(ParameterError, match="max_rows=0"):
        tabtext.write_report(regressor, flights, path, max_rows=0)

    assert not path.exists()
