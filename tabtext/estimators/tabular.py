"""``TabularClassifier`` and ``TabularRegressor``: from a table to a model in one call.

``fit`` walks the library's road once: read and check the input, drop rows without a target, set
validation rows aside, prune outliers from the training rows, learn the preprocessing, build the
network, train it. Every step is a function of another module; this one only calls them in order.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from tabtext.errors import DataError, ParameterError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["TabularClassifier", "TabularRegressor"]


@dataclass(kw_only=True, eq=False, repr=False)
class TabularEstimator(BaseEstimator):
    """What both tabular estimators share; use ``TabularClassifier`` or ``TabularRegressor``.

    A dataclass, because its generated ``__init__`` only stores its arguments, which is what
    scikit-learn asks of an estimator.

    Parameters
    ----------
    roles : mapping of str to str, optional
        Column -> ``"categorical"``, ``"continuous"``, ``"datetime"`` or ``"ignore"``, where the
        inferred role is wrong.
    exclude : sequence of str
        Columns that the model must not see.
    date_parts : bool
        Replace dates by year, month, day of week ... and elapsed seconds.
    prune : sequence of str or Rule
        Rules of ``tabtext.tabular.outliers`` for training rows; text such as ``"Sales > 0"`` keeps
        the rows where it holds.
    missing : {"median", "mean", "constant", "signal"}
        What fills gaps in continuous columns; ``"constant"`` takes ``fill_value``, ``"signal"`` a
        value outside the column's range.
    fill_value : float
        See ``missing``.
    missing_indicators : bool
        Add a 0/1 column for every continuous column with gaps in training.
    scaling : {"standard", "robust", "quantile", "none"}
        How continuous columns are scaled.
    min_count : int
        Categories with fewer training rows share the code of unseen ones.
    hidden : sequence of int
        Width of each hidden layer.
    dropout : float
        Share of each hidden layer's outputs set to zero in training.
    embedding_widths : mapping of str to int, optional
        Width of single columns' embeddings; the others follow ``embedding_width``.
    embedding_dropout : float
        Share of the embeddings' elements set to zero in training.
    unseen_rate : float
        Share of known categories that training replaces by "unseen", so that its vector is learned.
    numeric_embedding : {"none", "piecewise_linear", "periodic"}
        What continuous columns become beside their scaled value.
    bins : {"tree", "quantile"}
        Where piecewise-linear bins come from: a decision tree on the target per column, or
        quantiles.
    n_bins : int
        Largest number of bins per column.
    epochs : int or "auto"
        Passes over the training rows; ``"auto"`` depends on their number (see ``defaults``).
    batch_size : int or "auto"
        Rows per step; ``"auto"`` depends on their number (see ``defaults``).
    learning_rate : float
        Peak of the one-cycle schedule.
    weight_decay : float
        Decoupled; not on biases, norms and embeddings.
    clip_norm : float or None
        Largest global norm of the gradient.
    patience : int or None
        Epochs without improvement of the validation loss after which training ends. The best
        epoch's weights are kept in any case.
    validation_fraction : float
        Share of rows set aside at random when ``fit`` gets no ``validation``; 0 for none.
    missing_target : {"drop", "error"}
        What to do with rows whose target is missing.
    random_state : int
        Seed of the split, the initial weights and the order of batches. Two fits with the same
        seed, data and CPU are equal bit for bit.
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda"``, ...
    verbose : int
        0 is silent, 1 shows progress.
    """

    roles: Mapping[str, str] | None = None
    exclude: Sequence[str] = ()
    date_parts: bool = True
    prune: Sequence[Any] = ()
    missing: Literal["median", "mean", "constant", "signal"] = "median"
    fill_value: float = 0.0
    missing_indicators: bool = True
    scaling: Literal["standard", "robust", "quantile", "none"] = "standard"
    min_count: int = 1
    hidden: Sequence[int] = (512, 256)
    dropout: float = 0.1
    embedding_widths: Mapping[str, int] | None = None
    embedding_dropout: float = 0.0
    unseen_rate: float = 0.01
    numeric_embedding: Literal["none", "piecewise_linear", "periodic"] = "piecewise_linear"
    bins: Literal["tree", "quantile"] = "tree"
    n_bins: int = 48
    epochs: int | Literal["auto"] = "auto"
    batch_size: int | Literal["auto"] = "auto"
    learning_rate: float = 2e-3
    weight_decay: float = 0.01
    clip_norm: float | None = 1.0
    patience: int | None = None
    validation_fraction: float = 0.1
    missing_target: Literal["drop", "error"] = "drop"
    random_state: int = 0
    device: str = "auto"
    verbose: int = 1

    # -- fit ---------------------------------------------------------------------------------

    def fit(
        self,
        X: Any,  # noqa: N803 - scikit-learn's name
        y: Any = None,
        *,
        target: str | Sequence[str] | None = None,
        sample_weight: Any = None,
        validation: Any = None,
    ) -> Self:
        """Learn preprocessing and network from a table.

        Parameters
        ----------
        X : DataFrame, Arrow table, 2-D array or path of a CSV or Parquet file
            One row per example.
        y : array, Series or DataFrame, optional
            Targets, unless ``target`` names them.
        target : str or sequence of str, optional
            Target columns in ``X``.
        sample_weight : array or column name, optional
            Weight of each row of ``X``, finite and not negative.
        validation : table with the target, or pair ``(X, y)``, optional
            Rows to choose the best epoch by; default: a random ``validation_fraction`` of ``X``.

        Returns
        -------
        Self
            The fitted estimator.

        Raises
        ------
        DataError
            If there is nothing to learn from: no rows, no usable column, no or one target value.
        UnknownColumnError
            If a named column is not in the table.
        ColumnTypeError
            If a column mixes types, or a target has an unusable type.
        ParameterError
            If an argument is outside the values it may take.
        """
        started = perf_counter()
        given = read_sample(X, y, target=target, sample_weight=sample_weight)
        sample, n_missing = self._drop_missing_targets(given)
        train, valid = self._set_aside(sample, validation)
        train, self.pruning_ = self._prune(train)
        self.target_names_ = list(sample.targets)
        self.target_ = self._fit_target(sample, train)
        self.preprocessor_ = self._new_preprocessor()
        encoded = self.preprocessor_.fit_transform(
            train.table, targets=train.targets, weight=train.weight_column
        )
        self.schema_ = self.preprocessor_.schema_
        self.feature_names_in_ = np.asarray(self.preprocessor_.feature_names_in_, dtype=object)
        self.n_features_in_ = len(self.feature_names_in_)
        self._train(train, encoded, valid)
        self.card_ = self._make_card(given, n_missing, train, valid, perf_counter() - started)
        return self

    # -- predict -----------------------------------------------------------------------------

    def _raw(self, X: Any) -> Tensor:  # noqa: N803
        """Raw outputs of the network ``(rows, outputs)`` on the CPU."""
        check_is_fitted(self, "model_")
        return self._raw_of(self.preprocessor_.transform(X))

    def evaluate(self, X: Any, y: Any = None, *, sample_weight: Any = None) -> dict[str, float]:  # noqa: N803
        """Compare predictions with known targets.

        Parameters
        ----------
        X : table of any kind, or path
            The features; with the target columns when ``y`` is None.
        y : array, Series or DataFrame, optional
            Targets.
        sample_weight : array or column name, optional
            How much each row counts.

        Returns
        -------
        dict of str to float
            Metric -> value. Rows without a target are left out.
        """
        check_is_fitted(self, "model_")

    def save(self, directory: str | Path) -> None:
        """Write the fitted model as an artifact directory: JSON, Arrow and safetensors, no pickle.

        Raises
        ------
        SaveError
            If the disk is full or the place is taken; nothing half-written is left.
        """
        check_is_fitted(self, "model_")
        storage.save(self, Path(directory))

    @classmethod
    def load(cls, directory: str | Path) -> Self:
        """Read a model that ``save`` wrote. No code from the directory is run.

        Raises
        ------
        MissingFileError
            If there is no model.
        ArtifactError
            If the model is damaged, newer than this version, or of another kind.
        """
        loaded = storage.load(Path(directory))
        if not isinstance(loaded, cls):
            raise ArtifactError(
                f"{directory} holds a {type(loaded).__name__}, not a {cls.__name__}; "
                "use tabtext.load, or the class that saved it"
            )
        return loaded
