"""From raw reviews to ids: tabtext beside fastai, and its words beside spaCy's.

Four parts, of which ``--part`` chooses some:

- *tokenize*: 25,000 IMDb reviews on one core. ``tabtext`` and ``fastai`` (Tokenizer and
  Numericalize, in process, which is its fastest way on one core) go from texts to a vocabulary and
  ids, all rules on; ``tabtext, words`` and ``spacy`` from texts to words, spaCy without any rules.
  Every turn is a process of its own, so tabtext meets every word for the first time. Imports,
  reading and a first text, which compiles kernels and loads spaCy, are outside the clock.
- *corpus*: the 100,000 reviews of all parts of IMDb to a vocabulary and ids, on two cores: seconds
  and peak memory of one process, and of one that lets two others cut new words.
- *single*: one review at a time, after 25,000 others.
- *exact*: the tokens of all 100,000 reviews, with all rules and with none, compared with the plain
  road: the rules for texts, spaCy text by text, the rules for words.

    TABTEXT_DATA=... TABTEXT_BENCH_FASTAI=/path/to/its/python python bench/text_speed.py
    python bench/text_speed.py --part tokenize --reviews 5000 --runs 3
    python bench/text_speed.py --exact                        # the same as --part exact
"""

import argparse
import itertools
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import harness

PARTS = ("tokenize", "corpus", "single", "exact")
TOKENIZE_SIDES = ("tabtext", "fastai", "tabtext, words", "spacy")
CORPUS_SIDES = ("tabtext, 1 process", "tabtext, 2 more processes")
SAMPLE_SEED = 0

Work = Callable[[list[str]], int]


# --- the sides: texts in, number of tokens out ------------------------------------------------


def tabtext_ids(n_processes: int = 1) -> Work:
    from tabtext.text.preprocessing import TextPreprocessor
    from tabtext.text.rules import TextRules
    from tabtext.text.tokenization import WordTokenizer

    def work(texts: list[str]) -> int:
        tokenizer = WordTokenizer("en", TextRules(), n_processes)
        return len(TextPreprocessor(tokenizer=tokenizer).fit_transform(texts).ids)

    return work


def tabtext_words() -> Work:
    from tabtext.text.rules import TextRules
    from tabtext.text.tokenization import WordTokenizer

    def work(texts: list[str]) -> int:
        return len(WordTokenizer("en", TextRules.none()).tokenize(texts).codes)

    return work


def spacy_words() -> Work:
    import spacy

    def work(texts: list[str]) -> int:
        documents = spacy.blank("en").pipe(texts)
        return sum(len([word.text for word in document]) for document in documents)

    return work


def fastai_ids() -> Work:
    from fastai.text.core import SpacyTokenizer, tokenize_texts
    from fastai.text.data import Numericalize

    def work(texts: list[str]) -> int:
        documents = tokenize_texts(texts, n_workers=0, tok=SpacyTokenizer("en"))
        numericalize = Numericalize()
        numericalize.setup(documents)
        return sum(len(numericalize(document)) for document in documents)

    return work


SIDES: dict[str, Callable[[], Work]] = {
    "tabtext": tabtext_ids,
    "fastai": fastai_ids,
    "tabtext, words": tabtext_words,
    "spacy": spacy_words,
    "tabtext, 1 process": tabtext_ids,
    "tabtext, 2 more processes": lambda: tabtext_ids(2),
}


def run_side(side: str, path: Path, cores: int) -> None:
    """Do the work once; print seconds, tokens and peak memory."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-cores:])
    texts = read_texts(path)
    try:
        work = SIDES[side]()
        work(["A first text, so that everything is loaded &amp; <i>compiled</i>."] * 3)
    except ModuleNotFoundError as error:
        harness.absent(str(error.name))
    loaded_mb = harness.peak_megabytes()
    started, processor_started = time.perf_counter(), _processor_seconds()
    n_tokens = work(texts)
    harness.report(
        {
            "seconds": round(time.perf_counter() - started, 3),
            "processor_seconds": round(_processor_seconds() - processor_started, 3),
            "tokens": n_tokens,
            "loaded_mb": round(loaded_mb, 1),
        }
    )


def read_texts(path: Path):
    """A list of str, which every environment can read, or a column of Arrow, as Parquet gives."""
    if path.suffix == ".json":
        return json.loads(path.read_text())
    import pyarrow.parquet as pq

    return pq.read_table(path)["text"]


def _processor_seconds() -> float:
    """Of this process and those that it has waited for; unlike the clock, it ignores others."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def run_single() -> None:
    """Print how long one review takes, of those that nobody has seen and then of the same."""
    from tabtext.datasets import load_imdb
    from tabtext.text.tokenization import WordTokenizer

    reviews = load_imdb()
    tokenizer = WordTokenizer()
    tokenizer.tokenize(reviews.train["text"].tolist())
    texts = reviews.test["text"].sample(1000, random_state=SAMPLE_SEED).tolist()
    record = {}
    for name in ("new", "known"):
        seconds = []
        for text in texts:
            started = time.perf_counter()
            tokenizer.tokenize([text])
            seconds.append(time.perf_counter() - started)
        record[f"{name}_p50_ms"] = round(1000 * statistics.median(seconds), 3)
        record[f"{name}_p95_ms"] = round(1000 * statistics.quantiles(seconds, n=20)[-1], 3)
    harness.report(record)


# --- exactly equal ----------------------------------------------------------------------------


def plain_tokens(words: list[str], rules) -> list[str]:
    """The rules for words, one after the other."""
    from tabtext.text.rules import CHARACTER_MARK, is_countable

    tokens: list[str] = []
    runs = ((word, len(list(run))) for word, run in itertools.groupby(words))
    verbatim = 0  # words behind the mark of repeated characters, which are in no run
    for word, length in runs:
        kept = min(verbatim, length)
        verbatim -= kept
        tokens += [*rules.mark(word)] * kept
        length -= kept
        if word == CHARACTER_MARK and rules.repeated_characters:
            verbatim = 2
        if length >= 3 and rules.repeated_words and is_countable(word):
            tokens += ["xxwrep", str(length), *rules.mark(word)]
        else:
            tokens += [*rules.mark(word)] * length
    return tokens


def run_exact(kind: str) -> None:
    """Compare all reviews; print how many differ."""
    import spacy

    from tabtext.text.rules import TextRules
    from tabtext.text.tokenization import WordTokenizer

    rules = TextRules() if kind == "all rules" else TextRules.none()
    texts = all_reviews()
    tokenized = WordTokenizer("en", rules).tokenize(texts)
    spacy_tokenizer = spacy.blank("en").tokenizer
    different = 0
    for text, tokens in zip(texts, tokenized, strict=True):
        words = [word.text for word in spacy_tokenizer(rules.clean(text))]
        different += tokens != plain_tokens(words, rules)
    harness.report({"reviews": len(texts), "tokens": len(tokenized.codes), "different": different})


# --- all in turn ------------------------------------------------------------------------------


def all_reviews() -> list[str]:
    from tabtext.datasets import load_imdb

    reviews = load_imdb(keep_test_texts=True)
    frames = (reviews.train, reviews.unsupervised, reviews.test)
    return [text for frame in frames for text in frame["text"]]


def write_texts(texts: list[str], path: Path) -> None:
    if path.suffix == ".json":
        path.write_text(json.dumps(texts))
        return
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"text": pa.array(texts, pa.large_string())}), path)


def measure(sides: tuple[str, ...], texts: list[str], *, form: str, cores: int, runs: int) -> dict:
    """Let the sides take turns on the same texts; print a table, return the medians."""
    n_characters = sum(map(len, texts))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"texts.{form}"
        write_texts(texts, path)
        commands = {
            side: [
                harness.own_python("fastai") if side == "fastai" else sys.executable,
                *[__file__, "--side", side, str(path), str(cores)],
            ]
            for side in sides
        }
        summary = harness.summarise(harness.compare(commands, runs=runs))
    ours = summary["tabtext" if "tabtext" in summary else sides[0]]["median"]["seconds"]
    rows = []
    for side, record in summary.items():
        median = record["median"]
        median["characters_per_second"] = round(n_characters / median["seconds"])
        median["times_tabtext"] = round(median["seconds"] / ours, 3)
        rows.append({"side": side, **median})
    print(
        harness.table(
            rows,
            {
                "side": str,
                "seconds": "{:.2f}".format,
                "processor_seconds": "{:.2f}".format,
                "times_tabtext": "{:.2f}".format,
                "characters_per_second": "{:,.0f}".format,
                "peak_mb": "{:.0f}".format,
            },
        )
    )
    return {"characters": n_characters, "texts": len(texts), "runs": runs, "sides": summary}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", choices=PARTS, action="append")
    parser.add_argument("--exact", action="store_true", help="the same as --part exact")
    parser.add_argument("--reviews", type=int, default=25_000, help="of the part tokenize")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--side", nargs=3, metavar=("SIDE", "PATH", "CORES"))
    parser.add_argument("--only", choices=("single", "all rules", "no rules"))
    arguments = parser.parse_args()
    if arguments.side:
        side, path, cores = arguments.side
        run_side(side, Path(path), int(cores))
        return
    if arguments.only:
        run_single() if arguments.only == "single" else run_exact(arguments.only)
        return
    runs = arguments.runs
    parts = arguments.part or (["exact"] if arguments.exact else PARTS)
    results = harness.read_sides("text_speed")
    if "tokenize" in parts:
        train = all_reviews()[:25_000]
        texts = train[:: 25_000 // arguments.reviews][: arguments.reviews]
        results["tokenize"] = measure(TOKENIZE_SIDES, texts, form="json", cores=1, runs=runs)
    if "corpus" in parts:
        results["corpus"] = measure(CORPUS_SIDES, all_reviews(), form="parquet", cores=2, runs=runs)
    command = [sys.executable, __file__, "--only"]
    if "single" in parts:
        results["single"] = harness.run_side([*command, "single"])
        print(f"single review: {results['single']}")
    if "exact" in parts:
        for rules in ("all rules", "no rules"):
            results[f"exact, {rules}"] = harness.run_side([*command, rules])
            print(f"{rules}: {results[f'exact, {rules}']}")
    harness.write_result("text_speed", {"language": "en"}, results)


if __name__ == "__main__":
    main()
