"""``tabtext lm``: prepare, train, fine-tune, evaluate, generate."""

import json
import re
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import pandas as pd
import pytest

import tabtext
from tabtext.cli import main
from tabtext.errors import SaveError, TabTextError
from tabtext.estimators import LanguageModel
from tests.cli.conftest import FAST, run, run_well


def test_a_trained_language_model_is_saved_and_its_perplexity_printed(texts: Path) -> None:
    done = run_well("lm", "train", texts / "products.csv", "--out", texts / "printed", *FAST)

    assert "perplexity" in done.stdout
    assert type(tabtext.load(texts / "printed")).__name__ == "LanguageModel"
    assert not (texts / "printed.checkpoints").exists()


def test_options_reach_the_language_model(texts: Path) -> None:
    run_well(
        "lm", "train", texts / "reviews.csv", "--out", texts / "options", *FAST,
        "--text-column", "text", "--valid", texts / "reviews.jsonl", "--direction", "backward",
        "--tokens", "words", "--language", "de", "--max-vocabulary", 200, "--softmax", "full",
        "--dropout-scale", 0.5, "--batch-size", 8, "--learning-rate", 0.001, "--seed", 3,
        "--max-time", "1h", "--size", "small",
    )  # fmt: skip

    model = tabtext.load(texts / "options")
    assert list(model.networks_) == ["backward"]
    assert len(model.preprocessor_.vocabulary_) <= 200
    assert model.card_["rows"]["valid"] == 240
    chosen = ("text_columns", "language", "dropout_scale", "batch_size", "learning_rate")
    assert [model.get_params()[name] for name in chosen] == [("text",), "de", 0.5, 8, 0.001]
    assert model.random_state == 3


@pytest.mark.parametrize("name", ["reviews.parquet", "reviews.jsonl"])
def test_evaluate_gives_the_same_for_every_kind_of_file(texts: Path, name: str) -> None:
    of_csv, of_other = (
        json.loads(run_well("lm", "evaluate", texts / "lm", texts / file, "--json").stdout)
        for file in ("reviews.csv", name)
    )

    assert of_csv == of_other
    expected = tabtext.load(texts / "lm").perplexity(pd.read_csv(texts / "reviews.csv")["text"])
    assert of_csv["perplexity"] == pytest.approx(expected)


def test_a_folder_of_texts_is_evaluated(texts: Path) -> None:
    in_folder, in_file = (
        json.loads(run_well("lm", "evaluate", texts / "lm", texts / data, "--json").stdout)
        for data in ("reviews", "reviews.csv")
    )

    # Another order of the texts, and another order of the sum.
    assert in_folder["perplexity"] == pytest.approx(in_file["perplexity"])


def test_evaluate_of_any_model_knows_language_models(texts: Path) -> None:
    done = run_well("evaluate", texts / "lm", texts / "reviews.csv")

    assert "perplexity" in done.stdout


def test_fine_tuning_makes_a_new_model_and_leaves_the_old_one(texts: Path) -> None:
    before = (texts / "lm" / "weights.safetensors").read_bytes()

    run_well(
        "lm", "fine-tune", texts / "lm", texts / "reviews.csv", "--out", texts / "tuned", *FAST,
        "--text-column", "text",
    )  # fmt: skip

    assert (texts / "lm" / "weights.safetensors").read_bytes() == before
    tuned = tabtext.load(texts / "tuned")
    assert "movie" in tuned.preprocessor_.vocabulary_  # the vocabulary is that of the new texts
    assert not (texts / "tuned.checkpoints").exists()


def test_fine_tuning_may_choose_its_epochs_itself(texts: Path) -> None:
    tune = ("lm", "fine-tune", texts / "lm", texts / "reviews.csv", "--text-column", "text")

    run_well(*tune, "--out", texts / "auto", "--quiet", "--epochs", "auto", "--max-time", "0.001s")

    assert tabtext.load(texts / "lm").epochs == 1
    assert tabtext.load(texts / "auto").epochs == "auto"


def test_epochs_that_are_no_number_are_refused(texts: Path) -> None:
    tune = ("lm", "fine-tune", texts / "lm", texts / "reviews.csv", "--out", texts / "never")

    done = run(*tune, "--epochs", "many")

    assert done.exit_code == 2
    assert "neither a whole number nor 'auto'" in " ".join(done.output.split())
    assert not (texts / "never").exists()


def test_generate_prints_as_many_texts_as_asked_for(texts: Path) -> None:
    prompt = "The qwzx"  # unknown words of the prompt are shown as they were written
    command = ["lm", "generate", texts / "lm", "--prompt", prompt, "--n", 3, "--length", 8]

    printed = run_well(*command).stdout
    as_json = json.loads(run_well(*command, "--json").stdout)

    assert len(as_json) == 3
    assert all(text.startswith(prompt) for text in as_json)
    assert printed == "\n\n".join(as_json) + "\n"


def test_another_seed_generates_another_text(texts: Path) -> None:
    command = ["lm", "generate", texts / "lm", "--length", 30, "--seed"]

    first, again, other = (run_well(*command, seed).stdout for seed in (1, 1, 2))

    assert first == again != other


def test_beams_generate_without_drawing(texts: Path) -> None:
    command = ["lm", "generate", texts / "lm", "--length", 5, "--beams", 3, "--seed"]

    assert run_well(*command, 1).stdout == run_well(*command, 2).stdout


def test_an_occupied_destination_is_refused_before_training(texts: Path) -> None:
    for command in (["train"], ["fine-tune", texts / "lm"]):
        done = run("lm", *command, texts / "products.csv", "--out", texts / "reviews.csv")

        assert isinstance(done.exception, SaveError)
        assert "is a file; choose another place" in str(done.exception)


def test_a_language_model_predicts_no_target(texts: Path) -> None:
    done = run("predict", texts / "lm", texts / "reviews.csv", "--out", texts / "none.csv")

    assert "predicts no target; see tabtext lm generate" in str(done.exception)
    assert not (texts / "none.csv").exists()


def test_inspect_prints_the_card_of_a_language_model(texts: Path) -> None:
    printed = run_well("inspect", texts / "lm").stdout

    for part in ("LanguageModel", "vocabulary", "train", "perplexity", "torch"):
        assert part in printed


def test_missing_texts_are_counted_and_said(
    texts: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = pd.read_csv(texts / "products.csv")
    frame.loc[[3, 5], "text"] = None
    frame.to_parquet(texts / "gaps.parquet")
    command = ["lm", "evaluate", texts / "lm", texts / "gaps.parquet"]
    monkeypatch.setattr(sys, "argv", ["tabtext", *map(str, command)])

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        with pytest.raises(SystemExit):
            main()

    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: missing texts count as empty: 2 in 'text' (of 240 rows)")


@pytest.mark.slow
def test_an_interrupted_training_goes_on_where_it_was(texts: Path) -> None:
    command = [
        sys.executable, "-m", "tabtext", "lm", "train", str(texts / "products.csv"),
        "--out", str(texts / "interrupted"), "--epochs", "2000",
    ]  # fmt: skip
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    lines = [process.stderr.readline()]
    while not lines[-1].startswith("epoch 2/"):
        assert lines[-1], lines
        lines.append(process.stderr.readline())

    process.send_signal(signal.SIGTERM)
    message = process.communicate()[1]

    assert process.returncode == 128 + signal.SIGTERM
    assert "tabtext lm train --resume" in message
    run_well(*command[3:], "--resume", "--max-time", "0.001s", "--quiet")
    history = tabtext.load(texts / "interrupted").history_
    assert history.stopped is not None
    assert len(history.epochs) >= 2  # a new run would have ended in its first
    assert not (texts / "interrupted.checkpoints").exists()


# -- corpora ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def corpora(texts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a corpus of two files, one for validation, and a model of both."""
    folder = tmp_path_factory.mktemp("corpora")
    files = (texts / "products.csv", texts / "reviews.jsonl")
    prepare = ("lm", "prepare", "--text-column", "text", "--quiet", "--out")
    done = run_well(*prepare, folder / "train", *files, "--min-frequency", 2)
    assert "480 texts" in done.stderr
    assert f"corpus: {folder / 'train'}" in done.stderr
    run_well(*prepare[:2], files[0], "--out", folder / "valid", "--vocabulary-of", folder / "train")
    run_well(
        "lm", "train", folder / "train", "--valid", folder / "valid", "--out", folder / "lm", *FAST
    )
    return folder


def test_a_model_learns_from_a_prepared_corpus(corpora: Path) -> None:
    rows = tabtext.load(corpora / "lm").card_["rows"]

    assert rows == {"given": 480, "train": 480, "valid": 240}
    manifest = json.loads((corpora / "train" / "manifest.json").read_text())
    assert (manifest["min_freq"], manifest["columns"]) == (2, ["text"])


@pytest.mark.parametrize("command", [("lm", "evaluate"), ("evaluate",)])
def test_a_corpus_is_evaluated_as_its_texts(
    corpora: Path, texts: Path, command: tuple[str, ...]
) -> None:
    of_corpus, of_texts = (
        json.loads(run_well(*command, corpora / "lm", data, "--json").stdout)
        for data in (corpora / "valid", texts / "products.csv")
    )

    assert of_corpus == of_texts


def test_a_model_is_fine_tuned_on_a_corpus_of_its_tokens(corpora: Path, texts: Path) -> None:
    run_well(
        "lm", "prepare", texts / "reviews.csv", "--text-column", "text", "--max-vocabulary", 150,
        "--tokenizer-of", corpora / "lm", "--out", corpora / "more", "--quiet",
    )  # fmt: skip
    run_well("lm", "fine-tune", corpora / "lm", corpora / "more", "--out", corpora / "tuned", *FAST)

    assert len(tabtext.load(corpora / "tuned").preprocessor_.vocabulary_) == 150


def test_a_preparation_that_is_interrupted_goes_on_with_the_same_command(
    texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    command = ("lm", "prepare", texts / "products.csv", "--out", tmp_path / "corpus", "--quiet")
    with monkeypatch.context() as patch:
        patch.setattr("tabtext.text.corpus._number", interrupted)
        done = run(*command)
    assert done.exit_code == 128 + signal.SIGINT
    assert "the same command goes on" in done.stderr

    early = run("lm", "train", tmp_path / "corpus", "--out", tmp_path / "lm", *FAST)
    assert "is not complete" in str(early.exception)

    run_well(*command)
    run_well("lm", "train", tmp_path / "corpus", "--out", tmp_path / "lm", *FAST)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--tokenizer-of", "lm", "--language", "de"), "--language cannot be chosen with --token"),
        (("--vocabulary-of", "lm", "--min-frequency", 1), "--min-frequency cannot be chosen with"),
    ],
)
def test_options_without_effect_are_refused(
    texts: Path, tmp_path: Path, options: tuple[object, ...], says: str
) -> None:
    named = [texts / "lm" if option == "lm" else option for option in options]

    done = run("lm", "prepare", texts / "products.csv", "--out", tmp_path / "corpus", *named)

    assert says in str(done.exception)
    assert not (tmp_path / "corpus").exists()


def test_generated_texts_cannot_steer_the_terminal(texts: Path) -> None:
    prompt = "red\x1b[31m\x9b\ttext"
    command = ["lm", "generate", texts / "lm", "--prompt", prompt, "--length", 2]

    assert run_well(*command).stdout.startswith("red\ufffd[31m\ufffd\ttext")
    assert json.loads(run_well(*command, "--json").stdout)[0].startswith(prompt)


def test_texts_that_look_like_numbers_are_judged_as_texts(texts: Path, tmp_path: Path) -> None:
    (tmp_path / "numbers.csv").write_text("text\n1\n2\n30\n")
    (tmp_path / "dates.jsonl").write_text('{"text": "2024-01-01"}\n')

    for name in ("numbers.csv", "dates.jsonl"):
        for command in (("lm", "evaluate"), ("evaluate",)):
            run_well(*command, texts / "lm", tmp_path / name)


def test_what_fine_tuning_is_not_told_is_as_it_was(texts: Path, tmp_path: Path) -> None:
    run_well(
        "lm", "train", texts / "reviews.csv", "--out", tmp_path / "lm", *FAST,
        "--text-column", "text", "--seed", 7, "--device", "cpu", "--dropout-scale", 0.5,
    )  # fmt: skip
    command = ("lm", "fine-tune", tmp_path / "lm", texts / "reviews.csv", *FAST)

    run_well(*command, "--out", tmp_path / "same")
    run_well(*command, "--out", tmp_path / "other", "--seed", 8, "--device", "auto")

    names = ("text_columns", "random_state", "device", "dropout_scale")
    same, other = (tabtext.load(tmp_path / name).get_params() for name in ("same", "other"))
    assert [same[name] for name in names] == [("text",), 7, "cpu", 0.5]
    assert [other[name] for name in names] == [("text",), 8, "auto", 0.5]


@pytest.mark.parametrize(
    "command",
    [
        ("lm", "train", "DATA", "--out", "never"),
        ("lm", "fine-tune", "lm", "DATA", "--out", "never"),
        ("lm", "prepare", "DATA", "--out", "never"),
        ("lm", "evaluate", "lm", "DATA"),
        ("sentiment", "fit", "DATA", "--target", "label", "--out", "never"),
    ],
)
@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is not a readable CSV file|is not readable"),
        (b"text,label\n", "no texts|no rows|0 rows|no token|holds null"),
        (b"text,label\ncaf\xe9,pos\n", r"byte 0xe9 at position 14\. Convert it, .*iconv"),
    ],
)
def test_files_without_a_text_are_refused_before_anything_is_written(
    texts: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: tuple[str, ...],
    content: bytes,
    says: str,
) -> None:
    for name in ("lm", "model"):
        (tmp_path / name).symlink_to(texts / name)
    (tmp_path / "data.csv").write_bytes(content)
    monkeypatch.chdir(tmp_path)

    done = run(*("data.csv" if word == "DATA" else word for word in command))

    assert isinstance(done.exception, TabTextError), (done.output, done.exception)
    assert re.search(says, str(done.exception)), done.exception
    assert not (tmp_path / "never").exists()


def test_no_texts_have_no_predictions(texts: Path, tmp_path: Path) -> None:
    (tmp_path / "none.csv").write_text("text,label\n")

    done = run_well(
        "sentiment", "predict", texts / "model", tmp_path / "none.csv", "--out", tmp_path / "p.csv"
    )

    assert "0 rows" in done.stderr
    assert (tmp_path / "p.csv").read_text() == '"label"\n'


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (("lm", "generate", "model"), "holds a TextClassifier, not a LanguageModel"),
        (("lm", "evaluate", "model", "reviews.csv"), "holds a TextClassifier, not a LanguageModel"),
        (
            ("lm", "fine-tune", "model", "reviews.csv", "--out", "never"),
            "holds a TextClassifier, not a LanguageModel",
        ),
        (("sentiment", "predict", "lm", "reviews.csv", "--out", "never.csv"), "predicts no target"),
        (("sentiment", "explain", "lm", "Good."), "holds a LanguageModel; words are explained"),
        (
            (
                *("sentiment", "fit", "reviews.csv", "--target", "label", "--out", "never"),
                *("--language-model", "model"),
            ),
            "holds a TextClassifier, not a LanguageModel",
        ),
    ],
)
def test_a_model_of_another_kind_is_refused_by_every_command(
    texts: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...], says: str
) -> None:
    monkeypatch.chdir(texts)

    done = run(*command)

    assert isinstance(done.exception, TabTextError)
    assert says in str(done.exception)
    assert not (texts / "never").exists()


# -- models that ship ------------------------------------------------------------------------------


@pytest.fixture
def shipped(texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a model that ships."""
    LanguageModel.load(texts / "lm").save(tmp_path / "shipped" / "english-test-v1", packed=True)
    monkeypatch.setattr("tabtext.estimators.pretrained.SHIPPED", tmp_path / "shipped")
    return "english-test"


def test_commands_take_the_name_of_a_model_that_ships(
    texts: Path, shipped: str, tmp_path: Path
) -> None:
    few = texts / "reviews.csv"
    prepare = ("lm", "prepare", few, "--quiet", "--text-column", "text", "--out")

    assert run_well("lm", "generate", shipped, "--prompt", "Such").stdout.startswith("Such")
    assert "perplexity" in run_well("lm", "evaluate", shipped, few).stdout
    run_well(
        "lm", "fine-tune", shipped, few, "--out", tmp_path / "tuned", "--text-column", "text", *FAST
    )
    run_well(*prepare, tmp_path / "corpus", "--tokenizer-of", shipped)
    run_well(
        "sentiment", "fit", few, "--target", "label", "--out", tmp_path / "model",
        "--language-model", shipped, *FAST,
    )  # fmt: skip

    assert tabtext.load(tmp_path / "model").language_model == shipped


@pytest.mark.usefixtures("shipped")
def test_an_unknown_name_is_told_what_ships(texts: Path) -> None:
    done = run("lm", "evaluate", "english-tst", texts / "reviews.csv")

    assert "or a name: english-test; did you mean 'english-test'?" in str(done.exception)
