"""Larger public sets of texts, read from your disk and split as the literature does.

Each loader takes a folder, or finds it in ``$TABTEXT_DATA``.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from tabtext.datasets.files import find_folder, find_tables, read_frame
from tabtext.datasets.splits import Splits
from tabtext.errors import FileFormatError, MissingFileError
from tabtext.text.files import decoded, read_labelled_folder

__all__ = ["Reviews", "TokenStreams", "load_imdb", "load_sst5", "load_wikitext2"]

Folder = str | os.PathLike[str] | None

_PARTS = ("train", "valid", "test")
_LABELS = {"neg": 0, "pos": 1, "unsup": -1}


@dataclass(frozen=True, eq=False, repr=False)
class Reviews:
    """Reviews with and without labels.

    Parameters
    ----------
    train, test : pandas.DataFrame
        Columns text and label (0 negative, 1 positive), and what else the source tells.
    unsupervised : pandas.DataFrame
        Reviews without a label, for fine-tuning a language model. Those that are in the test part,
        too, were left out.
    n_left_out : int
        How many were.

    Examples
    --------
    >>> part = pd.DataFrame({"text": ["A joy.", "A bore."], "label": [1, 0]})
    >>> Reviews(part, part.head(1), part[["text"]], n_left_out=0)
    Reviews(train=2 rows, test=1 row, unsupervised=2 rows, 0 left out)
    """

    train: pd.DataFrame
    test: pd.DataFrame
    unsupervised: pd.DataFrame
    n_left_out: int

    def __repr__(self) -> str:
        parts = {"train": self.train, "test": self.test, "unsupervised": self.unsupervised}
        sizes = ", ".join(
            f"{name}={len(part):,} row{'s' * (len(part) != 1)}" for name, part in parts.items()
        )
        return f"Reviews({sizes}, {self.n_left_out} left out)"


@dataclass(frozen=True, eq=False, repr=False)
class TokenStreams:
    """A corpus for language models that comes cut into tokens: one stream for each part.

    Parameters
    ----------
    tokens : tuple of str
        The distinct tokens of all parts, in the order of their first time.
    train, valid, test : int32 array
        For every place of the stream, the position of its token in ``tokens``.

    Examples
    --------
    >>> stream = np.array([0, 1, 0], np.int32)
    >>> streams = TokenStreams(("a", "<eos>"), stream, stream[:2], stream[:1])
    >>> streams
    TokenStreams(2 distinct tokens; train=3, valid=2, test=1)
    >>> streams.words(stream)
    ['a', '<eos>', 'a']
    """

    tokens: tuple[str, ...]
    train: npt.NDArray[np.int32]
    valid: npt.NDArray[np.int32]
    test: npt.NDArray[np.int32]

    def __iter__(self) -> Iterator[npt.NDArray[np.int32]]:
        return iter((self.train, self.valid, self.test))

    def __repr__(self) -> str:
        sizes = f"train={len(self.train):,}, valid={len(self.valid):,}, test={len(self.test):,}"
        return f"TokenStreams({len(self.tokens):,} distinct tokens; {sizes})"

    def words(self, stream: npt.NDArray[np.int32]) -> list[str]:
        """Return the tokens of a stream, or of a part of one."""
        return [self.tokens[code] for code in stream.tolist()]


def load_imdb(path: Folder = None, *, keep_test_texts: bool = False) -> Reviews:
    """Film reviews: whether the writer liked the film.

    Parameters
    ----------
    path
        The unpacked archive (``train/pos``, ``train/neg``, ``train/unsup``, ``test/pos``,
        ``test/neg``, a review per .txt file), or a folder of ``train``, ``test`` and ``unsup``
        (.parquet or .csv) with columns text and label. Default: ``$TABTEXT_DATA/imdb``.
    keep_test_texts
        Whether to keep the 270 unsupervised reviews whose text is in the test part, too. By default
        they are left out, so that no language model has read what it is tested on.

    Returns
    -------
    Reviews
        The official split: 25,000 training and 25,000 test reviews, half of them positive
        (label 1, rating 7 to 10), half negative (label 0, rating 1 to 4), no more than 30 of a
        film, no film in both; and 49,730 unsupervised ones. Ordered by label: shuffle.
        Texts hold ``<br />`` where a line ended.

    Raises
    ------
    MissingFileError
        When the folder or a file is absent.

    References
    ----------
    Andrew L. Maas, Raymond E. Daly, Peter T. Pham, Dan Huang, Andrew Y. Ng and Christopher Potts:
    Learning Word Vectors for Sentiment Analysis, 2011. No licence is stated; the texts belong to
    their writers, so neither they nor models trained on them ship with tabtext.
    """
    origin = (
        "The Large Movie Review Dataset, aclImdb_v1.tar.gz, is on Andrew Maas's page at Stanford "
        "(ai.stanford.edu/~amaas/data/sentiment); unpack it and pass the folder aclImdb."
    )
    folder = find_folder("imdb", path, origin)
    if (folder / "train").is_dir():
        labelled, test = _read_reviews(folder / "train"), _read_reviews(folder / "test")
        unlabelled = labelled["label"] == _LABELS["unsup"]
        train, unsupervised = labelled[~unlabelled], labelled[unlabelled]
    else:
        tables = find_tables(folder, ["train", "test", "unsup"], origin)
        train, test, unsupervised = map(read_frame, tables.values())
    known = unsupervised["text"].isin(set(test["text"]))
    if keep_test_texts:
        known[:] = False
    unsupervised = unsupervised[~known].drop(columns=["label", "rating"], errors="ignore")
    train, test, unsupervised = (
        part.reset_index(drop=True) for part in (train, test, unsupervised)
    )
    return Reviews(train, test, unsupervised, n_left_out=int(known.sum()))


def load_sst5(path: Folder = None) -> Splits:
    """Sentences of film reviews in five classes, from very negative to very positive.

    Parameters
    ----------
    path
        Folder of ``train``, ``dev`` and ``test`` (.parquet or .csv) with columns text and label.
        Default: ``$TABTEXT_DATA/sst5``.

    Returns
    -------
    Splits
        The official split: 8,544, 1,101 and 2,210 sentences. Target ``label``, 0 to 4.

    Raises
    ------
    MissingFileError
        When the folder or a file is absent.

    References
    ----------
    Richard Socher et al.: Recursive Deep Models for Semantic Compositionality Over a Sentiment
    Treebank, 2013 (no licence stated).
    """
    origin = (
        "The Stanford Sentiment Treebank is at nlp.stanford.edu/sentiment; save the labelled "
        "sentences of each part as a table with the columns text and label (0 to 4)."
    )
    folder = find_folder("sst5", path, origin)
    tables = find_tables(folder, ["train", "dev", "test"], origin)
    train, valid, test = map(read_frame, tables.values())
    return Splits("sst5", train, valid, test, target="label")


def load_wikitext2(path: Folder = None) -> TokenStreams:
    """Wikipedia articles in tokens, the customary small test of language models.

    Parameters
    ----------
    path
        Folder of ``wiki.train.tokens``, ``wiki.valid.tokens`` and ``wiki.test.tokens``, as they are
        or compressed (``.zst``). Default: ``$TABTEXT_DATA/wikitext2``.

    Returns
    -------
    TokenStreams
        2,088,628, 217,646 and 245,569 tokens, 33,278 distinct ones. As is customary, every line
        ends with a token ``<eos>``; rare words are ``<unk>`` in the source.

    Raises
    ------
    MissingFileError
        When the folder or a file is absent.
    FileFormatError
        When a file cannot be read.

    References
    ----------
    Stephen Merity, Caiming Xiong, James Bradbury and Richard Socher: Pointer Sentinel Mixture
    Models, 2016 (CC BY-SA 3.0).
    """
    origin = "WikiText-2 (word level, wikitext-2-v1.zip) is mirrored in many places."
    folder = find_folder("wikitext2", path, origin)
    parts = [_read_tokens(folder, f"wiki.{part}.tokens", origin) for part in _PARTS]
    joined = pa.chunked_array(parts).dictionary_encode().combine_chunks()
    ends = np.cumsum([len(part) for part in parts])[:-1]
    codes = joined.indices.to_numpy().astype(np.int32, copy=False)
    return TokenStreams(tuple(joined.dictionary.to_pylist()), *np.split(codes, ends))


def _read_reviews(folder: Path) -> pd.DataFrame:
    """Read the reviews of the archive, whose files are called ``<id>_<rating>.txt``.

    Class by class, because lists of addresses and bags of words lie beside the folders of classes.
    """
    labels = [label for label in _LABELS if (folder / label).is_dir()]
    tables = [read_labelled_folder(folder / label) for label in labels]
    codes = [np.full(len(t), _LABELS[label]) for t, label in zip(tables, labels, strict=True)]
    table = pa.concat_tables(tables)
    name = table["file"].to_pandas().str.extract(r"(\d+)_(\d+)\.txt$").astype("float64")
    return pd.DataFrame(
        {
            "text": table["text"].to_pandas(),
            "label": np.concatenate(codes).astype("int8"),
            "rating": name[1].fillna(0).astype("int8"),
            "id": name[0].fillna(-1).astype("int32"),
        }
    )


def _read_tokens(folder: Path, name: str, origin: str) -> pa.Array:
    """Read a file of tokens between spaces, with ``<eos>`` where a line ends."""
    import pyarrow.compute as pc

    found = [path for path in (folder / name, folder / f"{name}.zst") if path.is_file()]
    if not found:
        present = ", ".join(sorted(entry.name for entry in folder.iterdir())) or "nothing"
        raise MissingFileError(
            f"{folder} lacks {name} (or {name}.zst); there is {present}. {origin}"
        )
    path, compression = found[0], "zstd" if found[0].suffix == ".zst" else None
    try:
        with pa.input_stream(str(path), compression=compression) as stream:
            content = decoded(stream.read(), path)
    except OSError as error:
        raise FileFormatError(f"{path} cannot be read: {error}") from error
    lines = bytes(content).decode().replace("\n", " <eos> ").strip()
    return pc.utf8_split_whitespace(pa.array([lines], pa.large_string())).flatten()
