"""Rules for the settings that ``"auto"`` leaves to the data.

| training rows | batch size | epochs |
|---------------|------------|--------|
| up to 1,447   | 16         | 40     |
| up to 2,895   | 32         | 40     |
| 8,192         | 64         | 38     |
| 32,768        | 256        | 19     |
| 131,072       | 1,024      | 10     |
| 262,144       | 2,048      | 7      |
| 524,288 on    | 4,096      | 6      |

The batch grows with the data, so that an epoch has between 90 and 180 steps, fewer below 10,000
rows: fewer leave the network untrained, more cost time that larger matrix products save (see
``bench/README.md``). Batches of 16 and 32 rows take up to four times as long as those of 64 would,
and lowered the error on small public tables by 3 %, on a split that had no say by 1 %. Tables with
texts have batches of 64 at least. Epochs shrink with the data, so that the number of rows seen
stays within a factor of ten.

| network | predicts | training rows | hidden layers     | dropout |
|---------|----------|---------------|-------------------|---------|
| tabm    | classes  |               | 128, 64 a member  | 0.1     |
| tabm    | values   | up to 100,000 | 256, 128 a member | 0       |
| tabm    | values   | more          | 128, 64 a member  | 0       |
| mlp     | classes  |               | 512, 256          | 0.1     |
| mlp     | values   |               | 512, 256          | 0       |

Members twice as wide lowered the error of California's house prices by 1 %, for twice the time, and
gained nothing on adult's classes. Dropout raised that error by 1.5 %.

| tokens of text | streams | epochs |
|----------------|---------|--------|
| 100,000        | 16      | 12     |
| 1,000,000      | 64      | 8      |
| 4,000,000      | 64      | 4      |
| 25,000,000     | 64      | 2      |
| 64,000,000 on  | 64      | 1      |

The streams of a language model are its batch size; with more than 64 a step on two cores takes as
much longer as it has more tokens.

| labelled texts | batch size | epochs |
|----------------|------------|--------|
| 500            | 16         | 8      |
| 5,000          | 32         | 4      |
| 25,000 on      | 64         | 2      |

Classifiers of texts overfit after few epochs: from scratch, 6,000 film snippets had their lowest
validation loss after the second. From a language model there are at most 4 epochs: in a
trial with 1,000 labelled reviews 8 were no better.
"""

from math import log2, sqrt

__all__ = [
    "choose_batch_size",
    "choose_documents",
    "choose_dropout",
    "choose_epochs",
    "choose_fine_tuning_epochs",
    "choose_hidden",
    "choose_language_model_epochs",
    "choose_patience",
    "choose_streams",
    "choose_text_epochs",
]

_LARGEST_BATCH, _STEPS_PER_EPOCH = 4096, 128
_BATCH_OF_FEW_ROWS, _STEPS_OF_FEW_ROWS = 64, 64
_FEW_ROWS = 100_000
_PATIENCE = 12


def choose_batch_size(n_rows: int, *, smallest: int = 16, factor: float = 1.0) -> int:
    """Return a power of two, from 16 to 4,096, that gives about 128 steps per epoch.

    For few rows it is 16, 32 or 64, whichever gives about 64 steps. With a factor, so many times as
    many rows.

    Examples
    --------
    >>> [choose_batch_size(rows) for rows in (100, 2_000, 5_000, 26_048, 270_000, 1_000_000)]
    [16, 32, 64, 256, 2048, 4096]
    >>> choose_batch_size(100, smallest=64)
    64
    """
    of_many = min(_nearest_power_of_two(n_rows / _STEPS_PER_EPOCH), _LARGEST_BATCH)
    of_few = min(_nearest_power_of_two(n_rows / _STEPS_OF_FEW_ROWS), _BATCH_OF_FEW_ROWS)
    return round(max(of_many, of_few, smallest) * factor)


def _nearest_power_of_two(number: float) -> int:
    return int(1 << round(log2(max(number, 1))))


def choose_epochs(n_rows: int, *, factor: float = 1.0) -> int:
    """Return 40 epochs for small tables, 6 for very large ones; with a factor, so many times that.

    Examples
    --------
    >>> [choose_epochs(rows) for rows in (100, 26_048, 270_000, 1_000_000)]
    [40, 21, 7, 6]
    """
    wanted = round(38 * sqrt(8192 / max(n_rows, 1)))
    return max(round(min(max(wanted, 6), 40) * factor), 1)


def choose_dropout(*, regression: bool) -> float:
    """Return the share of the hidden layers' outputs that training sets to zero.

    Examples
    --------
    >>> choose_dropout(regression=True), choose_dropout(regression=False)
    (0.0, 0.1)
    """
    return 0.0 if regression else 0.1


def choose_hidden(network: str, n_rows: int, *, regression: bool) -> tuple[int, ...]:
    """Return the widths of the hidden layers: of each member, where the network is an ensemble.

    Examples
    --------
    >>> [choose_hidden("tabm", rows, regression=True) for rows in (13_000, 281_000)]
    [(256, 128), (128, 64)]
    >>> choose_hidden("tabm", 13_000, regression=False)
    (128, 64)
    >>> choose_hidden("mlp", 13_000, regression=True)
    (512, 256)
    """
    if network == "mlp":
        return 512, 256
    return (256, 128) if regression and n_rows <= _FEW_ROWS else (128, 64)


def choose_patience(schedule: object, averaging: str | None, *, snapshots: bool) -> int | None:
    """Return after how many epochs without improvement training may end, or None.

    It is for one cycle with an exponential average, as by default: with it the best of 40 epochs on
    LightGBM's example of two classes was the seventh. Restarts, snapshots and ``"swa"`` live from
    the end of a cycle, which has to be reached; so do weights that are no average, because the rate
    falls to the end.

    Examples
    --------
    >>> choose_patience("one_cycle", "ema", snapshots=False)
    12
    >>> print(choose_patience("sgdr_doubling", "ema", snapshots=False))
    None
    """
    return _PATIENCE if (schedule, averaging, snapshots) == ("one_cycle", "ema", False) else None


def choose_streams(n_tokens: int, bptt: int) -> int:
    """Return the power of two that gives about 128 steps per epoch, between 16 and 64.

    Examples
    --------
    >>> [choose_streams(tokens, 70) for tokens in (10_000, 100_000, 400_000, 25_000_000)]
    [16, 16, 32, 64]
    """
    wanted = max(n_tokens // (bptt * _STEPS_PER_EPOCH), 1)
    return min(max(1 << round(log2(wanted)), 16), 64)


def choose_language_model_epochs(n_tokens: int) -> int:
    """Return 12 epochs for small corpora, one for very large ones.

    Examples
    --------
    >>> [choose_language_model_epochs(n) for n in (100_000, 1_000_000, 4_000_000, 64_000_000)]
    [12, 8, 4, 1]
    """
    return min(max(round(8 * sqrt(1_000_000 / max(n_tokens, 1))), 1), 12)


def choose_fine_tuning_epochs(n_tokens: int) -> int:
    """Return half of the epochs that a language model from scratch gets, and 4 at most.

    Examples
    --------
    >>> [choose_fine_tuning_epochs(n) for n in (100_000, 4_000_000, 16_000_000)]
    [4, 2, 1]
    """
    return min(max(choose_language_model_epochs(n_tokens) // 2, 1), 4)


def choose_documents(n_texts: int) -> int:
    """Return the power of two that gives about 128 steps per epoch, between 16 and 64.

    Examples
    --------
    >>> [choose_documents(texts) for texts in (500, 5_000, 25_000)]
    [16, 32, 64]
    """
    wanted = max(n_texts // _STEPS_PER_EPOCH, 1)
    return min(max(1 << round(log2(wanted)), 16), 64)


def choose_text_epochs(n_texts: int, *, pretrained: bool = False) -> int:
    """Return 8 epochs for few labelled texts, 4 from a language model, and 2 for many.

    Examples
    --------
    >>> [choose_text_epochs(texts) for texts in (500, 5_000, 25_000)]
    [8, 4, 2]
    >>> [choose_text_epochs(texts, pretrained=True) for texts in (500, 5_000, 25_000)]
    [4, 4, 2]
    """
    most = 4 if pretrained else 8
    return min(max(round(4 * sqrt(5_000 / max(n_texts, 1))), 2), most)
