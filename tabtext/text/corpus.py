"""Corpora larger than memory: texts in shard by shard, documents mapped from a file out.

A first pass tokenizes every shard and writes its tokens; their counts add up to the vocabulary; a
second pass looks the tokens up. In the directory of a corpus lie

    manifest.json   what is prepared and how; written first
    shards/         the tokens of each shard, while the preparation goes on
    preprocessor/   tokenizer and vocabulary
    documents/      ids and offsets of all documents
    corpus.json     written last: without it, the preparation is to be continued

Every file is whole or absent, so that a preparation can be killed at any moment and continued; the
result is the same to the byte.
"""

import hashlib
import json
import logging
import os
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tabtext.errors import ArtifactError, DataError, MissingFileError, ParameterError, SaveError
from tabtext.progress import Progress, showing, step, track
from tabtext.text.documents import Documents, writing_documents
from tabtext.text.files import Undecodable, check_undecodable
from tabtext.text.numbering import count_tokens, document_lengths, number_documents
from tabtext.text.preprocessing import (
    TextPreprocessor,
    missing_texts,
    tokenize_columns,
    warn_of_missing,
)
from tabtext.text.shards import TokenizedShard, checksum_of
from tabtext.text.sources import TextSource
from tabtext.text.storage import read_json, write_json
from tabtext.text.subwords import SubwordTokenizer
from tabtext.text.tokenization import Tokenizer, WordTokenizer
from tabtext.text.tokenizers import describe_tokenizer
from tabtext.text.vocabulary import TokenCounts

__all__ = ["Corpus", "is_corpus", "open_corpus", "prepare_corpus"]

_log = logging.getLogger(__name__)

_FORMAT_VERSION = 1
_MANIFEST, _SUMMARY = "manifest.json", "corpus.json"
_SHARDS, _PREPROCESSOR, _DOCUMENTS = "shards", "preprocessor", "documents"
_LONGEST_SETTING = 1_000  # characters of JSON


@dataclass(frozen=True, eq=False, repr=False)
class Corpus:
    """Documents on disk, and what made them from texts; ``LanguageModel.fit`` learns from it.

    Parameters
    ----------
    directory : Path
        Where the corpus is.
    documents : Documents
        Mapped from the file, not read.
    preprocessor : TextPreprocessor
        Fitted: it has the vocabulary of the documents.
    """

    directory: Path
    documents: Documents
    preprocessor: TextPreprocessor

    def __repr__(self) -> str:
        words = len(self.preprocessor.vocabulary_)
        return f"Corpus({str(self.directory)!r}, {self.documents!r}, {words:,} in the vocabulary)"


def prepare_corpus(
    source: Any,
    directory: str | Path,
    *,
    preprocessor: TextPreprocessor | None = None,
    errors: Undecodable = "strict",
    shard_bytes: int = 32 << 20,
    verbose: int = 1,
) -> Corpus:
    """Turn texts to documents on disk, in little memory; continue if that was begun before.

    Texts are read again when a preparation continues, but only those are tokenized that had not
    been; a text that has changed in between is noticed. A corpus that is complete is checked in the
    same way, and opened. One process at a time may prepare a corpus.

    Parameters
    ----------
    source : path, sequence of paths, texts or table of any kind, or iterable of these
        See ``tabtext.text.sources.TextSource``. Files are read piece by piece.
    directory : str or Path
        Where the corpus is prepared; new, empty, or begun with the same settings.
    preprocessor : TextPreprocessor, optional
        Tokenizer, columns, and limits of the vocabulary. One that is fitted keeps its vocabulary:
        so validation texts get the ids of the training texts. It is not changed.
    errors : {"strict", "replace"}
        Whether bytes that are no UTF-8 are refused, or replaced by U+FFFD.
    shard_bytes : int
        About how much text is in memory at once. Default: 32 MB, which tokenizing turns to a few
        hundred.
    verbose : int
        0 is silent, 1 shows progress.

    Returns
    -------
    Corpus
        The same to the byte, however often the preparation was interrupted.

    Raises
    ------
    ParameterError
        If it was begun with other settings, or the tokenizer cannot be saved or is not trained.
    DataError
        If there are no texts or no tokens in them, or the source has changed since the beginning.
    SaveError
        If the directory holds something else, or writing fails; what is complete stays.
    MissingFileError, FileFormatError, ColumnTypeError, UnknownColumnError
        If a file is not there, or holds something else than texts.

    Examples
    --------
    >>> import tempfile
    >>> batches = [["A good film.", "A bad one."], ["Good!"]]
    >>> corpus = prepare_corpus(
    ...     batches, tempfile.mkdtemp(), preprocessor=TextPreprocessor(min_freq=1)
    ... )
    >>> corpus.documents
    Documents(3 documents, 19 tokens)
    >>> corpus.preprocessor.text_of(corpus.documents[2])
    'Good!'
    """
    check_undecodable(errors)
    if shard_bytes < 1:
        raise ParameterError(f"shard_bytes must be at least 1, however: {shard_bytes=}")
    directory = Path(directory)
    preprocessor = preprocessor or TextPreprocessor()
    fitted = hasattr(preprocessor, "vocabulary_")
    columns = preprocessor.columns_ if fitted else preprocessor.columns
    tokenizer = preprocessor.tokenizer_ if fitted else preprocessor.tokenizer or WordTokenizer()
    texts = TextSource(source, columns=columns, errors=errors)
    manifest = {
        "format_version": _FORMAT_VERSION,
        "source": texts.description(),
        "errors": errors,
        "shard_bytes": shard_bytes,
        **_settings_of(preprocessor, tokenizer, fitted=fitted),
    }
    _check_directory(directory, manifest)
    with showing(verbose):
        with step("tokenizing") as progress:
            checksums = _tokenize(texts, directory, manifest, tokenizer, progress)
        if not (directory / _SUMMARY).is_file():
            if not fitted:
                parameters = preprocessor.get_params(deep=False)
                preprocessor = TextPreprocessor(**{**parameters, "tokenizer": tokenizer})
            _number(directory, checksums, preprocessor)
    shutil.rmtree(directory / _SHARDS, ignore_errors=True)
    corpus = open_corpus(directory)
    _log.info("prepared %r", corpus)
    return corpus


def open_corpus(directory: str | Path) -> Corpus:
    """Open a corpus that ``prepare_corpus`` completed.

    Raises
    ------
    MissingFileError
        If there is none, or it is not complete.
    ArtifactError
        If a file is damaged or of a newer version.
    """
    directory = Path(directory)
    if not (directory / _SUMMARY).is_file():
        begun = (directory / _MANIFEST).is_file()
        raise MissingFileError(
            f"the corpus in {directory} is not complete; call prepare_corpus again with the same "
            "arguments, and it continues"
            if begun
            else f"there is no corpus in {directory}; give the directory of prepare_corpus"
        )
    summary = read_json(directory / _SUMMARY, "corpus", newest=_FORMAT_VERSION)
    documents = Documents.load(directory / _DOCUMENTS)
    if documents.n_tokens != summary.get("n_tokens"):
        raise ArtifactError(f"{directory / _DOCUMENTS} belongs to another corpus: {documents}")
    return Corpus(directory, documents, TextPreprocessor.load(directory / _PREPROCESSOR))


def is_corpus(path: str | os.PathLike[str]) -> bool:
    """Whether this is the directory of a corpus, complete or begun, and no folder of texts.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> is_corpus(folder)
    False
    >>> _ = prepare_corpus(["A good film."], folder, preprocessor=TextPreprocessor(min_freq=1))
    >>> is_corpus(folder)
    True
    """
    try:
        manifest = json.loads((Path(path) / _MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    # Other programs have files of this name, too.
    return isinstance(manifest, dict) and {"source", "shard_bytes", "tokenizer"} <= set(manifest)


# -- the two passes --------------------------------------------------------------------------------


def _tokenize(
    source: TextSource,
    directory: Path,
    manifest: Mapping[str, Any],
    tokenizer: Tokenizer,
    progress: Progress,
) -> list[str]:
    """Write the shards that are not there yet; return the checksums of all."""
    checksums: list[str] = []
    for number, shard in enumerate(source.shards(manifest["shard_bytes"])):
        checksums.append(checksum_of(shard.texts))
        known = _known_checksum(directory, number)
        if known is None:
            if number == 0:
                write_json(directory / _MANIFEST, manifest)
            columns = tokenize_columns(tokenizer, shard.texts)
            tokens = TokenizedShard(columns, missing_texts(shard.texts), checksums[-1])
            tokens.write(_shard_path(directory, number))
            _log.debug("shard %d of %s is tokenized", number, directory)
        elif known != checksums[-1]:
            raise DataError(
                f"the source has changed since {directory} was begun: its shard {number} holds "
                "other texts. Choose another directory, or delete this one"
            )
        progress(shard.done, source.total)
    if not checksums:
        raise DataError("there are no texts in the source")
    if _known_checksum(directory, len(checksums)):
        raise DataError(
            f"the source has changed since {directory} was begun: it ends after {len(checksums)} "
            "shards. Choose another directory, or delete this one"
        )
    return checksums


def _number(directory: Path, checksums: Sequence[str], preprocessor: TextPreprocessor) -> None:
    """Learn the vocabulary from all shards, and write the documents."""
    paths = [_shard_path(directory, number) for number in range(len(checksums))]
    lengths: list[npt.NDArray[np.int64]] = []
    n_missing: Counter[str] = Counter()

    def counts() -> Iterator[TokenCounts]:
        for path in track(paths, "counting words"):
            shard = TokenizedShard.read(path)
            lengths.append(document_lengths(shard.columns))
            n_missing.update(shard.n_missing)
            yield count_tokens(shard.columns)

    total = TokenCounts.total(counts())
    n_rows = sum(map(len, lengths))
    if hasattr(preprocessor, "vocabulary_"):
        warn_of_missing(n_missing, n_rows)
    else:
        preprocessor.fit_counts(total, n_rows=n_rows, n_missing=n_missing)
    preprocessor.save(directory / _PREPROCESSOR)
    with writing_documents(directory / _DOCUMENTS, np.concatenate(lengths)) as write:
        for path in track(paths, "numbering"):
            write(number_documents(TokenizedShard.read(path).columns, preprocessor.vocabulary_).ids)
    summary = {"shards": list(checksums), "n_tokens": int(sum(part.sum() for part in lengths))}
    write_json(directory / _SUMMARY, {"format_version": _FORMAT_VERSION, **summary})


def _shard_path(directory: Path, number: int) -> Path:
    return directory / _SHARDS / f"shard-{number:05}.arrow"


def _known_checksum(directory: Path, number: int) -> str | None:
    """The checksum of a shard that was made before; empty if a complete corpus lacks it."""
    if (directory / _SUMMARY).is_file():
        found = read_json(directory / _SUMMARY, "corpus", newest=_FORMAT_VERSION)["shards"]
        return str(found[number]) if number < len(found) else ""
    path = _shard_path(directory, number)
    return TokenizedShard.read(path).checksum if path.is_file() else None


# -- what was begun --------------------------------------------------------------------------------


def _settings_of(
    preprocessor: TextPreprocessor, tokenizer: Tokenizer, *, fitted: bool
) -> dict[str, Any]:
    """All that decides what the documents are, given the texts; as JSON of a readable length."""
    if isinstance(tokenizer, SubwordTokenizer) and not tokenizer.is_trained:
        raise ParameterError(
            "a corpus is read once, too late for a SubwordTokenizer to learn its pieces; learn "
            "them before, from a part of the texts: tokenizer=SubwordTokenizer(...).trained_on(...)"
        )
    vocabulary = preprocessor.vocabulary_ if fitted else preprocessor.vocabulary
    columns = preprocessor.columns_ if fitted else preprocessor.columns
    described = json.dumps(describe_tokenizer(tokenizer), sort_keys=True)
    if len(described) > _LONGEST_SETTING:  # thousands of pieces
        described = json.dumps({"sha256": hashlib.sha256(described.encode()).hexdigest()})
    return {
        "tokenizer": json.loads(described),
        "columns": None if columns is None else list(columns),
        "max_size": preprocessor.max_size,
        "min_freq": preprocessor.min_freq,
        "vocabulary": None if vocabulary is None else vocabulary.fingerprint(),
    }


def _check_directory(directory: Path, manifest: Mapping[str, Any]) -> None:
    """Raise unless a corpus can be begun or continued there."""
    if not directory.exists():
        return
    if not directory.is_dir():
        raise SaveError(f"{directory} is a file; choose another place for the corpus")
    if (directory / _MANIFEST).is_file():
        begun = read_json(directory / _MANIFEST, "manifest of a corpus", newest=_FORMAT_VERSION)
        for name, value in manifest.items():
            # The source may have been moved; its texts are compared shard by shard.
            if name != "source" and begun.get(name) != value:
                raise ParameterError(
                    f"the corpus in {directory} was begun with {name}={begun.get(name)!r}, not "
                    f"{value!r}; continue with the same settings, or choose another directory"
                )
    elif others := [p for p in directory.iterdir() if not p.name.endswith(".partial")]:
        raise SaveError(
            f"{directory} holds other files, such as {others[0].name}, and no corpus; choose "
            "another place or empty it first"
        )
