"""The language model as a user meets it: fit, fine-tune, judge, generate, save, resume."""

import copy
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import rich.console
import torch
from sklearn.base import clone

import tabtext
from tabtext.datasets import load_snippets
from tabtext.errors import (
    ArtifactError,
    ColumnTypeError,
    DataError,
    FileFormatError,
    ParameterError,
    TabTextWarning,
)
from tabtext.estimators import LanguageModel, TextClassifier
from tabtext.text.files import read_text_file
from tabtext.text.reading import read_texts
from tabtext.text.rules import TextRules
from tabtext.text.tokenization import WordTokenizer
from tabtext.text.vocabulary import Vocabulary

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
    assert tuned.card_["language_model"]["rows"]["train"] == model.card_["rows"]["train"]


def test_shared_words_keep_their_vectors_when_tuning_starts(
    model: LanguageModel, texts: list[str]
) -> None:
    start, _ = model._start("forward", model.preprocessor_, model, None)

    for name, tensor in model.networks_["forward"].state_dict().items():
        assert torch.equal(start.state_dict()[name], tensor), name


def test_a_saved_model_is_the_same_model(model: LanguageModel, tmp_path: Path) -> None:
    model.save(tmp_path / "lm")

    loaded = tabtext.load(tmp_path / "lm")

    assert isinstance(loaded, LanguageModel)
    assert loaded.perplexity(["A good phone."]) == model.perplexity(["A good phone."])
    assert loaded.get_params() == model.get_params()
    assert loaded.history_.epochs == model.history_.epochs


def test_a_packed_model_is_nearly_the_same_model_in_less_space(
    model: LanguageModel, texts: list[str], tmp_path: Path
) -> None:
    for name in ("plain", "packed"):
        model.save(tmp_path / name, packed=name == "packed")

    packed = LanguageModel.load(tmp_path / "packed")

    sizes = [(tmp_path / n / "weights.safetensors").stat().st_size for n in ("plain", "packed")]
    assert sizes[1] < 0.6 * sizes[0]  # only the word vectors are large here
    assert packed.perplexity(texts[:100]) == pytest.approx(model.perplexity(texts[:100]), rel=0.01)
    assert packed.get_params() == model.get_params()
    tuned = packed.fine_tune(texts[:100], epochs=1)
    assert tuned.networks_["forward"].encoder.embedding.weight.dtype == torch.float32


def test_a_packed_model_keeps_few_points_of_its_curves(
    model: LanguageModel, tmp_path: Path
) -> None:
    long = copy.deepcopy(model)
    long.history_.step_losses *= 100
    assert len(long.history_.step_losses) > 1000
    long.save(tmp_path / "packed", packed=True)
    long.save(tmp_path / "plain")

    packed, plain = (LanguageModel.load(tmp_path / name) for name in ("packed", "plain"))

    assert 100 <= len(packed.history_.step_losses) <= 200
    assert packed.history_.epochs == plain.history_.epochs == model.history_.epochs
    assert plain.history_.step_losses == long.history_.step_losses


def test_a_loaded_model_that_was_packed_packs_to_the_same_weights(
    model: LanguageModel, tmp_path: Path
) -> None:
    model.save(tmp_path / "first", packed=True)
    LanguageModel.load(tmp_path / "first").save(tmp_path / "second", packed=True)

    first, second = (
        (tmp_path / name / "weights.safetensors").read_bytes() for name in ("first", "second")
    )
    assert first == second


def test_loading_leaves_random_numbers_as_they_were(model: LanguageModel, tmp_path: Path) -> None:
    model.save(tmp_path / "lm")
    before = torch.get_rng_state()

    LanguageModel.load(tmp_path / "lm")

    assert torch.equal(torch.get_rng_state(), before)


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

    with pytest.raises(ArtifactError, match="of another model: its vocabulary is"):
        tabtext.load(tmp_path / "one")


@pytest.mark.parametrize("differs", ["vocabulary", "tokenizer", "columns"])
def test_the_preprocessor_of_a_model_of_the_same_size_is_refused(
    model: LanguageModel, tmp_path: Path, differs: str
) -> None:
    model.save(tmp_path / "lm")
    other = copy.deepcopy(model.preprocessor_)
    if differs == "vocabulary":
        known = other.vocabulary_
        first, second, *rest = known.tokens[9:]
        other.vocabulary_ = Vocabulary((*known.tokens[:9], second, first, *rest), known.counts)
    elif differs == "tokenizer":
        other.tokenizer_ = WordTokenizer(language="de")
    else:
        other.columns_ = ["review"]
    other.save(tmp_path / "lm" / "preprocessor")

    with pytest.raises(ArtifactError, match=f"of another model: its {differs} is"):
        tabtext.load(tmp_path / "lm")


def test_a_model_that_does_not_know_its_preprocessor_is_damaged(
    model: LanguageModel, tmp_path: Path
) -> None:
    model.save(tmp_path / "lm")
    config = json.loads((tmp_path / "lm" / "config.json").read_text())
    del config["preprocessor"]
    (tmp_path / "lm" / "config.json").write_text(json.dumps(config))

    with pytest.raises(ArtifactError, match=r"is damaged .*'preprocessor'"):
        tabtext.load(tmp_path / "lm")


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


# -- generated texts -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "prompt", ["zzz qqq", "The  film \t", "a<br />b", "One.\n\nTwo", "", "Schön (", " x"]
)
def test_a_prompt_comes_back_as_it_was_given(model: LanguageModel, prompt: str) -> None:
    (text,) = model.generate(prompt, n_tokens=5)

    assert text.startswith(prompt)
    assert not text[len(prompt) :].startswith("  ")


def test_a_continuation_is_set_apart_from_its_prompt(model: LanguageModel) -> None:
    apart, joined = (model.generate(prompt, n_tokens=5)[0] for prompt in ("a film", "a film "))

    assert apart == joined.replace("film  ", "film ")


def test_a_model_of_several_columns_continues_the_first(texts: list[str], tmp_path: Path) -> None:
    columns = {"title": texts[:100], "text": texts[100:200], "note": texts[200:300]}
    model = LanguageModel(epochs=1, text_columns=list(columns), **TINY).fit(columns)

    for found in (*model.generate("A film", n_texts=2), *model.generate("A film", n_beams=2)):
        assert found.startswith("A film")
        assert "xxfld" not in found


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"temperature": float("inf")}, "temperature=inf must be a number above 0"),
        ({"top_k": 2.5}, "top_k=2.5 must be a whole number"),
        ({"n_tokens": 2.5}, "n_tokens=2.5 must be a whole number"),
        ({"n_tokens": "5"}, "n_tokens='5' must be a whole number"),
        ({"n_texts": 0}, "n_texts=0 must be a whole number"),
        ({"random_state": 2**70}, "random_state=1180591620717411303424 must be a whole number"),
        ({"random_state": "a"}, "random_state='a' must be a whole number"),
        ({"random_state": -1}, "random_state=-1 must be a whole number"),
        ({"n_beams": 2, "n_texts": 3}, "n_texts=3, n_beams=2: a search returns no more"),
        ({"n_beams": 2, "top_k": 5}, "top_k cannot be chosen with n_beams"),
        ({"n_beams": 2, "temperature": 1.0, "top_p": None}, "temperature, top_p cannot be chosen"),
        ({"prompt": None}, "prompt=None is a NoneType; give a single text"),
        ({"prompt": ["a"]}, "is a list; give a single text"),
    ],
)
def test_what_no_text_can_be_generated_with_is_refused(
    model: LanguageModel, wrong: dict[str, object], says: str
) -> None:
    with pytest.raises(ParameterError) as error:
        model.generate(**wrong)

    assert says in str(error.value)


@pytest.mark.parametrize("temperature", [1e-40, 1e300])
def test_any_temperature_above_zero_gives_texts(model: LanguageModel, temperature: float) -> None:
    assert len(model.generate("The", n_tokens=5, n_texts=2, temperature=temperature)) == 2


# -- what is learned from, and what it says --------------------------------------------------------


def test_columns_that_nobody_chose_are_said(texts: list[str], tmp_path: Path) -> None:
    frame = pd.DataFrame({"text": texts[:60], "label": ["pos", "neg"] * 30})
    frame.to_csv(tmp_path / "d.csv", index=False)
    quick = {**TINY, "epochs": 1, "min_frequency": 1}

    with pytest.warns(TabTextWarning, match=r"2 columns .* read: 'text', 'label'.*--text-column"):
        model = LanguageModel(**quick).fit(tmp_path / "d.csv")
    assert model.preprocessor_.columns_ == ["text", "label"]

    LanguageModel(text_columns=["text", "label"], **quick).fit(tmp_path / "d.csv")  # in silence
    with pytest.warns(TabTextWarning, match="2 columns"):
        model.fine_tune(frame)


def test_unknown_words_are_a_share_of_words_not_of_marks(model: LanguageModel) -> None:
    scores = model.evaluate(["A qwzx film qwzy"])  # xxbos xxmaj a xxunk film xxunk xxeos

    assert scores["unknown"] == 0.5


def test_the_card_says_the_share_of_unknown_words(texts: list[str]) -> None:
    model = LanguageModel(epochs=1, validation_fraction=0.0, **TINY).fit(texts[:200])

    assert model.card_["tokens"]["unknown"] == model.evaluate(texts[:200])["unknown"] > 0


def test_words_that_are_all_too_rare_are_refused(texts: list[str]) -> None:
    with pytest.raises(DataError, match="no word to learn"):
        LanguageModel(min_frequency=10_000, **TINY).fit(texts[:50])


# -- fine-tuning -----------------------------------------------------------------------------------


def test_the_card_of_fine_tuning_counts_shared_words(model: LanguageModel) -> None:
    tuned = model.fine_tune(load_snippets("tweets")["text"].head(300).tolist(), epochs=1)

    before, after = (set(m.preprocessor_.vocabulary_.tokens) for m in (model, tuned))
    assert tuned.card_["tokens"]["of_fine_tuning"] == {
        "shared": len(before & after),
        "new": len(after - before),
        "dropped": len(before - after),
    }
    assert "of_fine_tuning" not in model.card_["tokens"]


def test_texts_of_other_words_are_said(model: LanguageModel) -> None:
    foreign = ["grüße aus übersee", "schöne müde vögel", "fröhliche hörer", "süße äpfel"] * 10

    with pytest.warns(TabTextWarning, match=r"knew only 0 of the 10 words .* another language"):
        model.fine_tune(foreign, epochs=1)


def test_a_direction_that_the_origin_lacks_is_refused_before_the_work(
    model: LanguageModel, texts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(model.preprocessor_), "fit_transform", None)
    for direction in ("both", "backward"):
        origin = copy.copy(model).set_params(direction=direction)

        with pytest.raises(ParameterError, match=r"a backward network .* only a forward"):
            origin.fine_tune(texts[:100])


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"cell": "gru"}, "cell='gru', however: .* has cell='lstm'"),
        ({"softmax": "adaptive"}, "softmax='adaptive', however: .* has softmax='full'"),
        ({"embedding_width": 20}, "embedding_width=20, however"),
        ({"embedding_width": None}, r"embedding_width=128 \(of size='small'\), however"),
        ({"n_layers": 3}, "n_layers=3, however: .* has n_layers=2"),
        ({"tokens": "bpe"}, "tokens='bpe', however: .* cut with tokens='words'"),
        ({"language": "de"}, "language='de', however: .* cut with language='en'"),
        ({"rules": TextRules(lower=False)}, "rules=.* keeps its tokenizer"),
    ],
)
def test_parameters_that_contradict_the_origin_are_refused(
    model: LanguageModel, texts: list[str], changed: dict[str, object], says: str
) -> None:
    with pytest.raises(ParameterError, match=says):
        copy.copy(model).set_params(**changed).fine_tune(texts[:100])


def test_the_card_states_the_networks_own_options(model: LanguageModel, texts: list[str]) -> None:
    tuned = copy.copy(model).set_params(dropout_scale=0.5).fine_tune(texts[:200], epochs=1)

    options = tuned.networks_["forward"].options.to_dict()
    assert {name: tuned.card_["recipe"][name] for name in options} == options
    assert options["dropout_scale"] == 0.5


# -- progress --------------------------------------------------------------------------------------


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What a terminal shows."""
    screen = io.StringIO()
    terminal = rich.console.Console(file=screen, force_terminal=True, width=80)
    monkeypatch.setattr(rich.console, "Console", lambda **options: terminal)
    return screen


@pytest.mark.parametrize("estimator", [LanguageModel, TextClassifier])
def test_tokenizing_much_text_shows_a_bar_that_is_cleared(
    texts: list[str],
    estimator: type,
    screen: io.StringIO,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    labels = ["pos", "neg"] * 50
    fit = estimator(epochs=1, **{**TINY, "min_frequency": 1, "verbose": 1}).fit

    fit(texts[:100], labels)
    assert "tokenizing" not in screen.getvalue()

    monkeypatch.setattr("tabtext.progress.SECONDS_BEFORE_SHOWING", -1.0)
    fit(texts[:100], labels)
    assert "tokenizing" in screen.getvalue()
    _, behind = screen.getvalue().rsplit("tokenizing", 1)
    assert "\x1b[2K" in behind  # the line is erased


def test_a_silent_model_shows_no_bar(
    texts: list[str], screen: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tabtext.progress.SECONDS_BEFORE_SHOWING", -1.0)

    LanguageModel(epochs=1, min_frequency=1, **TINY).fit(texts[:100])

    assert screen.getvalue() == ""


# -- disk ------------------------------------------------------------------------------------------


def test_a_save_that_is_killed_leaves_the_old_model_or_the_new_one(
    model: LanguageModel, texts: list[str], tmp_path: Path
) -> None:
    old = LanguageModel(epochs=1, **TINY).fit(texts[:200])
    for name, saved in {"old": old, "new": model}.items():
        saved.save(tmp_path / name)
    whole = [saved.perplexity(texts[:5]) for saved in (old, model)]

    done = subprocess.run(
        [
            *(sys.executable, Path(__file__).with_name("save_run.py")),
            *(tmp_path / "old", tmp_path / "new", tmp_path / "runs"),
        ],
        capture_output=True,
        text=True,
        check=True,
    )

    assert int(done.stdout) > 8
    for number in range(1, int(done.stdout) + 2):
        place = tmp_path / "runs" / str(number)
        # Between two renames the old model stands aside, as whole as it was.
        aside = list(place.glob(".model.old.*/model"))
        found = place / "model" if (place / "model").exists() else aside[0]
        assert tabtext.load(found).perplexity(texts[:5]) in whole
    assert [path.name for path in place.iterdir()] == ["model"]
    assert tabtext.load(place / "model").perplexity(texts[:5]) == whole[1]


@pytest.mark.parametrize("estimator", [LanguageModel, TextClassifier])
def test_a_file_that_is_no_utf8_is_refused_with_a_remedy_that_works(
    texts: list[str], tmp_path: Path, estimator: type
) -> None:
    path = tmp_path / "latin.csv"
    rows = "".join(f'"caf\xe9 {number} {number % 3}",{number % 2}\n' for number in range(40))
    path.write_bytes(f"text,label\n{rows}".encode("latin-1"))
    quick = {**TINY, "epochs": 1, "min_frequency": 1, "text_columns": ["text"]}

    with pytest.raises(
        FileFormatError, match=r"byte 0xe9 at position 15\. .*iconv -f latin1"
    ) as no:
        estimator(**quick).fit(path)
    assert "read_text_file(path, errors='replace') of tabtext.text.files" in str(no.value)

    table = read_text_file(path, errors="replace")
    target = {} if estimator is LanguageModel else {"target": "label"}
    estimator(**quick).fit(table, **target)
    converted = path.read_bytes().decode("latin-1")
    path.write_text(converted, encoding="utf-8")
    estimator(**quick).fit(path, **target)


def test_bytes_that_are_no_utf8_are_refused_with_a_remedy_that_works() -> None:
    texts = [b"caf\xe9 and more of it"] * 20

    with pytest.raises(DataError, match=r"row 0: byte 0xe9 .* read_texts\(texts, errors='replace"):
        LanguageModel(epochs=1, **TINY).fit(texts)

    LanguageModel(epochs=1, **TINY).fit(read_texts(texts, errors="replace"))
