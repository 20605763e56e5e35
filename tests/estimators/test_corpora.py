"""Language models on a prepared corpus: the same model, and tokens that stay on disk."""

import json
import tracemalloc
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import tabtext
from tabtext.datasets import load_snippets
from tabtext.errors import MissingFileError, ParameterError, TabTextWarning
from tabtext.estimators import LanguageModel
from tabtext.estimators.splitting import split_rows
from tabtext.estimators.text_batches.stream import StreamBatches
from tabtext.text.corpus import Corpus, prepare_corpus
from tabtext.text.document_view import DocumentView
from tabtext.text.preprocessing import TextPreprocessor
from tabtext.text.rules import TextRules
from tabtext.text.subwords import SubwordTokenizer
from tabtext.text.tokenization import WordTokenizer

TINY = {
    "epochs": 1,
    "embedding_width": 8,
    "hidden_width": 12,
    "n_layers": 1,
    "batch_size": 8,
    "learning_rate": 2e-2,
    "verbose": 0,
}
TEXTS = load_snippets("movies")["text"].tail(500).tolist()
TRAIN, VALID = TEXTS[:400], TEXTS[400:]
LOWER = TextRules(lower=False, capitalised=False, upper=False)


def prepare(directory: Path, texts: Any = TRAIN, **parameters: Any) -> Corpus:
    """A corpus of several shards."""
    return prepare_corpus(
        texts, directory, preprocessor=TextPreprocessor(**parameters), shard_bytes=4_000
    )


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return prepare(tmp_path_factory.mktemp("corpora") / "train")


@pytest.fixture(scope="module")
def valid(corpus: Corpus) -> Corpus:
    place = corpus.directory.with_name("valid")
    return prepare_corpus(VALID, place, preprocessor=corpus.preprocessor, shard_bytes=8_000)


@pytest.fixture(scope="module")
def model(corpus: Corpus, valid: Corpus) -> LanguageModel:
    return LanguageModel(**TINY).fit(corpus, validation=valid)


def assert_same(one: LanguageModel, other: LanguageModel) -> None:
    assert_same_networks(one, other)
    assert one.preprocessor_.vocabulary_ == other.preprocessor_.vocabulary_
    assert one.card_["tokens"] == other.card_["tokens"]
    assert one.card_["rows"] == other.card_["rows"]


def assert_same_networks(one: LanguageModel, other: LanguageModel) -> None:
    assert list(one.networks_) == list(other.networks_)
    for direction, network in one.networks_.items():
        state = other.networks_[direction].state_dict()
        for name, tensor in network.state_dict().items():
            assert torch.equal(tensor, state[name]), (direction, name)
    assert one.history_.epochs[-1].metrics == other.history_.epochs[-1].metrics


# -- the same model --------------------------------------------------------------------------------


def test_a_corpus_gives_the_model_of_its_texts_bit_for_bit(
    model: LanguageModel, corpus: Corpus
) -> None:
    assert len(json.loads((corpus.directory / "corpus.json").read_text())["shards"]) > 5
    assert_same(model, LanguageModel(**TINY).fit(TRAIN, validation=VALID))


@pytest.mark.parametrize(
    ("parameters", "preparation"),
    [
        ({"direction": "both"}, {}),
        ({"softmax": "adaptive", "min_frequency": 1}, {"min_freq": 1}),
        ({"max_vocabulary": 300}, {"max_size": 300}),
    ],
)
def test_so_it_does_with_other_parameters(
    tmp_path: Path, parameters: dict[str, Any], preparation: dict[str, Any]
) -> None:
    corpus = prepare(tmp_path, **preparation)

    of_corpus = LanguageModel(validation_fraction=0, **TINY, **parameters).fit(corpus)

    of_texts = LanguageModel(validation_fraction=0, **TINY, **parameters).fit(TRAIN)
    assert_same(of_corpus, of_texts)


def test_a_directory_is_the_corpus_in_it(
    model: LanguageModel, corpus: Corpus, valid: Corpus
) -> None:
    as_text = LanguageModel(**TINY).fit(str(corpus.directory), validation=valid.directory)

    assert_same(as_text, model)


def test_validation_documents_are_drawn_like_validation_texts(corpus: Corpus) -> None:
    drawn = LanguageModel(validation_fraction=0.25, **TINY).fit(corpus)

    of_texts = LanguageModel(validation_fraction=0.25, **TINY).fit(TRAIN)
    assert drawn.card_["rows"] == of_texts.card_["rows"]
    assert drawn.card_["rows"] == {"given": 400, "train": 300, "valid": 100}
    for part in ("train", "valid"):
        assert drawn.card_["tokens"][part] == of_texts.card_["tokens"][part]


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_a_part_of_a_corpus_is_learned_like_a_corpus_of_its_own(
    corpus: Corpus, tmp_path: Path, direction: str
) -> None:
    drawn = LanguageModel(validation_fraction=0.25, direction=direction, **TINY).fit(corpus)

    parts = split_rows(len(TRAIN), 0.25, classes=None, seed=0)
    train, valid = (
        prepare_corpus(
            [TRAIN[row] for row in rows], tmp_path / name, preprocessor=corpus.preprocessor
        )
        for rows, name in zip(parts, ("train", "valid"), strict=True)
    )
    alone = LanguageModel(direction=direction, **TINY).fit(train, validation=valid)
    assert_same_networks(drawn, alone)


def test_texts_validate_a_model_of_a_corpus(corpus: Corpus, model: LanguageModel) -> None:
    assert_same(LanguageModel(**TINY).fit(corpus, validation=VALID), model)


def test_perplexity_is_that_of_the_texts(model: LanguageModel, valid: Corpus) -> None:
    assert model.perplexity(valid) == model.perplexity(VALID)
    assert model.evaluate(valid) == model.evaluate(VALID) == model.evaluate(valid.directory)


def test_a_backward_model_judges_a_corpus_as_its_texts(corpus: Corpus, valid: Corpus) -> None:
    backward = LanguageModel(direction="backward", **TINY).fit(corpus, validation=valid)

    assert backward.evaluate(valid) == backward.evaluate(VALID)


def test_fine_tuning_on_a_corpus_is_that_on_its_texts(model: LanguageModel, tmp_path: Path) -> None:
    tweets = load_snippets("tweets")["text"].head(300).tolist()
    corpus = prepare(tmp_path / "tweets", tweets, tokenizer=model.preprocessor_.tokenizer_)
    assert corpus.preprocessor.vocabulary_ != model.preprocessor_.vocabulary_

    tuned = model.fine_tune(corpus, epochs=2, validation=VALID)

    assert_same(tuned, model.fine_tune(tweets, epochs=2, validation=VALID))


def test_a_model_of_texts_goes_on_with_subwords_on_a_corpus(tmp_path: Path) -> None:
    first = LanguageModel(tokens="bpe", max_vocabulary=300, **TINY).fit(TRAIN[:200])
    corpus = prepare(tmp_path, tokenizer=first.preprocessor_.tokenizer_)

    assert first.fine_tune(corpus).card_["tokens"]["unknown"] == 0.0


def test_a_saved_model_of_a_corpus_needs_it_no_more(tmp_path: Path) -> None:
    corpus = prepare(tmp_path / "corpus")
    model = LanguageModel(**TINY).fit(corpus)
    model.save(tmp_path / "model")
    (tmp_path / "corpus").rename(tmp_path / "elsewhere")

    loaded = tabtext.load(tmp_path / "model")

    assert loaded.perplexity(VALID) == model.perplexity(VALID)


# -- parameters ------------------------------------------------------------------------------------


def test_parameters_at_their_defaults_follow_the_corpus(tmp_path: Path) -> None:
    corpus = prepare(
        tmp_path / "rules",
        {"review": TRAIN},
        tokenizer=WordTokenizer(language="de", rules=LOWER),
        max_size=200,
        min_freq=2,
    )

    model = LanguageModel(**TINY).fit(corpus)

    assert model.preprocessor_.tokenizer_.language == "de"
    assert len(model.preprocessor_.vocabulary_) == 200
    assert model.perplexity(pd.DataFrame({"review": VALID})) == model.perplexity(VALID)


def test_parameters_that_agree_with_the_corpus_are_accepted(tmp_path: Path) -> None:
    corpus = prepare(
        tmp_path,
        {"review": TRAIN},
        tokenizer=WordTokenizer(rules=LOWER),
        max_size=200,
        columns=["review"],
    )
    parameters = {"max_vocabulary": 200, "rules": LOWER, "text_columns": ("review",)}

    LanguageModel(**TINY, **parameters).fit(corpus)


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"max_vocabulary": 500}, "max_vocabulary=500, however: .* with max_vocabulary=60000"),
        ({"min_frequency": 1}, "min_frequency=1, however: .* with min_frequency=3"),
        ({"tokens": "bpe"}, "tokens='bpe', however: .* with tokens='words'"),
        ({"language": "de"}, "language='de', however: .* with language='en'"),
        ({"rules": LOWER}, "rules=.*lower=False.*, however: .* with rules=.*lower=True"),
        ({"text_columns": ["body"]}, r"text_columns=\['body'\], however: .*\['text'\]"),
    ],
)
def test_parameters_that_contradict_the_corpus_are_refused(
    corpus: Corpus, parameters: dict[str, Any], says: str
) -> None:
    with pytest.raises(ParameterError, match=f"{says}.*Leave the parameter out"):
        LanguageModel(**TINY, **parameters).fit(corpus)


def test_subwords_of_another_kind_are_refused(tmp_path: Path) -> None:
    corpus = prepare(tmp_path, tokenizer=SubwordTokenizer(vocabulary_size=300).trained_on(TRAIN))

    with pytest.raises(ParameterError, match="tokens='unigram', however"):
        LanguageModel(tokens="unigram", **TINY).fit(corpus)
    with pytest.raises(ParameterError, match=r"max_vocabulary=400, however: .*=300"):
        LanguageModel(tokens="bpe", max_vocabulary=400, **TINY).fit(corpus)


# -- refused ---------------------------------------------------------------------------------------


def test_another_vocabulary_is_refused(model: LanguageModel, tmp_path: Path) -> None:
    other = prepare(tmp_path, VALID, min_freq=2)

    for judge in (model.perplexity, model.evaluate):
        with pytest.raises(ParameterError, match=r"another vocabulary .*preprocessor=model\."):
            judge(other)
    with pytest.raises(ParameterError, match="another vocabulary"):
        LanguageModel(**TINY).fit(TRAIN, validation=other)


@pytest.mark.parametrize(
    ("tokenizer", "says"),
    [
        (WordTokenizer(rules=LOWER), "upper=False, not True"),
        (WordTokenizer(language="de"), "language='de', not 'en'"),
        (
            SubwordTokenizer(vocabulary_size=300).trained_on(TRAIN),
            "tokenizer='SubwordTokenizer', not 'WordTokenizer'",
        ),
    ],
    ids=["rules", "language", "subwords"],
)
def test_tokens_of_another_tokenizer_are_refused(
    model: LanguageModel, tmp_path: Path, tokenizer: Any, says: str
) -> None:
    other = prepare(tmp_path, tokenizer=tokenizer)

    with pytest.raises(ParameterError, match=f"{says}.*TextPreprocessor.tokenizer=model"):
        model.fine_tune(other)
    with pytest.raises(ParameterError, match=f"{says}.*preprocessor=model.preprocessor_"):
        model.perplexity(other)


def test_other_pieces_are_refused(tmp_path: Path) -> None:
    first = LanguageModel(tokens="bpe", max_vocabulary=300, **TINY).fit(TRAIN[:200])
    other = prepare(tmp_path, tokenizer=SubwordTokenizer(vocabulary_size=300).trained_on(VALID))

    with pytest.raises(ParameterError, match=r"pieces='[0-9a-f]{12}', not"):
        first.fine_tune(other)


def test_columns_that_were_asked_for_must_be_those_of_the_corpus(
    corpus: Corpus, model: LanguageModel
) -> None:
    asked = LanguageModel(**TINY, text_columns=("body",)).fit({"body": TRAIN})

    with pytest.raises(ParameterError, match=r"text_columns=\['body'\], however"):
        asked.fine_tune(corpus)


def test_a_corpus_that_is_not_complete_is_refused(tmp_path: Path, model: LanguageModel) -> None:
    prepare(tmp_path)
    (tmp_path / "corpus.json").unlink()

    for use in (LanguageModel(**TINY).fit, model.fine_tune, model.perplexity):
        with pytest.raises(MissingFileError, match="is not complete; call prepare_corpus again"):
            use(tmp_path)


def test_a_folder_of_texts_is_no_corpus(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"source": "somewhere"}')
    (tmp_path / "corpus.json").write_text("{}")
    for number, text in enumerate(TRAIN[:50]):
        (tmp_path / f"{number}.txt").write_text(text)

    with pytest.warns(TabTextWarning, match="2 files below"):
        model = LanguageModel(min_frequency=1, **TINY).fit(tmp_path)
    assert model.card_["rows"]["given"] == 50


def test_a_run_on_another_corpus_is_not_resumed(corpus: Corpus, tmp_path: Path) -> None:
    class Stop(tabtext.training.Callback):
        def step_ended(self, run: Any) -> None:
            if run.step == 3:
                raise KeyboardInterrupt

    checkpoints = tabtext.training.Checkpoints(tmp_path / "checkpoints", every_steps=1)
    with pytest.raises(KeyboardInterrupt):
        LanguageModel(**TINY).fit(corpus, callbacks=[Stop()], checkpoints=checkpoints)
    other = prepare(tmp_path / "other", [*TRAIN[1:], TRAIN[0]])
    assert other.preprocessor.vocabulary_ == corpus.preprocessor.vocabulary_

    with pytest.raises(ParameterError, match="data"):
        LanguageModel(**TINY).fit(other, resume=tmp_path / "checkpoints")
    resumed = LanguageModel(**TINY).fit(corpus, resume=tmp_path / "checkpoints")

    assert_same(resumed, LanguageModel(**TINY).fit(corpus))


# -- memory ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("rows", [None, np.arange(0, 400, 3)])
def test_batches_read_ids_where_they_are_mapped(corpus: Corpus, rows: Any, backward: bool) -> None:
    view = DocumentView(corpus.documents, rows, backward)

    batches = StreamBatches(view, batch_size=4)

    assert isinstance(batches.documents.ids.base, np.memmap)
    chosen = corpus.documents.take(np.arange(400) if rows is None else rows)
    held = StreamBatches(chosen.reversed() if backward else chosen, batch_size=4)
    for mine, its in zip(batches.walk(1, seed=0), held.walk(1, seed=0), strict=True):
        assert torch.equal(mine.inputs[0], its.inputs[0])
        assert torch.equal(mine.inputs[1], its.inputs[1])


def peak_of_fit(texts: Iterable[list[str]], directory: Path) -> tuple[int, int]:
    """Peak of the memory that NumPy allocates, which no mapped file counts in; and size of ids."""
    preprocessor = TextPreprocessor().fit(["good bad film . " * 3])
    corpus = prepare_corpus(texts, directory / "corpus", preprocessor=preprocessor)
    tiny = {**TINY, "hidden_width": 4, "embedding_width": 4, "batch_size": 64, "bptt": 200}
    tracemalloc.start()
    model = LanguageModel(direction="backward", **tiny)
    model.fit(corpus, checkpoints=directory / "checkpoints").evaluate(corpus)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak, corpus.documents.ids.nbytes


@pytest.mark.slow
def test_memory_does_not_grow_with_the_tokens(tmp_path: Path) -> None:
    batch = ["good bad film . " * 1_000] * 25
    peak_of_fit([batch], tmp_path / "first")  # compiles

    (small, n_small), (large, n_large) = (
        peak_of_fit([batch] * number, tmp_path / str(number)) for number in (2, 8)
    )

    assert n_large - n_small > 2_400_000
    assert large - small < 0.1 * (n_large - n_small)
