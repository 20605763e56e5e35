"""Parameters of text estimators: checked before the work begins, and against a language model."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tabtext.errors import ColumnTypeError, DataError, ParameterError
from tabtext.estimators import LanguageModel, TextClassifier, TextRegressor
from tabtext.estimators.unfreezing import unfreezing_phases
from tabtext.text.preprocessing import TextPreprocessor
from tabtext.text.rules import TextRules

TINY: dict[str, Any] = {"embedding_width": 8, "hidden_width": 8, "epochs": 1, "verbose": 0}
TEXTS = [
    f"a {'good' if number % 2 else 'bad'} film about {number % 7} dogs" for number in range(40)
]
LABELS = ["pos" if row % 2 else "neg" for row in range(40)]


@pytest.fixture(scope="module")
def forward() -> LanguageModel:
    return LanguageModel(min_frequency=1, max_vocabulary=50, **TINY).fit(TEXTS)


@pytest.fixture(scope="module")
def classifier() -> TextClassifier:
    return TextClassifier(min_frequency=1, **TINY).fit(TEXTS, LABELS)


@pytest.fixture
def no_tokenizing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: Any, **named: Any) -> None:
        pytest.fail("texts were tokenized before the parameters were checked")

    monkeypatch.setattr(TextPreprocessor, "fit_transform", fail)
    monkeypatch.setattr(TextPreprocessor, "fit", fail)


# --- single parameters -------------------------------------------------------------------


@pytest.mark.usefixtures("no_tokenizing")
@pytest.mark.parametrize(
    "wrong",
    [
        {"embedding_width": 8.5},
        {"n_layers": 0},
        {"rules": {"html": True}},
        {"rules": "none"},
        {"max_vocabulary": "a"},
        {"max_vocabulary": None},
        {"min_frequency": None},
        {"random_state": None},
        {"random_state": -1},
        {"random_state": 2**32},
        {"random_state": "chance"},
        {"device": "tpu"},
        {"device": None},
    ],
    ids=str,
)
@pytest.mark.parametrize("estimator", [LanguageModel, TextClassifier])
def test_wrong_parameters_are_told_before_the_work(estimator: Any, wrong: dict[str, Any]) -> None:
    with pytest.raises(ParameterError, match=next(iter(wrong))):
        estimator(**TINY | wrong).fit(TEXTS, LABELS)


@pytest.mark.usefixtures("no_tokenizing")
@pytest.mark.parametrize(
    "wrong",
    [
        {"head_norm": "instance"},
        {"head_dropout": 1.5},
        {"head_widths": 50},
        {"head_widths": [0]},
        {"gradient_length": 0},
        {"monitor": "perplexity"},
        {"learning_rate": (1e-4, 1e-3), "unfreezing": "gradual"},
    ],
    ids=str,
)
@pytest.mark.parametrize("estimator", [TextClassifier, TextRegressor])
def test_wrong_parameters_of_the_head_are_told_before_the_work(
    estimator: Any, wrong: dict[str, Any]
) -> None:
    with pytest.raises(ParameterError, match=next(iter(wrong))):
        estimator(**TINY | wrong).fit(TEXTS, np.arange(40))


def test_right_parameters_pass() -> None:
    TextClassifier(
        head_widths=[],
        monitor="roc_auc",
        random_state=np.int64(3),
        rules=TextRules(html=False),
        embedding_width=np.int32(8),
    ).check_parameters()
    TextRegressor(monitor="r2", head_widths=np.array([8]), head_dropout=0).check_parameters()


def test_class_weights_that_leave_nothing_are_refused() -> None:
    model = TextClassifier(class_weight={"pos": 0, "neg": 0}, min_frequency=1, **TINY)
    with pytest.raises(ParameterError, match="nothing to learn from"):
        model.fit(TEXTS, LABELS)


def test_weights_of_rows_that_leave_one_class_are_refused() -> None:
    rows = [float(label == "pos") for label in LABELS]
    with pytest.raises(DataError, match="'pos' in every row that weighs more than 0"):
        TextClassifier(min_frequency=1, **TINY).fit(TEXTS, LABELS, sample_weight=rows)


def test_weights_that_leave_nothing_are_called_by_their_names() -> None:
    model = TextClassifier(class_weight={"pos": 0, "neg": 0}, min_frequency=1, **TINY)
    with pytest.raises(ParameterError, match="weigh 0 by class_weight, so"):
        model.fit(TEXTS, LABELS)
    with pytest.raises(ParameterError, match="weigh 0 by sample_weight times class_weight, so"):
        model.fit(TEXTS, LABELS, sample_weight=[1.0] * len(TEXTS))


def test_fine_tuning_refuses_several_rates_before_it_reads(forward: LanguageModel) -> None:
    with pytest.raises(ParameterError, match="fine-tuning takes one, that of the last layers"):
        forward.fine_tune(object(), learning_rate=(1e-4, 1e-3))  # type: ignore[arg-type]


def test_a_folder_of_texts_may_validate(tmp_path: Path) -> None:
    for label in ("pos", "neg"):
        (tmp_path / label).mkdir()
        for number in range(10):
            (tmp_path / label / f"{number}.txt").write_text(f"a {label} film number {number}")

    model = TextClassifier(min_frequency=1, **TINY).fit(
        tmp_path, target="label", validation=tmp_path
    )

    assert model.card_["rows"]["valid"] == 20


def test_a_language_model_has_no_accuracy_to_monitor() -> None:
    with pytest.raises(ParameterError, match="monitor='accuracy' is not one of valid_loss"):
        LanguageModel(monitor="accuracy").check_parameters()


# --- beside a language model -------------------------------------------------------------


@pytest.mark.parametrize("direction", ["both", "backward"])
@pytest.mark.usefixtures("no_tokenizing")
def test_a_missing_direction_is_told_before_the_other_is_trained(
    forward: LanguageModel, direction: Any
) -> None:
    begun: list[str] = []
    model = TextClassifier(language_model=forward, direction=direction, verbose=0)
    model._train = lambda *given, **named: begun.append("training")  # type: ignore[method-assign]

    with pytest.raises(ParameterError, match=r"backward network is wanted.*only a forward one"):
        model.fit(TEXTS, LABELS)

    assert not begun
    assert not hasattr(model, "preprocessor_")


@pytest.mark.parametrize(
    ("name", "value", "of_model"),
    [
        ("tokens", "bpe", "words"),
        ("language", "de", "en"),
        ("size", "large", "small"),
        ("embedding_width", 400, 8),
        ("hidden_width", 400, 8),
        ("n_layers", 3, 2),
        ("cell", "gru", "lstm"),
        ("max_vocabulary", 12, 50),
        ("rules", TextRules(html=False), TextRules()),
    ],
)
@pytest.mark.usefixtures("no_tokenizing")
def test_what_contradicts_the_language_model_is_refused(
    forward: LanguageModel, name: str, value: Any, of_model: Any
) -> None:
    model = TextClassifier(language_model=forward, **{name: value})
    with pytest.raises(ParameterError) as refusal:
        model.fit(TEXTS, LABELS)

    assert f"{name}={value!r}" in str(refusal.value)
    assert f"{name}={of_model!r}" in str(refusal.value)


def test_what_agrees_with_the_language_model_passes(forward: LanguageModel) -> None:
    TextClassifier(
        language_model=forward,
        embedding_width=8,
        hidden_width=8,
        max_vocabulary=50,
        min_frequency=1,
        rules=TextRules(),
        dropout_scale=0.5,
    ).check_parameters()


# --- unfreezing --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("epochs", "expected"),
    [
        (1, [(1, 0, 0.5)]),
        (2, [(1, 3, 4.0), (1, 0, 0.5)]),
        (3, [(1, 3, 4.0), (1, 2, 2.0), (1, 0, 0.5)]),
        (5, [(1, 3, 4.0), (1, 2, 2.0), (1, 1, 1.0), (2, 0, 0.5)]),
    ],
)
def test_the_rate_halves_with_every_group_that_thaws(
    epochs: int, expected: list[tuple[int, int, float]]
) -> None:
    phases = unfreezing_phases(epochs, 4, 1.0)

    assert [(p.epochs, p.freeze_to, p.learning_rate) for p in phases] == expected


# --- explain -----------------------------------------------------------------------------


@pytest.mark.parametrize("given", [None, ["a"], b"good", 3, {"text": 3}, {"text": ["a"]}], ids=str)
def test_what_is_no_text_is_not_explained(classifier: TextClassifier, given: Any) -> None:
    with pytest.raises(ColumnTypeError, match="a str"):
        classifier.explain(given)
