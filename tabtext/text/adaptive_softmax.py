"""Adaptive softmax: frequent tokens are scored every time, rare ones only where one of them is due.

The vocabulary, in the order of frequency, is cut into a *head* and *clusters* of rarer tokens. The
head's softmax is over its own tokens and one entry for every cluster; a cluster's is over its
tokens. A rare token's probability is its cluster's times its own within it, so all probabilities
add up to one, and the loss is exact: it is another model than the full softmax, not an estimate of
it. Tokens are scored with the rows of the embedding, in the head and in the clusters.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from tabtext.errors import ParameterError
from tabtext.text.cutoffs import choose_cutoffs, zipf_counts
from tabtext.text.softmax import (
    Products,
    check_inputs,
    sum_dtype,
    summed_cross_entropy,
    token_losses,
)
from tabtext.text.special_tokens import PADDING_ID

__all__ = ["AdaptiveSoftmax", "choose_cutoffs"]

_NOT_COUNTED = -1


class AdaptiveSoftmax(nn.Module):
    """A softmax in two steps, whose weights are the embedding's.

    The embedding is handed over with every call, and not a parameter here: it is saved once. What
    is learned here besides is a bias for every token, and a vector and a bias for every cluster;
    they begin so that a hidden state of zeros makes all tokens equally likely.

    **Shape**

    - hidden ``(n, width)``, targets ``(n,)``, weight ``(vocabulary_size, width)``.

    Parameters
    ----------
    vocabulary_size : int
        How many tokens there are, sorted by falling frequency.
    width : int
        Width of the embedding.
    cutoffs : sequence of int, optional
        Ids at which the clusters begin; the first is the size of the head. Default: what
        ``choose_cutoffs`` finds for Zipf's law; better, give what it finds for your counts.

    Raises
    ------
    ParameterError
        If cutoffs do not rise, or lie outside of the vocabulary.

    References
    ----------
    Grave, E. et al. (2017), "Efficient softmax approximation for GPUs"; Goodman, J. (2001),
    "Classes for Fast Maximum Entropy Training". The clusters' vectors have full width here, because
    they are the embedding's.

    Examples
    --------
    >>> softmax = AdaptiveSoftmax(10, 3, cutoffs=(4, 6))
    >>> weight = torch.ones(10, 3)
    >>> targets = torch.tensor([2, 5, 1])  # the last is padding
    >>> round(softmax.loss(torch.zeros(3, 3), targets, weight).exp().item(), 4)
    10.0
    >>> softmax.log_probabilities(torch.zeros(1, 3), weight).exp().sum(dim=1).round(decimals=4)
    tensor([1.], grad_fn=<RoundBackward1>)
    """

    def __init__(
        self, vocabulary_size: int, width: int, cutoffs: Sequence[int] | None = None
    ) -> None:
        super().__init__()
        if cutoffs is None:
            cutoffs = choose_cutoffs(zipf_counts(vocabulary_size))
        self.cutoffs = tuple(int(cutoff) for cutoff in cutoffs)
        _check_cutoffs(self.cutoffs, vocabulary_size)
        ends = (*self.cutoffs, vocabulary_size)
        self.sizes = [ends[0], *(b - a for a, b in pairwise(ends))]
        self.bias = nn.Parameter(torch.empty(vocabulary_size))
        self.cluster_weight = nn.Parameter(torch.empty(len(self.cutoffs), width))
        self.cluster_bias = nn.Parameter(torch.empty(len(self.cutoffs)))
        # Where the targets' clusters begin is looked up on their device.
        self.register_buffer("_begins", torch.tensor(self.cutoffs), persistent=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Make a hidden state of zeros mean that all tokens are equally likely."""
        nn.init.zeros_(self.bias)
        nn.init.zeros_(self.cluster_weight)
        with torch.no_grad():
            self.cluster_bias.copy_(torch.tensor(self.sizes[1:]).log())

    def loss(
        self,
        hidden: Tensor,
        targets: Tensor,
        weight: Tensor,
        *,
        ignore_index: int = PADDING_ID,
        products: Products = "auto",
    ) -> Tensor:
        """Return the mean loss over the targets that are not ``ignore_index``; 0 if none is.

        Gradients are made along with it, as ``linear_cross_entropy`` does.

        Parameters
        ----------
        hidden : Tensor of shape (n, width)
        targets : int Tensor of shape (n,)
        weight : Tensor of shape (vocabulary_size, width)
        ignore_index, products
            As ``linear_cross_entropy`` has them.

        Raises
        ------
        DataError, ParameterError, ColumnTypeError
            As ``linear_cross_entropy``.
        """
        check_inputs(hidden, weight, self.bias, targets, ignore_index)
        counted = targets != ignore_index
        weights, biases = torch.split(weight, self.sizes), torch.split(self.bias, self.sizes)
        sum_of_losses = summed_cross_entropy(
            hidden,
            torch.cat([weights[0], self.cluster_weight]),
            torch.cat([biases[0], self.cluster_bias]),
            self._head_targets(targets, counted),
            ignore_index=_NOT_COUNTED,
            products=products,
        )
        for cluster, rows in self._rows_of_clusters(targets, counted):
            sum_of_losses = sum_of_losses + summed_cross_entropy(
                hidden.index_select(0, rows),
                weights[cluster],
                biases[cluster],
                targets.index_select(0, rows) - self.cutoffs[cluster - 1],
                ignore_index=_NOT_COUNTED,
                products=products,
            )
        return sum_of_losses / counted.sum().clamp(min=1)

    @torch.no_grad()
    def token_losses(
        self, hidden: Tensor, targets: Tensor, weight: Tensor, *, ignore_index: int = PADDING_ID
    ) -> Tensor:
        """Return the loss ``(n,)`` of every target, in full precision and without gradients.

        Parameters
        ----------
        hidden, targets, weight
            As ``loss`` takes them.
        ignore_index : int
            Rows with this target get 0.
        """
        check_inputs(hidden, weight, self.bias, targets, ignore_index)
        counted = targets != ignore_index
        weights, biases = torch.split(weight, self.sizes), torch.split(self.bias, self.sizes)
        losses = token_losses(
            hidden,
            torch.cat([weights[0], self.cluster_weight]),
            torch.cat([biases[0], self.cluster_bias]),
            self._head_targets(targets, counted),
            ignore_index=_NOT_COUNTED,
        )
        for cluster, rows in self._rows_of_clusters(targets, counted):
            within = token_losses(
                hidden.index_select(0, rows),
                weights[cluster],
                biases[cluster],
                targets.index_select(0, rows) - self.cutoffs[cluster - 1],
                ignore_index=_NOT_COUNTED,
            )
            losses.index_add_(0, rows, within)
        return losses

    def log_probabilities(self, hidden: Tensor, weight: Tensor) -> Tensor:
        """Return the logarithm of every token's probability ``(..., vocabulary_size)``.

        Parameters
        ----------
        hidden : Tensor of shape (..., width)
        weight : Tensor of shape (vocabulary_size, width)
        """
        dtype = sum_dtype(hidden, weight)
        hidden, weight, cluster_weight, bias, cluster_bias = (
            tensor.to(dtype)
            for tensor in (hidden, weight, self.cluster_weight, self.bias, self.cluster_bias)
        )
        with torch.autocast(hidden.device.type, enabled=False):
            logits = functional.linear(hidden, weight, bias)
            of_clusters = functional.linear(hidden, cluster_weight, cluster_bias)
        head, *rest = torch.split(logits, self.sizes, dim=-1)
        first = torch.cat([head, of_clusters], dim=-1).log_softmax(dim=-1)
        head, *clusters = torch.split(first, [self.sizes[0], *[1] * len(rest)], dim=-1)
        within = [part.log_softmax(dim=-1) for part in rest]
        joined = [cluster + part for cluster, part in zip(clusters, within, strict=True)]
        return torch.cat([head, *joined], dim=-1)

    def _clusters(self, targets: Tensor) -> Tensor:
        """The cluster of every target, from 1; 0 is the head."""
        begins: Tensor = self.get_buffer("_begins")
        return torch.bucketize(targets.long(), begins, right=True)

    def _head_targets(self, targets: Tensor, counted: Tensor) -> Tensor:
        """What the head should foresee: the token, or the entry of its cluster."""
        clusters = self._clusters(targets)
        entries = clusters + (self.sizes[0] - 1)
        return targets.long().where(clusters == 0, entries).masked_fill(~counted, _NOT_COUNTED)

    def _rows_of_clusters(self, targets: Tensor, counted: Tensor) -> Iterator[tuple[int, Tensor]]:
        """Every cluster that is due, and the rows whose targets lie in it.

        How many these are must be known before they can be worked on: a GPU is waited for, once.
        """
        clusters = self._clusters(targets).masked_fill(~counted, 0)
        lengths = clusters.bincount(minlength=len(self.sizes)).tolist()
        parts = torch.split(clusters.argsort(stable=True), lengths)
        for cluster, rows in enumerate(parts):
            if cluster > 0 and len(rows) > 0:
                yield cluster, rows

    def extra_repr(self) -> str:
        """Return what ``repr`` shows of the parameters."""
        return f"vocabulary_size={len(self.bias)}, cutoffs={self.cutoffs}"


def _check_cutoffs(cutoffs: tuple[int, ...], vocabulary_size: int) -> None:
    rising = all(a < b for a, b in pairwise(cutoffs))
    if not cutoffs or not rising or cutoffs[0] < 1 or cutoffs[-1] >= vocabulary_size:
        raise ParameterError(
            f"cutoffs must rise and lie between 1 and vocabulary_size - 1, however: {cutoffs=}, "
            f"{vocabulary_size=}"
        )
