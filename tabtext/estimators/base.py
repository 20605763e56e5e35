"""What the tabular estimators share: the library's road, walked once per ``fit``.

``fit`` reads and checks the input, drops rows without a target, sets validation rows aside, prunes
outliers from the training rows, learns the preprocessing, builds the network and trains it. Every
step is a function of another module; this one only calls them in order.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Self

import torch
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from tabtext.errors import ArtifactError, ParameterError
from tabtext.estimators import network, storage
from tabtext.estimators.augmentation import Augmentation
from tabtext.estimators.fitting import FittingSteps, resolve_checkpoints
from tabtext.estimators.importance import permutation_importance
from tabtext.estimators.inputs import read_labelled
from tabtext.tabular.encoding import Encoded
from tabtext.training.callbacks import Callback
from tabtext.training.checkpoint import Checkpoints
from tabtext.training.devices import choose_device
from tabtext.training.distributed import first_process_only
from tabtext.training.losses import weighted_mean
from tabtext.training.lr_finder import LearningRateCurve
from tabtext.training.metrics import METRICS
from tabtext.training.progress import ProgressBar

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["TabularEstimator"]


@dataclass(kw_only=True, eq=False, repr=False)
class TabularEstimator(FittingSteps):
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
    snapshots_ : list of dict of str to Tensor
        Weights at the end of every cycle, with ``snapshots=True``; predictions combine all of them,
        and neither the best epoch nor an average of the weights counts.
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
        callbacks: Sequence[Callback] = (),
        checkpoints: str | Path | Checkpoints | None = None,
        resume: bool | str | Path = False,
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
        self.check_parameters()
        started = perf_counter()
        place, go_on = resolve_checkpoints(checkpoints, resume)
        self._forget_fit()
        rows = self._prepare(
            X, y, target=target, sample_weight=sample_weight, validation=validation
        )
        shown = [ProgressBar()] if self.verbose > 0 else []
        self._train(rows, callbacks=[*callbacks, *shown], checkpoints=place, resume=go_on)
        self.card_ |= {
            "rows": rows.counts,
            "missing": rows.missing,
            "pruning": None if self.pruning_ is None else self.pruning_.to_dict(),
            "seconds": perf_counter() - started,
        }
        return self

    def _forget_fit(self) -> None:
        """Forget what an earlier fit learned: a later one that fails leaves no mixture of both."""
        for name in [name for name in vars(self) if name.endswith("_")]:
            delattr(self, name)

    def find_learning_rate(
        self,
        X: Any,  # noqa: N803 - scikit-learn's name
        y: Any = None,
        *,
        target: str | Sequence[str] | None = None,
        sample_weight: Any = None,
    ) -> LearningRateCurve:
        """Try rising learning rates on the network that ``fit`` would train.

        The estimator is not changed; a ``fit`` that follows is the same as without.

        Parameters
        ----------
        X, y, target, sample_weight
            As for ``fit``.

        Returns
        -------
        LearningRateCurve
            ``curve.steep`` is the rate to start with; ``tabtext.plots.plot_learning_rate_curve``
            draws ``curve.rates``, ``curve.losses`` and ``curve.suggestions``.
        """
        self.check_parameters()
        other: Self = clone(self)
        rows = other._prepare(X, y, target=target, sample_weight=sample_weight, validation=None)
        return other._sweep(rows)

    # -- use ---------------------------------------------------------------------------------

    def predict(
        self,
        X: Any,  # noqa: N803 - scikit-learn's name
        *,
        augmentation: Augmentation | None = None,
    ) -> NDArray[Any]:
        """Predict labels or quantities, in the units of the target.

        Parameters
        ----------
        X : table of any kind, or path
            Rows with the columns of the fit, in any order.
        augmentation : Augmentation, optional
            Predict several noisy copies of every row and take their mean.

        Returns
        -------
        ndarray of shape (rows,), or (rows, targets) for several targets

        Raises
        ------
        UnknownColumnError, ColumnTypeError
            If a column is not there, or has another type than at the fit.
        """
        raw = self._raw(X, augmentation)
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
        outputs = self.target_.outputs(self._raw_of(sample.encoded))
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
        row_loss = self._row_loss()

        def loss(encoded: Encoded) -> float:
            raw = self.target_.activate(self._raw_of(encoded))
            return float(weighted_mean(row_loss(raw, codes), None))

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

        Of several processes that torchrun started, the first one writes.

        Raises
        ------
        SaveError
            If the disk is full or the place is taken; nothing half-written is left.
        """
        check_is_fitted(self, "model_")
        first_process_only(lambda: storage.save(self, Path(directory)))

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

    # -- shared by what uses a fitted model --------------------------------------------------

    def _column_names(self) -> dict[str, list[str]]:
        return {"targets": self.target_names_, "features": self.feature_names_in_.tolist()}

    def _raw(
        self,
        X: Any,  # noqa: N803 - scikit-learn's name
        augmentation: Augmentation | None = None,
    ) -> Tensor:
        """Raw outputs of the network ``(rows, outputs)`` on the CPU."""
        check_is_fitted(self, "model_")
        encoded = self.preprocessor_.transform(X)
        if augmentation is None:
            return self._raw_of(encoded)
        copies = augmentation.copies_of(encoded, self.preprocessor_.is_number())
        return self.target_.combine([self._raw_of(copy) for copy in copies])

    def _raw_of(self, encoded: Encoded) -> Tensor:
        """Raw outputs for encoded rows: the network's, or the mean of its snapshots'."""
        if not self.snapshots_:
            return network.raw_outputs(self.model_, encoded)
        return self.target_.combine(
            [network.raw_outputs(self.model_, encoded, weights) for weights in self.snapshots_]
        )
