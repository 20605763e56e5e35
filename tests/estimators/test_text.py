"""Text classifiers and regressors as a user meets them."""

from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score

import tabtext
from tabtext.datasets import load_snippets
from tabtext.errors import (
    ColumnTypeError,
    DataError,
    ParameterError,
    TabTextWarning,
    UnknownColumnError,
)
from tabtext.estimators import LanguageModel, TextClassifier, TextRegressor, voting

TINY = {"embedding_width": 16, "hidden_width": 24, "verbose": 0, "batch_size": 16}


@pytest.fixture(scope="module")
def movies() -> pd.DataFrame:
    """Sentences whose sentiment one of two words gives away."""
    frame = load_snippets("movies").head(300)
    positive = frame["rating"] > 0
    text = frame["text"] + np.where(positive, " Wonderful .", " Dreadful .")
    return pd.DataFrame({"text": text, "label": np.where(positive, "pos", "neg")})


@pytest.fixture(scope="module")
def language_model(movies: pd.DataFrame) -> LanguageModel:
    return LanguageModel(epochs=2, direction="both", **TINY).fit(movies["text"])


@pytest.fixture(scope="module")
def classifier(movies: pd.DataFrame) -> TextClassifier:
    return TextClassifier(epochs=6, learning_rate=1e-2, **TINY).fit(movies["text"], movies["label"])


def test_a_classifier_learns_what_a_word_gives_away(
    classifier: TextClassifier, movies: pd.DataFrame
) -> None:
    assert classifier.score(movies["text"], movies["label"]) > 0.95
    assert classifier.classes_.tolist() == ["neg", "pos"]
    probabilities = classifier.predict_proba(movies["text"][:5])
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)


def test_predictions_do_not_depend_on_the_batch(
    classifier: TextClassifier, movies: pd.DataFrame
) -> None:
    texts = ["", "Wonderful .", *movies["text"][:40], "word " * 3000, "?"]

    together = classifier.predict_proba(texts)
    alone = np.concatenate([classifier.predict_proba([text]) for text in texts])
    backwards = classifier.predict_proba(texts[::-1])[::-1]

    np.testing.assert_allclose(together, alone, atol=1e-6)
    np.testing.assert_allclose(together, backwards, atol=1e-6)


def test_several_texts_get_several_answers(classifier: TextClassifier) -> None:
    assert classifier.predict(["a", "b"]).shape == (2,)
    assert classifier.predict(["a"]).shape == (1,)
    assert classifier.predict([]).shape == (0,)


def test_a_language_model_gives_tokens_and_encoder(
    language_model: LanguageModel, movies: pd.DataFrame
) -> None:
    model = TextClassifier(language_model=language_model, epochs=6, verbose=0, batch_size=16)
    model.set_params(learning_rate=1e-2, unfreezing="gradual")
    model.fit(movies["text"], movies["label"])

    known = language_model.preprocessor_.vocabulary_.tokens
    assert model.preprocessor_.vocabulary_.tokens[: len(known)] == known
    assert [phase["freeze_to"] for phase in model.card_["recipe"]["phases"]] == [3, 2, 1, 0]
    assert model.score(movies["text"], movies["label"]) > 0.8


def test_the_encoder_learns_with_the_head(
    language_model: LanguageModel, movies: pd.DataFrame
) -> None:
    model = TextClassifier(language_model=language_model, epochs=1, verbose=0)
    model.fit(movies["text"], movies["label"])

    assert "phases" not in model.card_["recipe"]


def test_a_frozen_encoder_keeps_the_language_models_weights(
    language_model: LanguageModel, movies: pd.DataFrame
) -> None:
    head_only = {"phases": (tabtext.training.Phase(epochs=1, freeze_to=-1),)}
    model = TextClassifier(
        language_model=language_model, training=head_only, averaging=None, verbose=0
    )
    model.fit(movies["text"], movies["label"])

    before = language_model.networks_["forward"].encoder.state_dict()
    for name, tensor in model.networks_["forward"].encoder.state_dict().items():
        same = torch.equal(tensor[: len(before[name])], before[name])
        assert same == (name != "embedding.weight"), name  # which turned to the texts


def test_words_that_the_language_model_lacks_are_learned(language_model: LanguageModel) -> None:
    texts = ["a zxqy film", "a film", "zxqy plot zxqy", "a plot"] * 20
    labels = ["zxqy" in text for text in texts]

    model = TextClassifier(language_model=language_model, epochs=1, verbose=0).fit(texts, labels)

    assert "zxqy" not in language_model.preprocessor_.vocabulary_
    assert "zxqy" in model.preprocessor_.vocabulary_
    assert model.score(texts, labels) == 1.0


def test_linear_models_vote_and_are_saved(
    language_model: LanguageModel, movies: pd.DataFrame, tmp_path: Path
) -> None:
    model = TextClassifier(language_model=language_model, epochs=1, verbose=0)
    model.fit(movies["text"], movies["label"]).save(tmp_path / "votes")
    loaded = tabtext.load(tmp_path / "votes")

    linear = ["ngrams", "frequencies", "words"]
    assert list(loaded.linear_) == list(model.linear_) == linear
    assert list(loaded.mixing_) == list(model.mixing_) == ["network", *linear]
    documents = model.preprocessor_.transform(movies["text"])
    raws = model._voters().raws(documents, model.target_)
    total = sum(w * raw.double() for w, raw in zip(model.mixing_.values(), raws, strict=True))
    np.testing.assert_allclose(
        model.predict_proba(movies["text"]), total.softmax(dim=1).numpy(), atol=1e-12
    )
    np.testing.assert_array_equal(
        loaded.predict_proba(movies["text"]), model.predict_proba(movies["text"])
    )


def test_the_parameters_of_the_next_fit_change_no_saved_model(
    movies: pd.DataFrame, tmp_path: Path
) -> None:
    model = TextClassifier(epochs=1, **TINY).fit(movies["text"], movies["label"])
    expected = model.predict_proba(movies["text"])

    model.set_params(ngrams=0).save(tmp_path / "model")

    loaded = tabtext.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict_proba(movies["text"]), expected)


def test_neighbours_of_words_are_counted_once_for_both_directions(
    language_model: LanguageModel, movies: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tabtext.estimators import origin

    counted = []
    count = origin.word_vectors
    monkeypatch.setattr(
        origin, "word_vectors", lambda *a, **more: counted.append(a) or count(*a, **more)
    )
    model = TextClassifier(
        language_model=language_model, direction="both", epochs=1, ngrams=0, verbose=0
    )
    model.fit(movies["text"][:60], movies["label"][:60])

    assert len(counted) == 1


def test_ngrams_without_numbers_are_refused_before_the_network_is_trained(
    movies: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tabtext.text.ngrams._LARGEST", 10_000)
    begun = []

    class Begun(tabtext.training.Callback):
        def step_ended(self, run: object) -> None:
            begun.append(run)

    with pytest.raises(ParameterError, match="64 bits"):
        TextClassifier(epochs=1, **TINY).fit(movies["text"], movies["label"], callbacks=[Begun()])
    assert not begun


def test_a_network_without_a_vote_is_not_asked(
    movies: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = TextClassifier(epochs=1, **TINY).fit(movies["text"], movies["label"])
    documents = model.preprocessor_.transform(movies["text"])
    _, ngrams, frequencies = model._voters().raws(documents, model.target_)

    def asked(*_: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(voting, "predict_documents", asked)
    model.mixing_ = {"network": 0.1, "ngrams": 0.5, "frequencies": 0.25}
    with pytest.raises(AssertionError, match="was asked"):
        model.predict_proba(movies["text"])
    model.mixing_ |= {"network": 0.0}

    expected = (0.5 * ngrams.double() + 0.25 * frequencies.double()).softmax(dim=1).numpy()
    np.testing.assert_allclose(model.predict_proba(movies["text"]), expected, atol=1e-12)
    assert np.isfinite(model.explain("A Wonderful film").contributions).all()


def test_the_scale_of_sample_weights_changes_nothing(movies: pd.DataFrame) -> None:
    def probabilities(weight: float) -> np.ndarray:
        model = TextClassifier(epochs=1, **TINY)
        weights = np.full(len(movies), weight)
        model.fit(movies["text"], movies["label"], sample_weight=weights)
        return model.predict_proba(movies["text"])

    plain = probabilities(1.0)
    np.testing.assert_allclose(probabilities(1 / 1024), plain, atol=1e-3)
    np.testing.assert_allclose(probabilities(1024.0), plain, atol=1e-3)


def test_without_validation_rows_the_network_has_half_a_vote(movies: pd.DataFrame) -> None:
    model = TextClassifier(epochs=1, validation_fraction=0, **TINY)
    model.fit(movies["text"], movies["label"])

    network, *linear = model.mixing_.values()
    assert list(model.mixing_) == ["network", "ngrams", "frequencies"]
    assert network == 0.5
    assert sum(linear) > 0.5  # surer of themselves than they have to be, on these sentences


def test_the_network_may_be_alone(movies: pd.DataFrame) -> None:
    model = TextClassifier(epochs=1, ngrams=0, **TINY).fit(movies["text"], movies["label"])

    assert model.linear_ == {}
    assert model.mixing_ == {"network": 1.0}


@pytest.mark.parametrize("ngrams", [-1, 4, 1.5, "2"])
def test_ngrams_of_no_use_are_refused(ngrams: object, movies: pd.DataFrame) -> None:
    with pytest.raises(ParameterError, match="ngrams"):
        TextClassifier(ngrams=ngrams, **TINY).fit(movies["text"], movies["label"])


def test_several_labels_have_linear_models_of_their_own(movies: pd.DataFrame) -> None:
    labels = pd.DataFrame(
        {
            "positive": movies["label"] == "pos",
            "long": movies["text"].str.len() > 120,
        }
    )
    model = TextClassifier(epochs=1, **TINY).fit(movies["text"], labels)

    assert model.linear_["ngrams"].bias.shape == (2,)
    assert model.evaluate(movies["text"], labels)["accuracy"] > 0.6


def test_both_directions_are_averaged(
    language_model: LanguageModel, movies: pd.DataFrame, tmp_path: Path
) -> None:
    model = TextClassifier(
        language_model=language_model,
        direction="both",
        epochs=2,
        ngrams=0,
        verbose=0,
        batch_size=16,
    ).fit(movies["text"], movies["label"])
    model.save(tmp_path / "both")
    loaded = tabtext.load(tmp_path / "both")

    assert list(loaded.networks_) == ["forward", "backward"]
    whole = model.predict_proba(movies["text"][:9])
    parts = []
    for direction in ("forward", "backward"):
        loaded.networks_ = {direction: model.networks_[direction]}
        parts.append(loaded.predict_proba(movies["text"][:9]))
    np.testing.assert_allclose(whole, np.mean(parts, axis=0), atol=1e-7)


def test_a_missing_direction_is_refused(movies: pd.DataFrame) -> None:
    forward = LanguageModel(epochs=1, **TINY).fit(movies["text"])

    with pytest.raises(ParameterError, match="backward"):
        TextClassifier(language_model=forward, direction="both", verbose=0).fit(
            movies["text"], movies["label"]
        )


def test_a_saved_classifier_predicts_the_same(
    classifier: TextClassifier, movies: pd.DataFrame, tmp_path: Path
) -> None:
    classifier.save(tmp_path / "model")

    loaded = TextClassifier.load(tmp_path / "model")

    np.testing.assert_array_equal(
        loaded.predict_proba(movies["text"]), classifier.predict_proba(movies["text"])
    )
    assert not list((tmp_path / "model").rglob("*.pkl"))


def test_several_columns_are_read_in_their_order(movies: pd.DataFrame) -> None:
    table = pd.DataFrame({"title": ["A film"] * len(movies), "body": movies["text"]})
    table["label"] = movies["label"]
    model = TextClassifier(epochs=1, **TINY).fit(table, target="label")

    assert model.feature_names_in_.tolist() == ["title", "body"]
    tokens = model.preprocessor_.vocabulary_.tokens_of(model._features(table.head(1))[0])
    assert tokens.count("xxfld") == 2
    shuffled = table[["label", "body", "title"]]
    np.testing.assert_array_equal(model.predict_proba(shuffled), model.predict_proba(table))


def test_several_labels_may_hold_at_once(movies: pd.DataFrame) -> None:
    labels = pd.DataFrame(
        {"good": movies["label"] == "pos", "long": movies["text"].str.len() > 100}
    )

    model = TextClassifier(epochs=2, **TINY).fit(movies["text"], labels)

    assert model.predict_proba(movies["text"][:7]).shape == (7, 2)
    assert model.target_names_ == ["good", "long"]


def test_class_weights_move_the_predictions() -> None:
    movies = load_snippets("movies").query("rating != 0").sample(400, random_state=0)
    labels = np.where(movies["rating"] > 0, "pos", "neg")
    settings = {"epochs": 2, **TINY}
    plain = TextClassifier(**settings).fit(movies["text"], labels)
    weighted = TextClassifier(class_weight={"pos": 20.0, "neg": 1.0}, **settings)
    weighted.fit(movies["text"], labels)

    share = [m.predict_proba(movies["text"])[:, 1].mean() for m in (plain, weighted)]
    assert share[1] > share[0] + 0.05


def rated(n_rows: int, n_positive: int) -> tuple[pd.Series, np.ndarray]:
    """Sentences that are hard to tell apart, so many of them praise."""
    positive = load_snippets("movies")["rating"] > 0
    texts = load_snippets("movies")["text"]
    praise, blame = texts[positive][:n_positive], texts[~positive][: n_rows - n_positive]
    labels = np.repeat(["pos", "neg"], [len(praise), len(blame)])
    return pd.concat([praise, blame]), labels


def test_class_weights_and_the_same_weights_of_rows_give_the_same_votes() -> None:
    texts, labels = rated(400, 80)
    by_class = TextClassifier(epochs=1, class_weight={"pos": 4.0}, **TINY).fit(texts, labels)
    by_row = TextClassifier(epochs=1, **TINY)
    by_row.fit(texts, labels, sample_weight=np.where(labels == "pos", 4.0, 1.0))

    assert by_class.mixing_ == pytest.approx(by_row.mixing_)


def test_balanced_votes_count_the_classes_of_the_training_rows() -> None:
    training, validation = rated(300, 60), rated(200, 150)
    models = [
        TextClassifier(epochs=1, class_weight=weight, **TINY).fit(*training, validation=validation)
        for weight in ("balanced", {"pos": 300 / 120, "neg": 300 / 480}, None)
    ]
    balanced, weighted, plain = (model.mixing_ for model in models)

    assert balanced == pytest.approx(weighted)
    assert balanced != pytest.approx(plain)


def test_metrics_of_validation_rows_leave_classes_as_they_are() -> None:
    texts, labels = rated(300, 60)
    model = TextClassifier(epochs=1, class_weight="balanced", **TINY)
    model.fit(texts, labels, validation=(texts, labels))

    judged = model.evaluate(texts, labels)

    assert model.card_["metrics"] == pytest.approx(judged)


def test_validation_rows_that_weigh_nothing_leave_the_votes_as_they_begin() -> None:
    texts, labels = rated(300, 60)
    model = TextClassifier(epochs=1, class_weight={"neg": 0.0}, **TINY)
    blame = labels == "neg"
    model.fit(texts, labels, validation=(texts[blame], labels[blame]))

    assert model.mixing_["network"] == 0.0


def test_a_regressor_predicts_ratings(movies: pd.DataFrame, tmp_path: Path) -> None:
    ratings = np.where(movies["label"] == "pos", 3.0, -2.0)
    model = TextRegressor(epochs=6, learning_rate=1e-2, **TINY).fit(movies["text"], ratings)
    model.save(tmp_path / "ratings")

    assert model.score(movies["text"], ratings) > 0.6
    np.testing.assert_array_equal(
        tabtext.load(tmp_path / "ratings").predict(movies["text"][:5]),
        model.predict(movies["text"][:5]),
    )


def test_kinds_of_tables_give_the_same_predictions(movies: pd.DataFrame, tmp_path: Path) -> None:
    model = TextClassifier(epochs=1, **TINY).fit(movies, target="label")
    movies.to_parquet(tmp_path / "movies.parquet")
    movies.to_json(tmp_path / "movies.jsonl", orient="records", lines=True)
    expected = model.predict_proba(movies["text"])

    for kind in (
        movies,
        pl.from_pandas(movies),
        pa.Table.from_pandas(movies),
        movies["text"].tolist(),
        tmp_path / "movies.parquet",
        tmp_path / "movies.jsonl",
    ):
        np.testing.assert_array_equal(model.predict_proba(kind), expected)


def test_folders_of_files_are_read_with_their_labels(movies: pd.DataFrame, tmp_path: Path) -> None:
    for row, (text, label) in enumerate(movies.head(60).itertuples(index=False)):
        (tmp_path / label).mkdir(exist_ok=True)
        (tmp_path / label / f"{row:03}.txt").write_text(text)

    model = TextClassifier(epochs=1, **TINY).fit(tmp_path, target="label")

    assert model.classes_.tolist() == ["neg", "pos"]
    assert len(model.predict(tmp_path)) == 60


def test_scikit_learn_tools_work_and_keep_the_language_model(
    language_model: LanguageModel, movies: pd.DataFrame
) -> None:
    model = TextClassifier(language_model=language_model, epochs=1, verbose=0)

    assert clone(model).language_model is language_model
    scores = cross_val_score(model, movies["text"][:150], movies["label"][:150], cv=2)
    assert np.isfinite(scores).all()
    search = GridSearchCV(TextClassifier(**TINY), {"epochs": [1, 2]}, cv=2)
    search.fit(movies["text"][:100].to_numpy(), movies["label"][:100].to_numpy())
    assert search.best_params_["epochs"] in (1, 2)


def test_two_fits_with_one_seed_are_equal(movies: pd.DataFrame) -> None:
    first, second = (
        TextClassifier(epochs=1, **TINY).fit(movies["text"], movies["label"]) for _ in range(2)
    )

    np.testing.assert_array_equal(
        first.predict_proba(movies["text"]), second.predict_proba(movies["text"])
    )


def test_an_interrupted_fit_is_taken_up_bit_for_bit(movies: pd.DataFrame, tmp_path: Path) -> None:
    class Stop(tabtext.training.Callback):
        def step_ended(self, run: object) -> None:
            if run.step == 25:
                raise KeyboardInterrupt

    whole = TextClassifier(epochs=2, **TINY).fit(movies["text"], movies["label"])
    again = TextClassifier(epochs=2, **TINY)
    checkpoints = tabtext.training.Checkpoints(tmp_path / "checkpoints", every_steps=7)
    with pytest.raises(KeyboardInterrupt):
        again.fit(movies["text"], movies["label"], callbacks=[Stop()], checkpoints=checkpoints)
    again.fit(movies["text"], movies["label"], resume=tmp_path / "checkpoints")

    np.testing.assert_array_equal(
        whole.predict_proba(movies["text"]), again.predict_proba(movies["text"])
    )


@pytest.mark.parametrize("method", ["gradient", "occlusion"])
def test_explanations_name_every_token(classifier: TextClassifier, method: str) -> None:
    told = classifier.explain("A Wonderful film", method=method)

    assert list(told.tokens[:2]) == ["xxbos", "xxmaj"]
    assert "wonderful" in told.tokens
    assert np.isfinite(told.contributions).all()
    assert len(told.contributions) == len(told.tokens)


def test_the_telling_word_contributes_most(classifier: TextClassifier) -> None:
    told = classifier.explain("It is a Wonderful film", output="pos", method="occlusion")

    assert told.tokens[int(np.argmax(told.contributions))] == "wonderful"


# -- bad input -------------------------------------------------------------------------------------


def test_one_class_is_refused(movies: pd.DataFrame) -> None:
    with pytest.raises(DataError, match="two classes"):
        TextClassifier(epochs=1, **TINY).fit(movies["text"], ["pos"] * len(movies))


def test_labels_that_were_not_there_at_the_fit_are_refused(
    classifier: TextClassifier, movies: pd.DataFrame
) -> None:
    with pytest.raises(DataError, match="neutral"):
        classifier.evaluate(movies["text"][:3], ["pos", "neutral", "neg"])


def test_missing_texts_are_read_as_empty_and_said(
    classifier: TextClassifier, movies: pd.DataFrame
) -> None:
    with pytest.warns(TabTextWarning, match="1"):
        found = classifier.predict_proba(["Wonderful .", None])

    np.testing.assert_allclose(found[1], classifier.predict_proba([""])[0], atol=1e-7)


def test_only_unknown_words_get_an_answer(classifier: TextClassifier) -> None:
    assert np.isfinite(classifier.predict_proba(["qwzx vbnm", "日本語", "🙂🙂"])).all()


def test_a_megabyte_in_one_row_is_read(classifier: TextClassifier) -> None:
    assert np.isfinite(classifier.predict_proba(["wonderful film " * 70_000])).all()


@pytest.mark.parametrize("given", [[1, 2], [["a"], ["b"]], "one text", "x" * 5000, "nul \0", 3])
def test_what_is_no_text_is_refused(classifier: TextClassifier, given: object) -> None:
    with pytest.raises((ColumnTypeError, UnknownColumnError)):
        classifier.predict(given)


def test_a_column_that_is_not_there_is_named(movies: pd.DataFrame) -> None:
    model = TextClassifier(epochs=1, **TINY).fit(movies, target="label")

    with pytest.raises(UnknownColumnError, match="text"):
        model.predict(movies.rename(columns={"text": "txet"}))


def test_a_table_without_text_is_refused(movies: pd.DataFrame) -> None:
    with pytest.raises(DataError, match="text"):
        TextClassifier(epochs=1, **TINY).fit(pd.DataFrame({"x": [1.0] * 4}), [*"abab"])


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"unfreezing": "slow"}, "unfreezing"),
        ({"language_model": 3}, "language_model"),
        ({"language_model": "no/such/model"}, "no saved model"),
        ({"unfreezing": "gradual", "learning_rate": (1e-3, 1e-2)}, "joint"),
        ({"head_dropout": 1.5}, "dropout"),
        ({"gradient_length": 0}, "gradient_length"),
    ],
)
def test_bad_parameters_are_refused(parameters: dict, says: str, movies: pd.DataFrame) -> None:
    with pytest.raises((ParameterError, FileNotFoundError), match=says):
        TextClassifier(**{"epochs": 1, **TINY, **parameters}).fit(movies["text"], movies["label"])


def test_an_unfitted_language_model_is_refused(movies: pd.DataFrame) -> None:
    with pytest.raises(ParameterError, match=r"language_model is .* not fitted; call its fit"):
        TextClassifier(language_model=LanguageModel()).fit(movies["text"], movies["label"])


def test_texts_of_unsup_are_no_third_class(tmp_path: Path) -> None:
    for label in ("pos", "neg", "unsup"):
        (tmp_path / label).mkdir()
        for number in range(20):
            text = f"a {label} film number {number}"
            (tmp_path / label / f"{number}.txt").write_text(text)

    with pytest.warns(TabTextWarning, match=r"20 texts in .*unsup have no label"):
        model = TextClassifier(min_frequency=1, **{**TINY, "epochs": 1}).fit(
            tmp_path, target="label"
        )

    assert model.classes_.tolist() == ["neg", "pos"]
    assert model.card_["rows"]["given"] == 60
    assert model.card_["rows"]["target_missing"] == 20
