"""The language model as a user meets it: fit, fine-tune, judge, generate, save, resume."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from sklearn.base import clone

import tabtext
from tabtext.datasets import load_snippets
from tabtext.errors import ArtifactError, ColumnTypeError, DataError, ParameterError, TabTextWarning
from tabtext.estimators import LanguageModel
from tabtext.text.rules import TextRules

TINY = {
    "embedding_width": 16,
    "hidden_width": 24,
    "batch_size": 8,
    "learning_rate": 2e-2,
    "verbose": 0,
}


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return load_snippets("movies")["text"].tail(1200).tolist()


@pytest.fixture(scope="module")
def model(texts: list[str]) -> LanguageModel:
    return LanguageModel(epochs=2, **TINY).fit(texts)


def test_a_fitted_model_predicts_better_than_chance(model: LanguageModel, texts: list[str]) -> None:
    assert model.perplexity(texts[:100]) < 0.5 * len(model.preprocessor_.vocabulary_)


def test_validation_perplexity_is_that_of_its_documents(texts: list[str]) -> None:
    model = LanguageModel(epochs=1, **TINY).fit(texts[:400], validation=texts[400:500])

    measured = model.history_.epochs[-1].metrics["perplexity"]

    assert measured == pytest.approx(model.perplexity(texts[400:500]), rel=1e-5)


def test_two_fits_with_one_seed_are_equal(texts: list[str]) -> None:
    first, second = (LanguageModel(epochs=1, **TINY).fit(texts[:200]) for _ in range(2))

    for one, other in zip(
        first.networks_["forward"].parameters(),
        second.networks_["forward"].parameters(),
        strict=True,
    ):
        assert torch.equal(one, other)


def test_fine_tuning_makes_another_model_and_leaves_the_first(
    model: LanguageModel, texts: list[str]
) -> None:
    before = model.perplexity(texts[:50])
    tweets = load_snippets("tweets")["text"].head(800).tolist()

    tuned = model.fine_tune(tweets, epochs=3)

    assert model.perplexity(texts[:50]) == before
    assert tuned.preprocessor_.vocabulary_.tokens != model.preprocessor_.vocabulary_.tokens
    assert tuned.perplexity(tweets[:100]) < len(tuned.preprocessor_.vocabulary_) / 2
    assert tuned.card_["recipe"]["fine_tuned_from"]["train"] == model.card_["rows"]["train"]


def test_shared_words_keep_their_vectors_when_tuning_starts(
    model: LanguageModel, texts: list[str]
) -> None:
    start = model._start("forward", model.preprocessor_, model)

    for name, tensor in model.networks_["forward"].state_dict().items():
        assert torch.equal(start.state_dict()[name], tensor), name


def test_a_saved_model_is_the_same_model(model: LanguageModel, tmp_path: Path) -> None:
    model.save(tmp_path / "lm")

    loaded = tabtext.load(tmp_path / "lm")

    assert isinstance(loaded, LanguageModel)
    assert loaded.perplexity(["A good phone."]) == model.perplexity(["A good phone."])
    assert loaded.get_params() == model.get_params()
    assert loaded.history_.epochs == model.history_.epochs


def test_rules_survive_saving(texts: list[str], tmp_path: Path) -> None:
    rules = TextRules(lower=False, capitalised=False, upper=False)
    LanguageModel(epochs=1, rules=rules, **TINY).fit(texts[:200]).save(tmp_path / "lm")

    loaded = LanguageModel.load(tmp_path / "lm")

    assert loaded.rules == rules
    assert "The" in loaded.preprocessor_.vocabulary_


def test_a_vocabulary_of_another_model_is_refused(
    model: LanguageModel, texts: list[str], tmp_path: Path
) -> None:
    model.save(tmp_path / "one")
    LanguageModel(epochs=1, **TINY).fit(texts[:200]).save(tmp_path / "two")
    for file in (tmp_path / "two" / "preprocessor").iterdir():
        (tmp_path / "one" / "preprocessor" / file.name).write_bytes(file.read_bytes())

    with pytest.raises(ArtifactError, match="vocabulary"):
        tabtext.load(tmp_path / "one")


def test_generated_texts_begin_with_the_prompt_and_repeat_with_the_seed(
    model: LanguageModel,
) -> None:
    first = model.generate("The film", n_tokens=8, n_texts=3, random_state=1)

    assert len(first) == 3
    assert all(text.startswith("The film") for text in first)
    assert first == model.generate("The film", n_tokens=8, n_texts=3, random_state=1)
    assert not any(mark in text for text in first for mark in ("xxmaj", "xxup", "xxbos", "xxunk"))


def test_beams_give_the_likeliest_text_first(model: LanguageModel) -> None:
    found = model.generate("It is", n_tokens=5, n_beams=4, n_texts=2)

    assert len(found) == 2
    assert all(text.startswith("It is") for text in found)


def test_both_directions_have_a_network_each(texts: list[str], tmp_path: Path) -> None:
    model = LanguageModel(epochs=1, direction="both", **TINY).fit(texts[:200])
    model.save(tmp_path / "lm")
    loaded = LanguageModel.load(tmp_path / "lm")

    assert list(loaded.networks_) == ["forward", "backward"]
    for direction in ("forward", "backward"):
        assert loaded.perplexity(texts[:5], direction=direction) == model.perplexity(
            texts[:5], direction=direction
        )


def test_a_backward_model_generates_nothing(texts: list[str]) -> None:
    model = LanguageModel(epochs=1, direction="backward", **TINY).fit(texts[:200])

    with pytest.raises(ParameterError, match="backward only"):
        model.generate("The")


def test_an_adaptive_softmax_learns_and_survives_saving(texts: list[str], tmp_path: Path) -> None:
    model = LanguageModel(epochs=2, softmax="adaptive", min_frequency=1, **TINY).fit(texts)
    model.save(tmp_path / "lm")

    loaded = LanguageModel.load(tmp_path / "lm")

    assert model.perplexity(texts[:50]) < 0.5 * len(model.preprocessor_.vocabulary_)
    assert loaded.perplexity(texts[:50]) == model.perplexity(texts[:50])


@pytest.mark.parametrize("cell", ["gru", "irnn"])
def test_other_cells_learn(texts: list[str], cell: str) -> None:
    model = LanguageModel(epochs=2, cell=cell, **TINY).fit(texts[:600])

    assert model.perplexity(texts[:50]) < 0.7 * len(model.preprocessor_.vocabulary_)


def test_subwords_leave_nothing_unknown(texts: list[str]) -> None:
    model = LanguageModel(epochs=1, tokens="bpe", max_vocabulary=400, **TINY).fit(texts[:300])

    documents = model.preprocessor_.transform(["Supercalifragilistic!"])

    assert 0 not in documents[0]
    assert model.perplexity(texts[:20]) < 400


def test_kinds_of_input_give_the_same_model(texts: list[str], tmp_path: Path) -> None:
    few = texts[:150]
    path = tmp_path / "texts.parquet"
    pd.DataFrame({"text": few}).to_parquet(path)
    kinds = [few, pd.Series(few), np.array(few, dtype=object), pa.array(few), {"text": few}, path]

    perplexities = {LanguageModel(epochs=1, **TINY).fit(kind).perplexity(few) for kind in kinds}

    assert len(perplexities) == 1


def test_missing_texts_are_counted_and_said(texts: list[str]) -> None:
    with pytest.warns(TabTextWarning, match="2"):
        LanguageModel(epochs=1, **TINY).fit([*texts[:100], None, float("nan")])


def test_interrupted_checkpoints_are_taken_up(texts: list[str], tmp_path: Path) -> None:
    class Stop(tabtext.training.Callback):
        def step_ended(self, run: object) -> None:
            if run.step == 5:
                raise KeyboardInterrupt

    whole = LanguageModel(epochs=2, **TINY).fit(texts[:300])
    again = LanguageModel(epochs=2, **TINY)
    checkpoints = tabtext.training.Checkpoints(tmp_path / "checkpoints", every_steps=2)
    with pytest.raises(KeyboardInterrupt):
        again.fit(texts[:300], callbacks=[Stop()], checkpoints=checkpoints)
    again.fit(texts[:300], resume=tmp_path / "checkpoints")

    for one, other in zip(
        whole.networks_["forward"].parameters(),
        again.networks_["forward"].parameters(),
        strict=True,
    ):
        assert torch.equal(one, other)


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        ([], DataError, "no texts"),
        (["", "  "], DataError, "token"),
        ([None, None], DataError, "token"),
        ("a single text", ColumnTypeError, "single text"),
        ([1, 2], ColumnTypeError, "number"),
    ],
)
@pytest.mark.filterwarnings("ignore::tabtext.errors.TabTextWarning")
def test_bad_corpora_are_refused(given: object, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        LanguageModel(epochs=1, **TINY).fit(given)


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"size": "huge"}, "size"),
        ({"tokens": "letters"}, "tokens"),
        ({"direction": "sideways"}, "direction"),
        ({"softmax": "none"}, "softmax"),
        ({"bptt": 1}, "bptt"),
        ({"cell": "qrnn"}, "cell"),
        ({"dropout_scale": -1}, "dropout"),
        ({"n_layers": 0}, "n_layers"),
    ],
)
def test_bad_parameters_are_refused_before_the_work(parameters: dict, says: str) -> None:
    with pytest.raises(ParameterError, match=says):
        LanguageModel(**parameters).fit(["never read"])


def test_unicode_of_all_kinds_is_read(texts: list[str]) -> None:
    odd = ["שלום עולם", "你好世界", "👩‍👩‍👧‍👦 🎉🎉🎉", "a\x00b\x07", "é" * 50, "x" * 100_000]
    model = LanguageModel(epochs=1, **TINY).fit([*texts[:100], *odd * 3])

    assert np.isfinite(model.perplexity(odd))


def test_a_clone_is_not_fitted(model: LanguageModel) -> None:
    copy = clone(model)

    assert copy.get_params() == model.get_params()
    assert not hasattr(copy, "networks_")
