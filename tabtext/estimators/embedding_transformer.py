"""``EmbeddingTransformer``: learned entity embeddings as features for trees or any other model."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.utils.validation import check_is_fitted

from tabtext.errors import DataError, ParameterError
from tabtext.estimators.embedding_storage import read_transformer, write_transformer
from tabtext.estimators.fold_tables import learned_tables
from tabtext.estimators.inputs import Sample, drop_missing_targets, read_sample
from tabtext.estimators.parameter_checks import require_choice, require_whole
from tabtext.estimators.tabular import TabularClassifier, TabularRegressor
from tabtext.tabular.columns import set_apart
from tabtext.tabular.encoding import Encoded
from tabtext.tabular.prepared import prepare
from tabtext.tabular.preprocessing import reads_any_table

__all__ = ["EmbeddingTransformer"]

_MOST_CLASSES = 32
"""Whole numbers with more values than these are quantities, as targets."""


@dataclass(kw_only=True, eq=False, repr=False)
class EmbeddingTransformer(TransformerMixin, BaseEstimator):
    """Replace categories by the vectors that a network learned for them.

    ``fit`` trains a network on the target; ``transform`` gives each category's vector, each number,
    and each date by its parts: columns that any model reads, boosted trees for one. Categories that
    mean the same for the target lie close to each other, so that a split parts many at once.

    A category that few rows have remembers their targets in its vector. A model that learns from
    the vectors of the same rows would trust them more than it may. ``fit_transform``, which is what
    a pipeline calls in its own ``fit``, therefore gives every row vectors that were learned from
    the other folds, while the layers above them are those of the whole; ``transform`` gives those
    learned from all rows in the same way.

    Parameters
    ----------
    estimator : TabularClassifier, TabularRegressor or None
        The network and how it trains; with one network, and without phases of its own. None is
        ``preset="fast"`` of the one that suits the target: a regressor for fractions and for more
        than 32 whole numbers, else a classifier.
    n_folds : int
        Folds of ``fit_transform``; 1 gives all rows the vectors that the network learned from them,
        as the paper does.
    numbers : {"scaled", "unchanged"}
        Continuous columns as the network reads them: filled, scaled, with indicators of gaps; or
        as they are, with NaN for what is missing, or infinite as a float32.
    random_state : int
        Seed of the folds, and of the network where ``estimator`` is None.

    Attributes
    ----------
    estimator_ : TabularClassifier or TabularRegressor
        The fitted network.
    tables_ : list of ndarray of float32, shape (cardinality, width)
        Vectors for each of ``estimator_.preprocessor_.categorical_names_``, row = code.
    feature_names_in_ : ndarray of str
        The columns of ``X`` at the fit.
    n_features_in_ : int
        How many those are.

    References
    ----------
    Guo and Berkhahn, "Entity Embeddings of Categorical Variables", 2016, for vectors as features of
    other models. Folds are what Micci-Barreca's target encoding (2001) is given today, applied to
    vectors.

    Examples
    --------
    >>> from sklearn.ensemble import HistGradientBoostingRegressor
    >>> from sklearn.pipeline import make_pipeline
    >>> from tabtext.datasets import load_flights
    >>> flights = load_flights("test").dropna(subset="arr_delay")[:2000]
    >>> flights = flights[["carrier", "origin", "dep_delay", "arr_delay"]]
    >>> delay = flights.pop("arr_delay")
    >>> network = TabularRegressor(preset="fast", epochs=2, verbose=0)
    >>> vectors = EmbeddingTransformer(estimator=network, n_folds=2)
    >>> model = make_pipeline(vectors, HistGradientBoostingRegressor(max_iter=20))
    >>> model = model.fit(flights, delay)
    >>> vectors.get_feature_names_out()[-4:].tolist()
    ['origin_1', 'origin_2', 'origin_3', 'dep_delay']
    >>> model.predict(flights[:3]).shape
    (3,)
    """

    estimator: TabularClassifier | TabularRegressor | None = None
    n_folds: int = 5
    numbers: Literal["scaled", "unchanged"] = "scaled"
    random_state: int = 0

    def __sklearn_tags__(self) -> Any:
        tags = reads_any_table(super().__sklearn_tags__())
        tags.transformer_tags.preserves_dtype = []  # float32, whatever comes
        tags.target_tags.required = True
        return tags

    def fit(
        self,
        X: Any,  # noqa: N803 - scikit-learn's name
        y: Any = None,
        *,
        target: str | Sequence[str] | None = None,
        sample_weight: Any = None,
    ) -> Self:
        """Train the network.

        Parameters
        ----------
        X : table of any kind, or path
            One row per example.
        y : array, Series or DataFrame, optional
            Targets, unless ``target`` names them.
        target : str or sequence of str, optional
            Target columns in ``X``.
        sample_weight : array or column name, optional
            Weight of each row of ``X``, finite and not negative.

        Raises
        ------
        DataError, UnknownColumnError, ColumnTypeError, ParameterError
            As ``fit`` of the estimator, and if there are fewer rows than folds.
        """
        self._fit(read_sample(X, y, target=target, sample_weight=sample_weight))
        return self

    def fit_transform(
        self,
        X: Any,  # noqa: N803 - scikit-learn's name
        y: Any = None,
        *,
        target: str | Sequence[str] | None = None,
        sample_weight: Any = None,
    ) -> NDArray[np.float32]:
        """Train the network, and return the rows with vectors learned from the other folds.

        Parameters are those of ``fit``; the result has the columns of ``transform``, but is not the
        same as ``fit(...).transform(X)`` unless ``n_folds`` is 1.
        """
        sample = read_sample(X, y, target=target, sample_weight=sample_weight)
        self._fit(sample)
        encoded = self.estimator_.preprocessor_.encode(sample.table)
        vectors = self._vectors(encoded, self.tables_)
        for fold in self._folds(len(sample)):
            others = np.setdiff1d(np.arange(len(sample)), fold)
            tables = self.estimator_.relearn_tables(sample.take(others))
            vectors[fold] = self._vectors(encoded.take(fold), tables)
        return np.concatenate([vectors, self._numbers(sample.table, encoded)], axis=1)

    def transform(self, X: Any) -> NDArray[np.float32]:  # noqa: N803 - scikit-learn's name
        """Return vectors and numbers of rows.

        Parameters
        ----------
        X : table of any kind, or path
            Rows with the columns of the fit, in any order. New categories have the vector that the
            network learned for unseen ones.

        Returns
        -------
        ndarray of float32, shape (rows, len(get_feature_names_out()))
            ``<column>_0``, ``<column>_1`` ... for each category, then the numbers; a DataFrame
            after ``set_output(transform="pandas")`` or ``"polars"``.

        Raises
        ------
        UnknownColumnError, ColumnTypeError
            If a column is not there, or has another type than at the fit.
        """
        check_is_fitted(self, "estimator_")
        preprocessor = self.estimator_.preprocessor_
        table = preprocessor.read(X, who=type(self).__name__)
        encoded = preprocessor.encode(table)
        vectors = self._vectors(encoded, self.tables_)
        return np.concatenate([vectors, self._numbers(table, encoded)], axis=1)

    def get_feature_names_out(
        self,
        input_features: Any = None,
    ) -> NDArray[np.object_]:
        """Return the names of the columns of ``transform``, each only once.

        Where a number is called ``<column>_0``, the vector's element is ``<column>_0_``.

        Parameters
        ----------
        input_features : ignored
            Here because scikit-learn passes it.
        """
        del input_features
        check_is_fitted(self, "estimator_")
        preprocessor = self.estimator_.preprocessor_
        pairs = zip(preprocessor.categorical_names_, self.tables_, strict=True)
        vectors = [f"{name}_{axis}" for name, table in pairs for axis in range(table.shape[1])]
        of_network = preprocessor.get_feature_names_out().tolist()
        numbers = of_network[len(preprocessor.categorical_names_) :]
        if self.numbers == "unchanged":
            numbers = [encoder.name for encoder in preprocessor.continuous_encoders_]
        return np.asarray([*set_apart(vectors, set(numbers)), *numbers], dtype=object)

    # -- disk --------------------------------------------------------------------------------

    def save(self, directory: str | Path) -> None:
        """Write the fitted transformer as a directory: JSON, Arrow and safetensors, no pickle.

        Its ``network`` is a saved model of its own, with a card, that ``tabtext.load`` reads.

        Parameters
        ----------
        directory : str or Path
            Where it will stand; a transformer that already stands there is replaced.

        Raises
        ------
        SaveError
            If the disk is full or the place is taken; nothing half-written is left.
        """
        check_is_fitted(self, "estimator_")
        parameters = {
            "has_estimator": self.estimator is not None,
            "n_folds": int(self.n_folds),
            "numbers": self.numbers,
            "random_state": int(self.random_state),
        }
        write_transformer(Path(directory), parameters, self.estimator_, self.tables_)

    @classmethod
    def load(cls, directory: str | Path) -> Self:
        """Read a transformer that ``save`` wrote. No code from the directory is run.

        Raises
        ------
        MissingFileError
            If there is no transformer, or a file of it is missing.
        ArtifactError
            If a file is damaged, or written by a newer version.
        """
        parameters, network, tables = read_transformer(Path(directory))
        has_estimator = parameters.pop("has_estimator")
        transformer = cls(**parameters, estimator=clone(network) if has_estimator else None)
        transformer._keep(network, tables)
        return transformer

    # -- the steps ---------------------------------------------------------------------------

    def _fit(self, sample: Sample) -> None:
        require_whole("n_folds", self.n_folds, smallest=1)
        require_choice("numbers", self.numbers, ("scaled", "unchanged"))
        require_whole("random_state", self.random_state, smallest=0)
        if not isinstance(self.estimator, TabularClassifier | TabularRegressor | None):
            raise ParameterError(
                f"estimator={self.estimator!r:.80} must be a TabularClassifier, a "
                "TabularRegressor, or None"
            )
        if len(sample) < self.n_folds:
            raise DataError(
                f"{len(sample)} rows are too few for n_folds={self.n_folds} "
                f"(n_samples={len(sample)})"
            )
        weight = sample.weight if sample.weight_column is None else sample.weight_column
        estimator = self._new_estimator(sample)
        estimator.fit(sample.table, target=list(sample.targets), sample_weight=weight)
        # All rows learn their vectors as those of the folds do, so that both mean the same.
        alone = self.n_folds == 1
        encoder = estimator.model_.encoder
        self._keep(
            estimator, learned_tables(encoder) if alone else estimator.relearn_tables(sample)
        )

    def _keep(
        self,
        estimator: TabularClassifier | TabularRegressor,
        tables: Sequence[NDArray[np.float32]],
    ) -> None:
        """Have learned this."""
        self.estimator_, self.tables_ = estimator, list(tables)
        self.feature_names_in_ = estimator.feature_names_in_
        self.n_features_in_ = estimator.n_features_in_

    def _new_estimator(self, sample: Sample) -> TabularClassifier | TabularRegressor:
        if self.estimator is not None:
            copy: TabularClassifier | TabularRegressor = clone(self.estimator)
            return copy
        targets = drop_missing_targets(sample, "drop").target_table
        kind = TabularRegressor if _holds_quantities(targets) else TabularClassifier
        return kind(preset="fast", random_state=self.random_state, verbose=0)

    def _folds(self, n_rows: int) -> list[NDArray[np.intp]]:
        """Rows of each fold; none where all rows keep the vectors of the whole."""
        if self.n_folds == 1:
            return []
        shuffled = np.random.default_rng(self.random_state).permutation(n_rows)
        return [np.sort(fold) for fold in np.array_split(shuffled, self.n_folds)]

    def _vectors(
        self, encoded: Encoded, tables: Sequence[NDArray[np.float32]]
    ) -> NDArray[np.float32]:
        """The vectors of all categorical columns, side by side."""
        columns = [table[encoded.categorical[:, place]] for place, table in enumerate(tables)]
        nothing = np.empty((len(encoded), 0), np.float32)
        return np.concatenate([nothing, *columns], axis=1)

    def _numbers(self, table: pa.Table, encoded: Encoded) -> NDArray[np.float32]:
        """The continuous columns."""
        if self.numbers == "scaled":
            return encoded.continuous
        preprocessor = self.estimator_.preprocessor_
        names = [encoder.name for encoder in preprocessor.continuous_encoders_]
        continuous = [feature for feature in preprocessor.features_ if feature.name in names]
        dtypes = {column.name: column.dtype for column in preprocessor.schema_.columns}
        values = prepare(table, continuous, dtypes).continuous
        matrix = np.empty((len(encoded), len(names)), np.float32)
        with np.errstate(over="ignore"):  # what float32 cannot hold is infinite there
            for place, name in enumerate(names):
                matrix[:, place] = values[name]
        return np.where(np.isfinite(matrix), matrix, np.float32(np.nan))


def _holds_quantities(targets: pa.Table) -> bool:
    """Whether a target is a quantity and no class."""
    return any(_is_quantity(column) for column in targets.columns)


def _is_quantity(values: pa.ChunkedArray) -> bool:
    if pa.types.is_decimal(values.type):
        return True
    if pa.types.is_floating(values.type):
        whole = pc.all(pc.equal(pc.floor(values), values)).as_py()
        if not whole:
            return True
    elif not pa.types.is_integer(values.type):
        return False
    return bool(pc.count_distinct(values).as_py() > _MOST_CLASSES)
