"""Encoded rows into a trained network: bins, model, device tensors, trainer."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tabtext.errors import ParameterError, did_you_mean
from tabtext.estimators.network import (
    NetworkOptions,
    TabularNetwork,
    combination_for,
)
from tabtext.estimators.samples import EncodedSample
from tabtext.tabular.bin_choice import chosen_bin_edges
from tabtext.tabular.bins import quantile_bin_edges, tree_bin_edges
from tabtext.tabular.encoding import Encoded
from tabtext.tabular.members import TabM
from tabtext.tabular.models import EntityEmbeddingMLP, TabularEncoder
from tabtext.tabular.preprocessing import TabularPreprocessor
from tabtext.training.batches import Batches, TensorBatches
from tabtext.training.callbacks import Callback
from tabtext.training.checkpoint import Checkpoints
from tabtext.training.losses import Loss, mean_over_members
from tabtext.training.metrics import measure
from tabtext.training.options import TrainingOptions
from tabtext.training.streaming import StreamedBatches, fits_on
from tabtext.training.targets import Target
from tabtext.training.trainer import Trainer

__all__ = ["batches_of", "build_model", "encoder_arguments", "new_trainer"]


def build_model(
    options: NetworkOptions,
    preprocessor: TabularPreprocessor,
    sample: EncodedSample[Encoded],
    target: Target,
    *,
    seed: int,
) -> TabularNetwork:
    """Build the network for a preprocessor's columns; its bins come from the training sample.

    Raises
    ------
    ParameterError
        If a width is given for a column that has no embedding, or an option is out of range.
    """
    columns = encoder_arguments(options, preprocessor, sample, seed=seed)
    shape = options.of_trunk()
    if options.network == "mlp":
        return EntityEmbeddingMLP(**columns, **shape, n_outputs=target.n_outputs)
    return TabM(
        TabularEncoder(**columns),
        target.n_outputs,
        combine=combination_for(target),
        n_members=options.n_members,
        **shape,
    )


def new_trainer(
    model: nn.Module,
    target: Target,
    row_loss: Loss,
    valid: EncodedSample[Any] | None,
    *,
    options: TrainingOptions,
    callbacks: Sequence[Callback] = (),
    checkpoints: Checkpoints | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Trainer:
    """What trains a model that is on its device already, and measures it in the user's units."""

    def score(raw: Tensor) -> dict[str, float]:
        if valid is None:
            return {}
        return measure(target.task, valid.truth, target.outputs(raw), valid.weight)

    return Trainer(
        model,
        mean_over_members(lambda raw, codes: row_loss(target.activate(raw), codes)),
        options=options,
        score=score,
        callbacks=callbacks,
        checkpoints=checkpoints,
        settings=settings,
    )


def batches_of(
    sample: EncodedSample[Any],
    inputs: tuple[Tensor, ...],
    model: nn.Module,
    batch_size: int,
    *,
    shuffle: bool = False,
) -> Batches:
    """Rows as batches on the model's device; streamed there if its memory does not hold them."""
    device = next(model.parameters()).device
    weight = None if sample.weight is None else torch.from_numpy(sample.weight)
    target = torch.from_numpy(sample.codes)
    given = [*inputs, target] if weight is None else [*inputs, target, weight]
    stays = fits_on(device, *given)
    place = device if stays else torch.device("cpu")
    batches = TensorBatches(
        tuple(tensor.to(place) for tensor in inputs),
        target.to(place),
        None if weight is None else weight.to(place),
        batch_size=batch_size,
        shuffle=shuffle,
    )
    return batches if stays else StreamedBatches(batches, device)


def encoder_arguments(
    options: NetworkOptions,
    preprocessor: TabularPreprocessor,
    sample: EncodedSample[Encoded],
    *,
    seed: int,
) -> dict[str, Any]:
    """Return the arguments of ``TabularEncoder`` for the columns of a preprocessor."""
    edges = None
    if options.numeric_embedding == "piecewise_linear":
        edges = _bin_edges(options, sample, seed)
    return {
        "cardinalities": preprocessor.cardinalities_,
        "n_continuous": len(preprocessor.continuous_names_),
        "embedding_widths": _embedding_widths(
            options.embedding_widths or {}, preprocessor.categorical_names_
        ),
        "embedding_dropout": options.embedding_dropout,
        "unseen_rate": options.unseen_rate,
        "numeric_embedding": options.numeric_embedding,
        "numeric_width": options.numeric_width,
        "bin_edges": edges,
        "one_hot_up_to": options.one_hot_up_to,
        "feature_scales": options.feature_scales,
    }


def _bin_edges(
    options: NetworkOptions, sample: EncodedSample[Encoded], seed: int
) -> list[NDArray[np.float32]]:
    values = sample.encoded.continuous
    if options.bins == "quantile":
        return quantile_bin_edges(values, options.n_bins)
    by_target = chosen_bin_edges if options.bins == "auto" else tree_bin_edges
    return by_target(values, sample.codes, n_bins=options.n_bins, weight=sample.weight, seed=seed)


def _embedding_widths(widths: Mapping[str, int], names: Sequence[str]) -> list[int | None]:
    """Widths in the order of the columns, None where the rule decides."""
    for name in widths:
        if name not in names:
            raise ParameterError(
                f"embedding_widths names {name!r}, which is no categorical column"
                f"{did_you_mean(name, names)}. They are: {', '.join(names)}"
            )
    return [widths.get(name) for name in names]
