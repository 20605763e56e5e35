"""Adaptive softmax: frequent tokens are scored every time, rare ones only where one of them is due.

The vocabulary, in the order of frequency, is cut into a *head* and *clusters* of rarer tokens. The
head's softmax is over its own tokens and one entry for every cluster; a cluster's is over its
tokens. A rare token's probability is its cluster's times its own within it, so all probabilities
add up to one, and the loss is exact: it is another model than the full softmax, not an estimate of
it. Tokens are scored with the rows of the embedding, in the head and in the clusters.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from tabtext.errors import ParameterError
from tabtext.text.softmax.chunked import Gradients, on_all_cores, target_losses
from tabtext.text.softmax.cross_entropy import (
    Products,
    check_inputs,
    mean_weights,
    product_dtype,
    sum_dtype,
)
from tabtext.text.softmax.cutoffs import choose_cutoffs, zipf_counts
from tabtext.text.softmax.ready_gradients import with_ready_gradients
from tabtext.text.special_tokens import PADDING_ID

__all__ = ["AdaptiveSoftmax", "choose_cutoffs"]


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
        weights = mean_weights(targets != ignore_index, sum_dtype(hidden, weight))
        if torch.compiler.is_compiling():  # which traces operations, and fuses what it can itself
            scores = self.log_probabilities(hidden, weight)
            losses = functional.nll_loss(
                scores, targets.long(), ignore_index=ignore_index, reduction="none"
            )
            return losses @ weights
        dtype = product_dtype(products, hidden, weight)

        def compute(needed: Sequence[bool]) -> tuple[Tensor, Sequence[Tensor | None]]:
            losses, gradients = self._losses(hidden, targets, weight, weights, dtype, needed)
            return losses.sum(), gradients

        return with_ready_gradients(
            compute, hidden, weight, self.bias, self.cluster_weight, self.cluster_bias
        )

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
        dtype = sum_dtype(hidden, weight)
        weights = (targets != ignore_index).to(dtype)
        losses, _ = self._losses(hidden, targets, weight, weights, dtype, [False] * 5)
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

    def _losses(
        self,
        hidden: Tensor,
        targets: Tensor,
        weight: Tensor,
        weights: Tensor,
        products: torch.dtype,
        needed: Sequence[bool],
    ) -> tuple[Tensor, Sequence[Tensor | None]]:
        """The weighted losses of all rows, and the needed gradients of their sum."""

        def work(n_cores: int) -> tuple[Tensor, Sequence[Tensor | None]]:
            once = _Pass(self, hidden, weight, products=products, needed=needed, n_cores=n_cores)
            return once.losses(targets.long(), weights), once.gradients

        return on_all_cores(work, n_logits=len(hidden) * self.cutoffs[0], device=hidden.device)

    def extra_repr(self) -> str:
        """Return what ``repr`` shows of the parameters."""
        return f"vocabulary_size={len(self.bias)}, cutoffs={self.cutoffs}"


class _Pass:
    """One pass through head and clusters, which writes all gradients to where they belong.

    ``needed`` says which of hidden, weight, bias, cluster weight and cluster bias get gradients.
    """

    def __init__(
        self,
        softmax: AdaptiveSoftmax,
        hidden: Tensor,
        weight: Tensor,
        *,
        products: torch.dtype,
        needed: Sequence[bool],
        n_cores: int,
    ) -> None:
        dtype = sum_dtype(hidden, weight)  # of sums
        self.cutoffs = softmax.cutoffs
        self.words = [slice(*ends) for ends in pairwise((0, *softmax.cutoffs, len(weight)))]
        self.hidden = hidden.detach().to(dtype).contiguous()
        self.weight = weight.detach()
        self.bias = softmax.bias.detach().to(dtype)
        self.cluster_weight = softmax.cluster_weight.detach().to(weight.dtype)
        self.cluster_bias = softmax.cluster_bias.detach().to(dtype)
        self.products = products
        self.n_cores = n_cores
        self.needed = needed
        inputs = self.hidden, self.weight, self.bias, self.cluster_weight, self.cluster_bias
        self.gradients = [
            self.hidden.new_empty(tensor.shape) if need else None
            for tensor, need in zip(inputs, needed, strict=True)
        ]

    def losses(self, targets: Tensor, weights: Tensor) -> Tensor:
        """The weighted losses of all rows."""
        uncounted = weights == 0
        begun = torch.stack([targets >= cutoff for cutoff in self.cutoffs])
        clusters = begun.sum(dim=0).masked_fill_(uncounted, 0)  # from 1; 0 is the head
        entries = clusters + (self.cutoffs[0] - 1)
        due = targets.where(clusters == 0, entries).masked_fill_(uncounted, 0)
        losses = self._head_losses(due, weights)
        # How many rows a cluster has must be known before they can be worked on: a GPU is waited
        # for, once.
        lengths = clusters.bincount(minlength=len(self.words)).tolist()
        rows_of_clusters = torch.split(clusters.argsort(stable=True), lengths)
        for words, rows in zip(self.words[1:], rows_of_clusters[1:], strict=True):
            within = self._cluster_losses(words, rows, targets, weights)
            losses.index_add_(0, rows, within)
        return losses

    def _head_losses(self, targets: Tensor, weights: Tensor) -> Tensor:
        """Losses of foreseeing a frequent token or an entry; writes the hidden gradient."""
        words = self.words[0]
        hidden, weight, bias, cluster_weight, cluster_bias = self.gradients
        head_weight = torch.cat([self.weight[words], self.cluster_weight])
        head_bias = torch.cat([self.bias[words], self.cluster_bias])
        gradients = Gradients(
            hidden=hidden,
            weight=self.hidden.new_empty(head_weight.shape) if any(self.needed[1::2]) else None,
            bias=torch.empty_like(head_bias) if any(self.needed[2::2]) else None,
        )
        losses = target_losses(
            self.hidden,
            head_weight,
            head_bias,
            targets,
            weights,
            products=self.products,
            gradients=gradients,
            n_cores=self.n_cores,
        )
        for made, of_words, of_entries in (
            (gradients.weight, weight, cluster_weight),
            (gradients.bias, bias, cluster_bias),
        ):
            if made is not None and of_words is not None:
                of_words[words] = made[words]
            if made is not None and of_entries is not None:
                of_entries.copy_(made[words.stop :])
        return losses

    def _cluster_losses(
        self, words: slice, rows: Tensor, targets: Tensor, weights: Tensor
    ) -> Tensor:
        """Losses of foreseeing a token within its cluster; adds to the hidden gradient."""
        hidden, weight, bias, _, _ = self.gradients
        states = self.hidden.index_select(0, rows)
        gradients = Gradients(
            hidden=None if hidden is None else torch.empty_like(states),
            weight=None if weight is None else weight[words],
            bias=None if bias is None else bias[words],
        )
        losses = target_losses(
            states,
            self.weight[words],
            self.bias[words],
            targets.index_select(0, rows) - words.start,
            weights.index_select(0, rows),
            products=self.products,
            gradients=gradients,
            n_cores=self.n_cores,
        )
        if hidden is not None and gradients.hidden is not None:
            hidden.index_add_(0, rows, gradients.hidden)
        return losses


def _check_cutoffs(cutoffs: tuple[int, ...], vocabulary_size: int) -> None:
    rising = all(a < b for a, b in pairwise(cutoffs))
    if not cutoffs or not rising or cutoffs[0] < 1 or cutoffs[-1] >= vocabulary_size:
        raise ParameterError(
            f"cutoffs must rise and lie between 1 and vocabulary_size - 1, however: {cutoffs=}, "
            f"{vocabulary_size=}"
        )
