"""Entity embeddings of every fold of the rows, learned from the other folds alone.

Vectors of networks that were trained apart have no axes in common, so that a model which reads them
from several networks reads noise. Here the folds share one network, whose layers stay as they are;
for each fold its tables begin anew and learn from the rows of the others. The layers hold the axes,
and have seen every row, yet they are few weights for all rows together; what remembers single rows
is the vector of a rare category, and that has not seen them.
"""

from copy import deepcopy

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from tabtext.estimators import network, network_training
from tabtext.estimators.network import TabularNetwork
from tabtext.estimators.samples import EncodedSample
from tabtext.tabular.embeddings import EntityEmbeddings
from tabtext.tabular.encoding import Encoded
from tabtext.tabular.models import TabularEncoder
from tabtext.training.losses import Loss
from tabtext.training.options import TrainingOptions
from tabtext.training.reproducibility import seeded
from tabtext.training.targets import Target

__all__ = ["learned_tables", "relearned_tables"]


class _TablesLast(nn.Module):
    """A network whose embedding tables are its last layer group, so that they can learn alone."""

    def __init__(self, model: TabularNetwork) -> None:
        super().__init__()
        self.model = model

    def layer_groups(self) -> list[nn.Module]:
        """Everything else, and the tables."""
        tables = _tables_of(self.model)
        rest = [part for part in self.model.encoder.children() if part is not tables]
        return [nn.ModuleList([*rest, *self.model.layer_groups()[1:]]), tables]

    def forward(self, categorical: Tensor, continuous: Tensor) -> Tensor:
        """Return the raw outputs of the network."""
        raw: Tensor = self.model(categorical, continuous)
        return raw


def learned_tables(encoder: TabularEncoder) -> list[NDArray[np.float32]]:
    """Return a copy of each categorical column's table ``(cardinality, width)``, row = code."""
    tables = encoder.categorical
    if tables is None:
        return []
    columns = range(len(tables.widths))
    return [tables.table(column).detach().cpu().numpy().copy() for column in columns]


def relearned_tables(
    model: TabularNetwork,
    rows: EncodedSample[Encoded],
    *,
    target: Target,
    row_loss: Loss,
    options: TrainingOptions,
    batch_size: int,
) -> list[NDArray[np.float32]]:
    """Return the tables that a trained network, its layers as they are, learns from rows anew.

    Parameters
    ----------
    model : TabM or EntityEmbeddingMLP
        Trained; it is not changed. Without embeddings there are no tables.
    rows : EncodedSample
        What to learn from.
    target, row_loss, options, batch_size
        As when it was trained. With the same seed, the tables begin with the same weights.
    """
    if model.encoder.categorical is None:
        return []
    model = deepcopy(model)
    with seeded(options.seed, next(model.parameters()).device):
        _tables_of(model).reset_parameters()
        trainer = network_training.new_trainer(
            _TablesLast(model), target, row_loss, None, options=options
        )
        trainer.fit(
            network_training.batches_of(
                rows, network.input_tensors(rows.encoded), model, batch_size, shuffle=True
            )
        )
    return learned_tables(model.encoder)


def _tables_of(model: TabularNetwork) -> EntityEmbeddings:
    tables = model.encoder.categorical
    assert tables is not None  # its callers have looked
    return tables
