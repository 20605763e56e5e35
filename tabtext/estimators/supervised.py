"""What every estimator with a target shares: the library's road, walked once per ``fit``.

``fit`` reads and checks the input, drops rows without a target, sets validation rows aside, prunes
outliers from the training rows where there are rules for it, learns the preprocessing, builds the
network and trains it. Every step is a function of another module or a hook that the children fill;
this one only calls them in order.
"""

import logging
import os
from abc import abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Generic, Literal, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from tabtext.errors import ParameterError
from tabtext.estimators.card import missing_shares, row_counts
from tabtext.estimators.inputs import (
    Sample,
    combined,
    drop_missing_targets,
    read_labelled,
    read_sample,
)
from tabtext.estimators.samples import EncodedSample, Features, PreparedRows
from tabtext.estimators.saving import SavedEstimator
from tabtext.estimators.training_parameters import TrainingParameters
from tabtext.progress import showing
from tabtext.training.distributed import first_process_only
from tabtext.training.losses import Loss, make_loss
from tabtext.training.metrics import measure
from tabtext.training.targets import Target

if TYPE_CHECKING:
    from tabtext.tabular.outliers import PruningReport
    from tabtext.training.callbacks import Callback
    from tabtext.training.checkpoint import Checkpoints

__all__ = ["SupervisedEstimator"]

_log = logging.getLogger(__name__)


@dataclass(kw_only=True, eq=False, repr=False)
class SupervisedEstimator(SavedEstimator, TrainingParameters, Generic[Features]):
    """What classifiers and regressors do, whatever their rows are made of.

    Parameters
    ----------
    missing_target : {"drop", "error"}
        What to do with rows whose target is missing.
    **training
        All further parameters are those of ``TrainingParameters``.

    Attributes
    ----------
    target_ : ClassificationTarget, MultilabelTarget or RegressionTarget
        How targets become numbers and back.
    target_names_ : list of str
        The target columns.
    pruning_ : PruningReport or None
        Which rule removed how many training rows.
    card_ : dict
        What was given, done and reached; ``tabtext inspect`` prints it.
    feature_names_in_ : ndarray of str
        The columns of ``X`` at the fit; those of an array are called x0, x1 ...
    n_features_in_ : int
        How many those are.
    validation_rows_ : ndarray of int or None
        Which rows of those that ``fit`` was given were set aside at random to choose the best epoch
        by; None where ``validation`` was given, or none were set aside. Not saved.
    """

    missing_target: Literal["drop", "error"] = "drop"

    # -- in what tables and texts differ -----------------------------------------------------

    @abstractmethod
    def _learn_features(self, sample: Sample) -> Features:
        """Learn the preprocessing from training rows, and ``feature_names_in_``; encode them."""

    @abstractmethod
    def _features(self, data: Any) -> Features:
        """Encode rows by the preprocessing of the fit."""

    @abstractmethod
    def _train(
        self,
        rows: PreparedRows[Features],
        *,
        callbacks: "Sequence[Callback]",
        checkpoints: "Checkpoints | None",
        resume: bool,
    ) -> None:
        """Build and train the network; begin the card."""

    @abstractmethod
    def _raw_of(self, features: Features) -> Tensor:
        """Raw outputs ``(rows, outputs)`` for encoded rows, on the CPU."""

    def _while_fitting(self) -> AbstractContextManager[None]:
        """Hold what all steps of a fit need, from the check of the parameters to the end."""
        return nullcontext()

    def _as_input(self, data: Any) -> Any:
        """What the readers of ``inputs`` understand."""
        return data

    def _prune(self, sample: Sample) -> "tuple[Sample, PruningReport | None]":
        """Remove outliers from the training rows."""
        return sample, None

    def _deals_folds(self) -> bool:
        """Whether rows are judged fold by fold, so that none are set aside."""
        return False

    # -- in what classification and regression differ ----------------------------------------

    @abstractmethod
    def _fit_target(self, sample: Sample, train_sample: Sample) -> Target:
        """Learn what the targets are, from all rows or from the training rows."""

    @abstractmethod
    def _loss_name(self) -> str:
        """The loss, one of ``tabtext.training.losses.LOSSES``."""

    @abstractmethod
    def _loss_settings(self) -> dict[str, float]:
        """The parameters of ``make_loss``."""

    def _row_loss(self) -> Loss:
        """The loss of every row."""
        return make_loss(self._loss_name(), **self._loss_settings())

    def _row_weights(
        self, codes: NDArray[Any], *, counted: NDArray[Any] | None = None
    ) -> NDArray[np.float32] | None:
        """Weights of rows to learn from that come on top of the caller's.

        What is common and what is rare is counted in ``counted``, or in the rows themselves.
        """
        del codes, counted
        return None

    def _classes_of(self, sample: Sample) -> NDArray[np.int64] | None:
        """Class of each row, by which a random split is stratified."""
        del sample
        return None

    def _learn_from_validation(
        self,
        raw: Tensor,
        valid: EncodedSample[Features],
        *,
        train_codes: NDArray[Any],
        of_folds: bool,
    ) -> None:
        """Learn how far predictions can be trusted, and note it on the card; nothing by itself.

        Parameters
        ----------
        raw : Tensor, shape (rows, outputs)
            Raw outputs for rows that were not learned from.
        valid : EncodedSample
            What was true of these rows and how much each counts; features are not looked at.
        train_codes : ndarray
            Targets of the training rows.
        of_folds : bool
            Whether the raw outputs are those of single networks, and not of the final model.
        """
        del raw, valid, train_codes, of_folds

    # -- fit ---------------------------------------------------------------------------------

    def check_parameters(self) -> None:
        """Raise ``ParameterError`` for what no later stage would notice before work begins."""
        super().check_parameters()
        if self.missing_target not in ("drop", "error"):
            raise ParameterError(
                f"missing_target={self.missing_target!r} is neither 'drop' nor 'error'"
            )

    def fit(
        self,
        X: Any,  # noqa: N803 - scikit-learn's name
        y: Any = None,
        *,
        target: str | Sequence[str] | None = None,
        sample_weight: Any = None,
        validation: Any = None,
        callbacks: "Sequence[Callback]" = (),
        checkpoints: "str | Path | Checkpoints | None" = None,
        resume: bool | str | Path = False,
    ) -> Self:
        """Learn preprocessing and network from labelled rows.

        Parameters
        ----------
        X : DataFrame, Arrow table, 2-D array, list of rows or path of a CSV or Parquet file
            One row per example. Text estimators also take a list, array or Series of texts.
        y : array, Series or DataFrame, optional
            Targets, unless ``target`` names them.
        target : str or sequence of str, optional
            Target columns in ``X``.
        sample_weight : array or column name, optional
            Weight of each row of ``X``, finite and not negative. Rows of weight 0 are left out
            before anything is learned; where folds are dealt, they are still predicted.
        validation : table with the target, or pair ``(X, y)``, optional
            Rows to choose the best epoch by; default: a random ``validation_fraction`` of ``X``.
        callbacks : sequence of Callback
            What else watches the training, such as ``tabtext.training.CSVLogger``.
        checkpoints : path or Checkpoints, optional
            Directory in which the run saves itself every ten minutes, at the end of every epoch,
            and on Ctrl-C or SIGTERM.
        resume : bool or path
            Go on from the newest of ``checkpoints``, in the middle of an epoch if need be; from the
            start if there is none. A path stands for ``checkpoints=path, resume=True``.

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
        DivergenceError
            If the loss becomes NaN or infinite.
        SaveError
            If ``checkpoints`` holds another run and ``resume`` is False.
        TrainingInterrupted
            If a signal ended training after a checkpoint was saved.
        """
        from tabtext.estimators.checkpoints import resolve_checkpoints
        from tabtext.training.progress import ProgressBar

        started = perf_counter()
        with self._while_fitting():
            self.check_parameters()
            place, go_on = resolve_checkpoints(checkpoints, resume)
            self._forget_fit()
            with showing(self.verbose):
                rows = self._prepare(
                    X, y, target=target, sample_weight=sample_weight, validation=validation
                )
                _log_rows(self, rows)
                shown = [ProgressBar()] if self.verbose > 0 else []
                self._train(rows, callbacks=[*callbacks, *shown], checkpoints=place, resume=go_on)
        self.card_ |= {
            "rows": rows.counts,
            "missing": rows.missing,
            "pruning": None if self.pruning_ is None else self.pruning_.to_dict(),
            "seconds": perf_counter() - started,
        }
        reached = ", ".join(f"{name} {value:.5g}" for name, value in self.card_["metrics"].items())
        _log.info("fitted in %.1f s: %s", self.card_["seconds"], reached or "no validation rows")
        return self

    def _prepare(
        self,
        X: Any,  # noqa: N803 - scikit-learn's name
        y: Any,
        *,
        target: str | Sequence[str] | None,
        sample_weight: Any,
        validation: Any,
    ) -> PreparedRows[Features]:
        """Read and check the input, set validation rows aside, prune, learn the preprocessing."""
        from tabtext.estimators.splitting import require_weight, split_sample

        given = read_sample(self._as_input(X), y, target=target, sample_weight=sample_weight)
        labelled = drop_missing_targets(given, self.missing_target)
        # Folds judge every row; else what weighs nothing is left out before any row is drawn.
        sample = labelled if self._deals_folds() else labelled.rows_that_count()
        self.target_names_ = list(sample.targets)
        classes = self._classes_of(labelled)
        rows, valid_sample = split_sample(
            sample,
            self._as_validation(validation),
            fraction=0.0 if self._deals_folds() else self.validation_fraction,
            classes=None if classes is None else classes[labelled.places_of(sample)],
            missing_target=self.missing_target,
            seed=self.random_state,
        )
        self.validation_rows_: NDArray[np.intp] | None = None
        if validation is None and valid_sample is not None:
            self.validation_rows_ = valid_sample.numbers
        pruned, self.pruning_ = self._prune(rows)
        train_sample = pruned.rows_that_count()
        self.target_: Target = self._fit_target(labelled, train_sample)
        require_weight(valid_sample)
        train = self._encode(train_sample, self._learn_features(train_sample))
        judged_sample = rows if valid_sample is None and self._deals_folds() else train_sample
        self.n_features_in_ = len(self.feature_names_in_)
        return PreparedRows(
            train=replace(train, weight=combined(train.weight, self._row_weights(train.codes))),
            valid=None if valid_sample is None else self._encode(valid_sample),
            judged=train if judged_sample is train_sample else self._encode(judged_sample),
            kept=judged_sample.places_of(train_sample),
            numbers=judged_sample.numbers,
            counts=row_counts(given, labelled, sample, rows, pruned, train_sample, valid_sample),
            missing=missing_shares(train_sample.table.select(list(self.feature_names_in_))),
        )

    def _as_validation(self, validation: Any) -> Any:
        """Validation rows as the readers of ``inputs`` understand them."""
        if isinstance(validation, tuple) and len(validation) == 2:
            return self._as_input(validation[0]), validation[1]
        is_path = isinstance(validation, str | os.PathLike)
        return self._as_input(validation) if is_path else validation

    def _encode(self, sample: Sample, features: Features | None = None) -> EncodedSample[Features]:
        """Rows as the network reads them."""
        if features is None:
            features = self._features(self._without_targets(sample))
        table = sample.target_table
        codes = self.target_.encode(table)
        return EncodedSample(features, codes, self.target_.truth(table), sample.weight)

    def _without_targets(self, sample: Sample) -> pa.Table:
        """The columns but the targets, which are texts like the others where classes have names."""
        targets = set(sample.targets) - set(self.feature_names_in_)
        return sample.table.select([c for c in sample.table.column_names if c not in targets])

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
        raw = self._raw(X)  # first, because before the fit it says so
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
        with showing(self.verbose):
            sample = self._encode(self._labelled(X, y, sample_weight))
            outputs = self.target_.outputs(self._raw_of(sample.encoded))
        return self._metrics_of(sample.truth, outputs, sample.weight)

    def _metrics_of(
        self, truth: NDArray[Any], outputs: NDArray[Any], weight: NDArray[np.float32] | None
    ) -> dict[str, float]:
        """What ``evaluate`` returns."""
        return measure(self.target_.task, truth, outputs, weight)

    def export_onnx(self, directory: str | Path) -> None:
        """Write the fitted model as an ONNX program that needs neither tabtext nor torch.

        The directory gets ``model.onnx``, which reads any number of encoded rows and returns what
        ``predict_proba`` or, of quantities, ``predict`` does: members, networks, snapshots,
        linear models that vote, temperature, transforms and bounds of the target are all in it.
        ``preprocessor.json`` says how rows are encoded (``tabtext.export.description``), and
        ``examples/serve_onnx.py`` serves both. ``predict_interval`` has no counterpart.

        Texts come as ids of tokens, in any number and length: a program cannot tokenize them. The
        directory then also gets ``tokenizer/``, from which
        ``tabtext.text.preprocessing.TextPreprocessor.load`` makes a tokenizer.

        Parameters
        ----------
        directory : str or Path
            Where it will stand; an earlier export is replaced.

        Raises
        ------
        ParameterError
            If the packages for it are not installed (``pip install 'tabtext[onnx]'``), or if
            there is no export of this kind of model.
        SaveError
            If the disk is full or the place is taken; nothing half-written is left.
        """
        check_is_fitted(self, "card_")
        first_process_only(lambda: self._export(Path(directory)))

    def _export(self, directory: Path) -> None:
        """Write the ONNX program and its description."""
        raise ParameterError(
            f"there is no ONNX export of a {type(self).__name__} ({directory} was not written); "
            "save() writes an artifact that tabtext serves"
        )

    # -- shared by what uses a fitted model --------------------------------------------------

    def labelled_rows(self, X: Any, y: Any = None) -> Sample:  # noqa: N803 - scikit-learn's name
        """Return the rows that have a target, under the names of the fit.

        Parameters
        ----------
        X : table of any kind, or path
            The features; with the target columns when ``y`` is None.
        y : array, Series or DataFrame, optional
            Targets.

        Raises
        ------
        DataError
            If there are no rows, or none with a target.
        """
        return self._labelled(X, y, None)

    def _labelled(self, data: Any, y: Any, sample_weight: Any) -> Sample:
        """Rows to be judged on, under the names of the fit."""
        check_is_fitted(self, "card_")
        features = self.feature_names_in_.tolist()
        given = self._as_input(data)
        return read_labelled(given, y, sample_weight, targets=self.target_names_, features=features)

    def _raw(self, data: Any) -> Tensor:
        """Raw outputs of the network ``(rows, outputs)`` on the CPU."""
        check_is_fitted(self, "card_")
        with showing(self.verbose):
            return self._raw_of(self._features(self._as_input(data)))

    def _table_of(self, raw: Tensor) -> pa.Table:
        """Predictions as a table with the names of the targets."""
        predicted = self.target_.decode(raw).reshape(len(raw), len(self.target_names_))
        return pa.table(
            {name: predicted[:, index] for index, name in enumerate(self.target_names_)}
        )


def _log_rows(estimator: SupervisedEstimator[Any], rows: PreparedRows[Any]) -> None:
    """Say what a fit works with."""
    _log.info(
        "fitting %s for %s: %s",
        type(estimator).__name__,
        ", ".join(estimator.target_names_),
        ", ".join(f"{count:,} rows {name}" for name, count in rows.counts.items()),
    )
    if estimator.pruning_ is not None:
        _log.info("%s", estimator.pruning_)
