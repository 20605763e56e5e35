"""What the tabular estimators share: the library's road, walked once per ``fit``.

``fit`` reads and checks the input, drops rows without a target, sets validation rows aside, prunes
outliers from the training rows, learns the preprocessing, builds the network and trains it. Every
step is a function of another module; this one only calls them in order.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from tabtext.errors import ArtifactError, DataError, ParameterError
from tabtext.estimators import network, storage
from tabtext.estimators.card import missing_shares, recipe, row_counts, training_card
from tabtext.estimators.importance import permutation_importance
from tabtext.estimators.inputs import (
    Sample,
    combined,
    drop_missing_targets,
    read_labelled,
    read_sample,
    split_sample,
)
from tabtext.estimators.network import EncodedSample, raw_outputs
from tabtext.estimators.parameters import TabularParameters
from tabtext.tabular.encoding import Encoded
from tabtext.tabular.outliers import PruningReport, prune
from tabtext.tabular.schema import Role
from tabtext.training.devices import choose_device
from tabtext.training.losses import LOSSES, weighted_mean
from tabtext.training.metrics import METRICS
from tabtext.training.reproducibility import seeded
from tabtext.training.targets import Target

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["TabularEstimator"]


@dataclass(kw_only=True, eq=False, repr=False)
class TabularEstimator(TabularParameters, ABC):
    """What both tabular estimators do; use ``TabularClassifier`` or ``TabularRegressor``.

    Attributes
    ----------
    schema_ : Schema
        What each column is.
    preprocessor_ : TabularPreprocessor
        How columns become numbers.
    pruning_ : PruningReport or None
        Which rule removed how many training rows.
    target_ : ClassificationTarget, MultilabelTarget or RegressionTarget
        How targets become numbers and back.
    target_names_ : list of str
        The target columns.
    model_ : EntityEmbeddingMLP
        The network, with the weights of the best epoch.
    history_ : History
        Losses and metrics of every epoch; ``history_.to_frame()`` is a DataFrame.
    card_ : dict
        What was given, done and reached; ``tabtext inspect`` prints it.
    feature_names_in_ : ndarray of str
        The columns of ``X`` at the fit.
    n_features_in_ : int
        How many those are.
    """

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
        self.check_parameters()
        started = perf_counter()
        given = read_sample(X, y, target=target, sample_weight=sample_weight)
        sample = drop_missing_targets(given, self.missing_target)
        self.target_names_ = list(sample.targets)
        rows, valid_sample = split_sample(
            sample,
            validation,
            fraction=self.validation_fraction,
            classes=self._classes_of(sample),
            missing_target=self.missing_target,
            seed=self.random_state,
        )
        train_sample, self.pruning_ = self._prune(rows)
        self.target_ = self._fit_target(sample, train_sample)
        self.preprocessor_ = self.new_preprocessor()
        encoded = self.preprocessor_.fit_transform(
            train_sample.table, targets=sample.targets, weight=sample.weight_column
        )
        self._remember_columns()
        training = self._encode(train_sample, encoded)
        valid = None if valid_sample is None else self._encode(valid_sample)
        self._train(training, valid)
        self.card_ |= {
            "rows": row_counts(given, sample, rows, train_sample, valid_sample),
            "missing": missing_shares(train_sample.table.select(list(self.feature_names_in_))),
            "pruning": None if self.pruning_ is None else self.pruning_.to_dict(),
            "seconds": perf_counter() - started,
        }
        return self

    # -- use ---------------------------------------------------------------------------------

    def predict(self, X: Any) -> NDArray[Any]:  # noqa: N803 - scikit-learn's name
        """Predict labels or quantities, in the units of the target.

        Parameters
        ----------
        X : table of any kind, or path
            Rows with the columns of the fit, in any order.

        Returns
        -------
        ndarray of shape (rows,), or (rows, targets) for several targets

        Raises
        ------
        UnknownColumnError, ColumnTypeError
            If a column is not there, or has another type than at the fit.
        """
        raw = self._raw(X)
        return self.target_.decode(raw)

    def evaluate(
        self,
        X: Any,  # noqa: N803 - scikit-learn's name
        y: Any = None,
        *,
        sample_weight: Any = None,
    ) -> dict[str, float]:
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
        sample = self._encode(read_labelled(X, y, sample_weight, **self._column_names()))
        outputs = self.target_.outputs(raw_outputs(self.model_, sample.encoded))
        metrics = METRICS[self.target_.task]
        return {m.name: m.function(sample.truth, outputs, sample.weight) for m in metrics}

    def feature_importance(
        self,
        X: Any,  # noqa: N803 - scikit-learn's name
        y: Any = None,
        *,
        n_repeats: int = 3,
        max_rows: int = 20_000,
        random_state: int = 0,
    ) -> "pd.DataFrame":
        """Measure how much the loss rises when one column is shuffled.

        Parameters
        ----------
        X : table of any kind, or path
            Rows that the model was not trained on; with the target columns when ``y`` is None.
        y : array, Series or DataFrame, optional
            Targets.
        n_repeats : int
            Shuffles per column.
        max_rows : int
            At most so many rows are used, drawn at random.
        random_state : int
            Seed of the draw and the shuffles.

        Returns
        -------
        DataFrame
            Indexed by ``feature``, most important first: ``importance`` (mean rise of the loss)
            and ``standard_deviation`` over the repeats.
        """
        if n_repeats < 1 or max_rows < 1:
            raise ParameterError(f"n_repeats={n_repeats}, max_rows={max_rows}: both at least 1")
        check_is_fitted(self, "model_")
        labelled = read_labelled(X, y, None, **self._column_names())
        sample = self._encode(labelled.draw(max_rows, seed=random_state))
        codes = torch.from_numpy(sample.codes)

        def loss(encoded: Encoded) -> float:
            raw = self.target_.activate(raw_outputs(self.model_, encoded))
            return float(weighted_mean(LOSSES[self._loss_name()](raw, codes), None))

        return permutation_importance(
            loss,
            sample.encoded,
            self.preprocessor_.positions(),
            n_repeats=n_repeats,
            random_state=random_state,
        )

    def embeddings(self, column: str) -> "pd.DataFrame":
        """Return the learned vectors of a categorical column's values.

        Parameters
        ----------
        column : str
            A categorical column, or a part of a date such as ``"Date_month"``.

        Returns
        -------
        DataFrame
            One row per category, the first two being ``"(missing)"`` and ``"(unseen)"``; one
            column per dimension.

        Raises
        ------
        ParameterError
            If this is no categorical column.
        """
        check_is_fitted(self, "model_")
        return network.embedding_vectors(self.model_, self.preprocessor_, column)

    # -- disk --------------------------------------------------------------------------------

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

    def place_model(self) -> None:
        """Move the network to the device that the parameter ``device`` names."""
        self.model_.to(choose_device(self.device))

    # -- what the estimators differ in -------------------------------------------------------

    @abstractmethod
    def _fit_target(self, sample: Sample, train_sample: Sample) -> Target:
        """Learn what the targets are, from all rows or from the training rows."""

    @abstractmethod
    def _loss_name(self) -> str:
        """The loss, one of ``tabtext.training.losses.LOSSES``."""

    def _row_weights(self, codes: NDArray[Any]) -> NDArray[np.float32] | None:
        """Weights of training rows that come on top of the caller's."""
        del codes
        return None

    # -- the steps of fit --------------------------------------------------------------------

    def _classes_of(self, sample: Sample) -> NDArray[np.int64] | None:
        """Class of each row, by which a random split is stratified."""
        del sample
        return None

    def _prune(self, sample: Sample) -> tuple[Sample, PruningReport | None]:
        """Remove outliers from the training rows by the rules that were given."""
        rules = [self.prune] if isinstance(self.prune, str) else list(self.prune)
        if not rules:
            return sample, None
        kept, report = prune(sample.table, rules)
        if report.kept < 2:
            raise DataError(f"pruning leaves {report.kept} training row, too few:\n{report}")
        return sample.filter(kept), report

    def _remember_columns(self) -> None:
        self.schema_ = self.preprocessor_.schema_
        names = self.schema_.names(
            *(role for role in Role if role not in (Role.TARGET, Role.WEIGHT))
        )
        self.feature_names_in_ = np.asarray(names, dtype=object)
        self.n_features_in_ = len(names)

    def _encode(self, sample: Sample, encoded: Encoded | None = None) -> EncodedSample:
        """Rows as the network reads them."""
        if encoded is None:
            encoded = self.preprocessor_.transform(sample.table)
        table = sample.target_table
        codes = self.target_.encode(table)
        return EncodedSample(encoded, codes, self.target_.truth(table), sample.weight)

    def _train(self, sample: EncodedSample, valid: EncodedSample | None) -> None:
        """Build and train the network; note the recipe on the card."""
        n_rows = len(sample.encoded)
        options = self.training_options(n_rows, self.target_.task)
        batch_size = self.rows_per_batch(n_rows)
        device = choose_device(self.device)
        sample = replace(sample, weight=combined(sample.weight, self._row_weights(sample.codes)))
        with seeded(self.random_state, device):
            model = network.build_model(
                self.network_options(),
                self.preprocessor_,
                sample,
                self.target_.n_outputs,
                seed=self.random_state,
            )
            self.model_ = model.to(device)
            self.history_ = network.train(
                self.model_,
                self.target_,
                self._loss_name(),
                sample,
                valid,
                options=options,
                batch_size=batch_size,
                show_progress=self.verbose > 0,
            )
        self.card_ = training_card(
            self.target_.task,
            self.model_,
            self.history_,
            recipe(options, self.network_options(), loss=self._loss_name(), batch_size=batch_size),
        )

    # -- shared by what uses a fitted model --------------------------------------------------

    def _column_names(self) -> dict[str, list[str]]:
        return {"targets": self.target_names_, "features": self.feature_names_in_.tolist()}

    def _raw(self, X: Any) -> Tensor:  # noqa: N803 - scikit-learn's name
        """Raw outputs of the network ``(rows, outputs)`` on the CPU."""
        check_is_fitted(self, "model_")
        return raw_outputs(self.model_, self.preprocessor_.transform(X))
