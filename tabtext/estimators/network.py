"""The network of a tabular estimator: its options, and what it says of encoded rows."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn

from tabtext.errors import ParameterError
from tabtext.tabular.activations import ActivationName
from tabtext.tabular.encoding import Encoded
from tabtext.tabular.frozen import frozen
from tabtext.tabular.members import Combine, TabM
from tabtext.tabular.models import EntityEmbeddingMLP, NumericEmbedding, TabularEncoder
from tabtext.tabular.parametrizations import Parametrization
from tabtext.tabular.preprocessing import TabularPreprocessor
from tabtext.training.prediction import predict
from tabtext.training.targets import RegressionTarget, Target

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "ROWS_PER_PREDICTION",
    "NetworkOptions",
    "TabularNetwork",
    "combination_for",
    "embedding_vectors",
    "input_tensors",
    "raw_outputs",
]

ROWS_PER_PREDICTION = 8192
"""Large enough to fill the processor, small enough for its cache."""


TabularNetwork = TabM | EntityEmbeddingMLP
"""A network that is trained as one."""

_COMBINE: dict[str, Combine] = {
    "classification": "classes",
    "multilabel": "labels",
    "regression": "values",
}


@dataclass(frozen=True)
class NetworkOptions:
    """The shape of the network; see ``TabularEstimator`` for what each option means."""

    network: Literal["tabm", "mlp"]
    n_members: int
    hidden: Sequence[int]
    dropout: float
    embedding_widths: Mapping[str, int] | None
    embedding_dropout: float
    unseen_rate: float
    numeric_embedding: NumericEmbedding
    bins: Literal["auto", "tree", "quantile"]
    n_bins: int
    numeric_width: int
    one_hot_up_to: int = 0
    feature_scales: bool = False
    activation: ActivationName = "relu"
    parametrization: Parametrization = "standard"
    spectral_norm: bool = False

    def of_trunk(self) -> dict[str, Any]:
        """The shape of what follows the columns' vectors, but for the number of members."""
        return {
            "hidden": tuple(self.hidden),
            "dropout": self.dropout,
            "activation": self.activation,
            "parametrization": self.parametrization,
            "spectral_norm": self.spectral_norm,
        }

    def in_use(self) -> dict[str, Any]:
        """The options that shape this network, by name."""
        settings = asdict(self)
        if self.network == "mlp":
            del settings["n_members"]
        if self.numeric_embedding != "piecewise_linear":
            del settings["bins"], settings["n_bins"]
        if self.numeric_embedding == "none":
            del settings["numeric_width"]
        off = {field.name: field.default for field in fields(self)}  # of practices alone
        return {name: value for name, value in settings.items() if value != off[name]}


def input_tensors(encoded: Encoded) -> tuple[Tensor, Tensor]:
    """The two matrices as tensors on the CPU, which share memory with the arrays."""
    return torch.from_numpy(encoded.categorical), torch.from_numpy(encoded.continuous)


def raw_outputs(
    model: nn.Module, inputs: Sequence[Tensor], weights: Mapping[str, Tensor] | None = None
) -> Tensor:
    """Raw outputs ``(rows, outputs)`` on the CPU; with other weights than the model's if given."""
    if weights is None and next(model.parameters()).device.type == "cpu":
        model = frozen(model.eval() if model.training else model)
    return predict(model, inputs, batch_size=ROWS_PER_PREDICTION, weights=weights)


def embedding_vectors(
    encoder: TabularEncoder, preprocessor: TabularPreprocessor, column: str
) -> "pd.DataFrame":
    """Vectors of a categorical column, a row per category: learned ones, or indicators.

    Raises
    ------
    ParameterError
        If this is no categorical column.
    """
    import pandas as pd

    labels = ["(missing)", "(unseen)", *preprocessor.categories(column)]
    tables = encoder.categorical
    if tables is None:  # not reachable: a categorical column was found above
        raise ParameterError(f"the model has no embeddings, so none for {column!r}")
    position = preprocessor.categorical_names_.index(column)
    vectors = tables.table(position).detach().cpu().numpy()
    return pd.DataFrame(vectors.copy(), index=pd.Index(labels, name=column, dtype=object))


def combination_for(target: Target) -> Combine:
    """How members' outputs become one, so that predictions are their mean."""
    if isinstance(target, RegressionTarget) and target.y_range is not None:
        return "labels"  # what is scaled to the range is a sigmoid, as with labels
    return _COMBINE[target.task]
