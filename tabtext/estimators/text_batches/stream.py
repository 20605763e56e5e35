"""Documents as a continuous stream, from which a language model learns to predict the next token.

The documents of an epoch lie end to end, cut into as many streams as a batch has rows. Step by step
a window moves along all streams at once, so that what the network remembers of one window is the
beginning of the next: truncated back-propagation through time. Flat token ids flow in; batches
``((tokens, targets, rows, fresh), rows)`` for ``LanguageModelTask`` flow out.
"""

from collections.abc import Iterator
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray

from tabtext.errors import DataError, ParameterError
from tabtext.text.document_view import DocumentView
from tabtext.text.documents import Documents
from tabtext.text.special_tokens import PADDING_ID
from tabtext.training.batches import Batch, batch_order

__all__ = ["StreamBatches"]

Integers = NDArray[np.int64]

# The paper's: a window in twenty is half as long, and all vary.
_SHARE_OF_LONG_WINDOWS = 0.95
_DEVIATION = 5.0
_SHORTEST = 5


class StreamBatches:
    """Walk along a stream of documents in windows, the documents in another order in every epoch.

    A batch's inputs are ``tokens`` and ``targets``, both int64 of shape ``(streams, length)``, the
    one a token ahead of the other; ``rows``, the numbers of the streams, by which a network finds
    what it remembers of each; and ``fresh``, which says for each whether it begins here. Every
    token is visited once in an epoch: where the streams are not equally long, the last window of
    some ends with a target of padding, and ``weight`` says how many targets each has.

    Batches are made on the CPU, from ids that may be mapped from a file; ``StreamedBatches`` brings
    them to a GPU ahead of time. Beside the ids, an epoch takes some 50 bytes for each document,
    however long it is, and for each window.

    Parameters
    ----------
    documents : Documents or DocumentView
        Token ids.
    batch_size : int
        Number of streams. A corpus too small to give each a whole window has fewer.
    bptt : int
        Length of a window: the number of tokens through which gradients flow. 70 as in the paper.
    random_lengths : bool
        Whether lengths vary around ``bptt``, so that in no two epochs the same tokens get gradients
        through few steps only. How many windows an epoch has does not depend on that chance.
    shuffle : bool
        Whether epoch and seed choose the documents' order; without it they follow each other as
        they are.

    Attributes
    ----------
    n_streams : int
        Rows of a batch, in all processes together.

    Raises
    ------
    DataError
        If there are fewer than two tokens, and so nothing to predict.
    ParameterError
        If a number is too small.

    References
    ----------
    Merity, S., Keskar, N. S. and Socher, R. (2018), "Regularizing and Optimizing LSTM Language
    Models", section 4.1 (variable length back-propagation sequences).

    Examples
    --------
    >>> documents = Documents.of([[2, 10, 11, 3], [2, 20, 21, 3], [2, 30, 31, 3]])
    >>> batches = StreamBatches(documents, batch_size=2, bptt=4, shuffle=False)
    >>> for batch in batches.walk(0, seed=0):
    ...     tokens, targets, rows, fresh = batch.inputs
    ...     print(tokens.tolist(), targets.tolist(), fresh.tolist())
    [[2, 10, 11], [20, 21, 3]] [[10, 11, 3], [21, 3, 2]] [True, True]
    [[3, 2, 20], [2, 30, 31]] [[2, 20, 1], [30, 31, 3]] [False, False]
    """

    def __init__(
        self,
        documents: Documents | DocumentView,
        *,
        batch_size: int,
        bptt: int = 70,
        random_lengths: bool = True,
        shuffle: bool = True,
    ) -> None:
        if batch_size < 1 or bptt < 2:
            raise ParameterError(f"{batch_size=}, {bptt=}: at least 1 stream and 2 tokens")
        self.documents = DocumentView.of(documents)
        self.batch_size = batch_size
        self.bptt = bptt
        self.random_lengths = random_lengths
        self.shuffle = shuffle
        self._rank, self._size = 0, 1
        self._lay_out()

    @property
    def n_rows(self) -> int:
        """How many tokens a walk predicts, in all processes together."""
        return self.documents.n_tokens - 1

    def __len__(self) -> int:
        return self._n_windows

    def walk(self, epoch: int, *, seed: int, start: int = 0) -> Iterator[Batch]:
        """Yield the batches of an epoch, from number ``start`` on.

        Parameters
        ----------
        epoch, seed : int
            Fix the order of the documents and the lengths of the windows.
        start : int
            Batches to leave out at the beginning.

        Yields
        ------
        Batch
        """
        from tabtext.text.kernels.windows import fill_windows  # numba: not to load a model

        begins, ends = self._documents_in_order(epoch, seed)
        ids, backward = self.documents.ids, self.documents.backward
        own = slice(self._rank, None, self._size)
        starts, stops = self._bounds[:-1][own], self._bounds[1:][own] + 1  # the last target too
        rows = torch.arange(len(starts))
        lengths = self.window_lengths(epoch, seed=seed)
        places = np.cumsum(lengths) - lengths
        for number in range(start, self._n_windows):
            length, place = int(lengths[number]), places[number]
            window = np.empty((len(starts), length + 1), np.int64)
            fill_windows(ids, begins, ends, starts + place, stops, backward, PADDING_ID, window)
            tokens = torch.from_numpy(window)
            fresh = torch.full_like(rows, number == 0, dtype=torch.bool)
            weight, total = self._weight(int(place), length)
            yield Batch(
                (tokens[:, :-1], tokens[:, 1:], rows, fresh),
                rows,
                None if weight is None else weight[own],
                total,
                rate_factor=length / self.bptt,
            )

    def window_lengths(self, epoch: int, *, seed: int) -> Integers:
        """Return the lengths of an epoch's windows, which add up to the longest stream's.

        Examples
        --------
        >>> documents = Documents.of([range(2, 700)])
        >>> lengths = StreamBatches(documents, batch_size=2).window_lengths(0, seed=0)
        >>> len(lengths), lengths.sum()
        (5, np.int64(349))
        """
        lengths: Integers
        if not self.random_lengths:
            lengths = np.full(self._n_windows, self.bptt)
            lengths[-1] = self._longest - lengths[:-1].sum()
            return lengths
        generator = np.random.default_rng((seed * 1_000_003 + epoch) % 2**63)
        long = generator.random(self._n_windows) < _SHARE_OF_LONG_WINDOWS
        drawn = generator.normal(np.where(long, self.bptt, self.bptt / 2), _DEVIATION)
        shortest = min(_SHORTEST, self._longest // self._n_windows)
        # What is above the shortest length is stretched or squeezed a little to fill the streams.
        beyond = np.cumsum(np.maximum(drawn - shortest, 1e-3))
        scale = (self._longest - shortest * self._n_windows) / beyond[-1]
        edges = np.rint(beyond * scale).astype(np.int64)
        lengths = np.diff(edges, prepend=0) + shortest
        return lengths

    def shard(self, rank: int, size: int) -> Self:
        """Return one process' streams, of which there are ``size`` times as many in all."""
        part = type(self).__new__(type(self))
        part.__dict__.update(self.__dict__)
        part._rank, part._size = rank, size
        part._lay_out()
        return part

    def fingerprint(self) -> str:
        """Return what tells these documents and windows from others."""
        lengths = "random" if self.random_lengths else "equal"
        order = "shuffled" if self.shuffle else "in order"
        return (
            f"{self.documents.fingerprint()}, {self.batch_size} streams, {lengths} windows of "
            f"{self.bptt}, {order}"
        )

    def _lay_out(self) -> None:
        """Where each stream begins, and how many windows cover it."""
        n_predicted = self.n_rows
        if n_predicted < self._size:
            raise DataError(
                f"{self.documents} are too few to learn from: a language model needs at least "
                f"{1 + self._size} tokens, one before each that it predicts"
            )
        whole = max(n_predicted // self.bptt, self._size)
        self.n_streams = min(self.batch_size * self._size, whole)
        self._bounds = np.arange(self.n_streams + 1) * n_predicted // self.n_streams
        self._longest = -(-n_predicted // self.n_streams)
        if self.random_lengths:
            usual = self.bptt * (1 + _SHARE_OF_LONG_WINDOWS) / 2
            self._n_windows = max(round(self._longest / usual), 1)
        else:
            self._n_windows = -(-self._longest // self.bptt)
            # The last one joins another if it has a single token, of which some streams have none.
            if self._n_windows > 1 and self._longest % self.bptt == 1:
                self._n_windows -= 1

    def _documents_in_order(self, epoch: int, seed: int) -> tuple[Integers, Integers]:
        """Where the epoch's documents begin in the ids, and where they end in the stream."""
        begins, lengths = self.documents.begins, self.documents.lengths
        if self.shuffle:
            order = batch_order(len(lengths), epoch, seed).numpy()
            begins, lengths = begins[order], lengths[order]
        return begins, np.cumsum(lengths)

    def _weight(self, place: int, length: int) -> tuple[torch.Tensor | None, float | None]:
        """How many targets of a window each stream has, if they differ; what the step counts."""
        targets = np.minimum(np.diff(self._bounds) - place, length)
        if (targets == length).all():
            return None, None if self._size == 1 else float(self.n_streams)
        weight = torch.from_numpy(targets).float()
        return weight, None if self._size == 1 else float(targets.sum())
