"""From a table to the two matrices that a network reads.

``TabularPreprocessor.fit`` infers the schema, counts the values of every feature and builds one
encoder for each from the counts; ``encode`` applies the encoders. That is the library's road;
``transform`` puts both matrices side by side, for the pipelines of scikit-learn.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from tabtext.errors import ArtifactError, DataError, ParameterError, did_you_mean
from tabtext.tables import as_table, is_array, require_places, require_rows
from tabtext.tabular import notices, preprocessor_files
from tabtext.tabular.columns import Feature, features_of, set_apart
from tabtext.tabular.date_choice import is_part_of_use
from tabtext.tabular.dates import DateParts
from tabtext.tabular.encoders import CategoricalEncoder, ContinuousEncoder, Missing, Scaling
from tabtext.tabular.encoding import Encoded, continuous_slots, encode
from tabtext.tabular.plain_rows import plain_row
from tabtext.tabular.prepared import Prepared, prepare
from tabtext.tabular.preprocessor_parameters import check_preprocessor_parameters
from tabtext.tabular.schema import Role, Schema, infer_schema
from tabtext.tabular.single_rows import SingleRowEncoder
from tabtext.tabular.statistics import TableStatistics

__all__ = ["Encoded", "TabularPreprocessor", "reads_any_table"]


@dataclass(kw_only=True, eq=False, repr=False)
class TabularPreprocessor(TransformerMixin, BaseEstimator):
    """Learn how the columns of a table are coded, and code them.

    Categories get codes (0 missing, 1 unseen, 2 ... in ascending order), continuous columns are
    filled and scaled, dates are replaced by their parts. A continuous column with gaps in training
    adds ``<column>_missing``, 1 where a value is missing. Infinite values count as missing, with a
    warning. What is learned does not depend on the order of rows or columns.

    Parameters
    ----------
    roles : mapping of str to Role or str, optional
        Roles that override the inferred ones, see ``tabtext.tabular.schema``.
    exclude : sequence of str
        Columns to leave out.
    date_parts : bool, "auto" or sequence of str
        Parts of dates to use: all, none, or these (see ``tabtext.tabular.dates.PARTS``), but for
        those that are constant in training; ``"auto"`` leaves out what few rows cannot teach (see
        ``tabtext.tabular.date_choice``).
    missing : {"median", "mean", "constant", "signal"}
        What fills gaps in continuous columns. ``"signal"`` is a value below all others by half of
        the column's range, which therefore occurs nowhere in it.
    fill_value : float
        The constant for ``missing="constant"``.
    missing_indicators : bool
        Whether columns with gaps in training add an indicator.
    scaling : {"standard", "robust", "quantile", "none"}
        Mean 0 and deviation 1; median 0 and quartiles 1 apart, smoothly clipped to (-3, 3); mapped
        to a normal distribution; or as it is.
    min_count : int
        Categories with fewer training rows share the code of unseen ones.

    Attributes
    ----------
    schema_ : Schema
        What each column is.
    feature_names_in_ : ndarray of str, shape (n_features_in_,)
        The columns of ``X`` at the fit, without targets and weights.
    n_features_in_ : int
        How many those are.
    categorical_names_, continuous_names_ : list of str
        Columns of the two matrices.
    cardinalities_ : list of int
        Codes of each categorical column, missing and unseen included.
    n_rows_ : int
        Training rows.

    Examples
    --------
    >>> table = {"State": ["HE", "BY", None, "HE"], "Sales": [5.5, 3.0, 8.0, float("nan")]}
    >>> preprocessor = TabularPreprocessor()
    >>> encoded = preprocessor.fit_encode(table)
    >>> encoded.categorical.tolist()
    [[3], [2], [0], [3]]
    >>> preprocessor.continuous_names_
    ['Sales', 'Sales_missing']
    >>> preprocessor.encode({"State": ["NW"], "Sales": [5.5]}).continuous.round(3).tolist()
    [[0.0, 0.0]]

    As a step of scikit-learn's, for any model that reads numbers:

    >>> preprocessor = preprocessor.set_output(transform="pandas")
    >>> preprocessor.transform({"State": ["NW"], "Sales": [5.5]})
       State  Sales  Sales_missing
    0    1.0    0.0            0.0
    """

    roles: Mapping[str, Role | str] | None = None
    exclude: Sequence[str] = ()
    date_parts: DateParts = "auto"
    missing: Missing = "median"
    fill_value: float = 0.0
    missing_indicators: bool = True
    scaling: Scaling = "standard"
    min_count: int = 1

    def __sklearn_tags__(self) -> Any:
        tags = reads_any_table(super().__sklearn_tags__())
        tags.transformer_tags.preserves_dtype = []  # float32, whatever comes
        return tags

    def check_parameters(self) -> None:
        """Raise ``ParameterError`` for what no table could be coded with."""
        check_preprocessor_parameters(self.get_params(deep=False))

    # -- fit ---------------------------------------------------------------------------------

    def fit(
        self,
        X: Any,  # noqa: N803 - scikit-learn's name
        y: Any = None,
        *,
        targets: Sequence[str] = (),
        weight: str | None = None,
    ) -> Self:
        """Learn from training rows.

        Parameters
        ----------
        X : table of any kind, or path
            Training rows.
        y : ignored
            Here because scikit-learn's pipelines pass it.
        targets : sequence of str
            Columns of ``X`` that are to be predicted, hence no features.
        weight : str, optional
            Column of ``X`` with sample weights, hence no feature.

        Raises
        ------
        DataError
            If there are no rows or no usable column.
        UnknownColumnError, ColumnTypeError, ParameterError
            If a named column is not there, a column has an unusable type, a parameter is wrong.
        """
        del y
        self._fit(X, targets, weight)
        return self

    def fit_encode(
        self, data: Any, *, targets: Sequence[str] = (), weight: str | None = None
    ) -> Encoded:
        """Learn from training rows and encode them, reading them once; see ``fit``."""
        encoded, _ = encode(
            self._fit(data, targets, weight), self.categorical_encoders_, self.continuous_encoders_
        )
        return encoded

    def fit_transform(
        self,
        X: Any,  # noqa: N803 - scikit-learn's name
        y: Any = None,
        *,
        targets: Sequence[str] = (),
        weight: str | None = None,
    ) -> NDArray[np.float32]:
        """Learn from training rows and transform them, reading them once.

        See ``fit`` and ``transform``.
        """
        del y
        return self.fit_encode(X, targets=targets, weight=weight).side_by_side()

    def fit_statistics(self, schema: Schema, statistics: TableStatistics) -> Self:
        """Learn from statistics, counted in parts and added up.

        The result is the same as that of ``fit`` on all rows at once.

        Parameters
        ----------
        schema : Schema
            What each column is, for example inferred from one part.
        statistics : TableStatistics
            Sum of ``TableStatistics.of(part, schema, date_parts=...)``.
        """
        self.check_parameters()
        self.schema_ = schema
        features = [
            feature
            for feature in features_of(schema, self.date_parts)
            if feature.part is None
            or is_part_of_use(
                feature.part, statistics.columns[feature.name], choose=self.date_parts == "auto"
            )
        ]
        if not features:
            alone = " (n_samples=1, in which all are constant)" if statistics.n_rows == 1 else ""
            raise DataError(
                f"no column is left to learn from: all are targets, constant{alone}, excluded or "
                "text"
            )
        self._set_encoders(
            features,
            [
                CategoricalEncoder.of(f.name, statistics.columns[f.name], min_count=self.min_count)
                for f in features
                if f.role is Role.CATEGORICAL
            ],
            [
                ContinuousEncoder.of(
                    f.name,
                    statistics.columns[f.name],
                    missing=self.missing,
                    fill_value=self.fill_value,
                    indicators=self.missing_indicators,
                    scaling=self.scaling,
                )
                for f in features
                if f.role is Role.CONTINUOUS
            ],
        )
        self.n_rows_ = statistics.n_rows
        columns = statistics.columns.items()
        notices.warn_of_infinite({name: column.n_infinite for name, column in columns})
        return self

    # -- transform ---------------------------------------------------------------------------

    def encode(self, data: Any, *, who: str = "TabularPreprocessor") -> Encoded:
        """Encode rows; columns are found by name, further columns are ignored.

        Parameters
        ----------
        data : table of any kind, or path
            Rows with the columns of the fit, in any order.
        who : str
            What reads them, for messages.

        Returns
        -------
        Encoded
            What a network reads.

        Raises
        ------
        UnknownColumnError
            If a column of the fit is not there.
        ColumnTypeError
            If a column has another type than at the fit and does not convert without loss.
        """
        check_is_fitted(self, "schema_")
        row = plain_row(data)
        if row is not None:
            single = self._single_rows.encode(row, warned=self._warned_of_gaps)
            if single is not None:
                return single
        table = self.read(data, who=who)
        dtypes = {column.name: column.dtype for column in self.schema_.columns}
        prepared = prepare(table, self.features_, dtypes)
        encoded, gaps = encode(prepared, self.categorical_encoders_, self.continuous_encoders_)
        self._warn(prepared, gaps)
        return encoded

    def read(self, data: Any, *, who: str) -> pa.Table:
        """Return rows as an Arrow table; an array must have as many columns as at the fit.

        Parameters
        ----------
        data : table of any kind, or path
            Rows.
        who : str
            What reads them, for messages.

        Raises
        ------
        DataError
            If an array has more or fewer columns.
        """
        table = as_table(data, what="X")
        if is_array(data):
            names = self.feature_names_in_.tolist()
            require_places(table, names, self.schema_.names(Role.TARGET, Role.WEIGHT), who=who)
        return table

    def transform(self, X: Any) -> NDArray[np.float32]:  # noqa: N803 - scikit-learn's name
        """Return codes and scaled numbers of rows as one matrix.

        Codes of categories are ordered as the categories are, so that trees can split by them.

        Parameters
        ----------
        X : table of any kind, or path
            Rows with the columns of the fit, in any order.

        Returns
        -------
        ndarray of float32, shape (rows, len(get_feature_names_out()))
            The codes of ``categorical_names_``, then the numbers of ``continuous_names_``; a
            DataFrame of pandas or polars after ``set_output(transform="pandas")`` or ``"polars"``.

        Raises
        ------
        UnknownColumnError, ColumnTypeError
            As ``encode``.
        """
        return self.encode(X).side_by_side()

    def get_feature_names_out(
        self,
        input_features: Any = None,  # scikit-learn's name; columns have names of their own
    ) -> NDArray[np.object_]:
        """Return the names of the columns of ``transform``, each only once.

        Where the table has a column ``<column>_missing`` of its own, the indicator of gaps in
        ``<column>`` is called ``<column>_missing_``.

        Parameters
        ----------
        input_features : ignored
            Here because scikit-learn passes it.
        """
        del input_features
        check_is_fitted(self, "schema_")
        taken = {feature.name for feature in self.features_}
        pairs = zip(self.continuous_names_, self.is_number(), strict=True)
        numbers = [name if own else set_apart([name], taken)[0] for name, own in pairs]
        return np.asarray([*self.categorical_names_, *numbers], dtype=object)

    # -- look inside -------------------------------------------------------------------------

    def categories(self, name: str) -> list[Any]:
        """Return what the codes of a categorical column stand for, from code 2 on.

        Raises
        ------
        ParameterError
            If this is no categorical column.
        """
        check_is_fitted(self, "schema_")
        for encoder in self.categorical_encoders_:
            if encoder.name == name:
                return list(encoder.categories.to_pylist())
        hint = did_you_mean(name, self.categorical_names_)
        raise ParameterError(
            f"{name!r} is not a categorical column{hint}. "
            f"They are: {', '.join(self.categorical_names_)}"
        )

    def positions(self) -> dict[str, tuple[list[int], list[int]]]:
        """Return which columns of the two matrices stem from each input column.

        Returns
        -------
        dict of str to (list of int, list of int)
            Input column -> (columns of ``Encoded.categorical``, of ``Encoded.continuous``).
        """
        check_is_fitted(self, "schema_")
        sources = {feature.name: feature.source for feature in self.features_}
        found: dict[str, tuple[list[int], list[int]]] = {
            source: ([], []) for source in sources.values()
        }
        for position, categorical in enumerate(self.categorical_encoders_):
            found[sources[categorical.name]][0].append(position)
        slots = continuous_slots(self.continuous_encoders_)
        for continuous, slot in zip(self.continuous_encoders_, slots, strict=True):
            found[sources[continuous.name]][1].extend(slot)
        return found

    def is_number(self) -> NDArray[np.bool_]:
        """Return which columns of ``Encoded.continuous`` are values, not indicators of gaps."""
        check_is_fitted(self, "schema_")
        slots = continuous_slots(self.continuous_encoders_)
        return np.array([place == slot[0] for slot in slots for place in slot], bool)

    # -- disk --------------------------------------------------------------------------------

    def save(self, directory: str | Path) -> None:
        """Write JSON and Arrow files into a directory, which is made if needed.

        Raises
        ------
        SaveError
            If writing fails.
        """
        check_is_fitted(self, "schema_")
        preprocessor_files.write(
            Path(directory),
            {
                "parameters": _plain(self.get_params()),
                "schema": self.schema_.to_dict(),
                "n_rows": self.n_rows_,
                "features": [feature.name for feature in self.features_],
            },
            self.categorical_encoders_,
            self.continuous_encoders_,
        )

    @classmethod
    def load(cls, directory: str | Path) -> Self:
        """Read what ``save`` wrote; no code from the files is run.

        Raises
        ------
        MissingFileError
            If a file is not there.
        ArtifactError
            If a file is damaged.
        """
        config, categorical, continuous = preprocessor_files.read(Path(directory))
        with preprocessor_files.damage_named(Path(directory)):
            preprocessor = cls(**config["parameters"])
            preprocessor.schema_ = Schema.from_dict(config["schema"])
            names = set(config["features"])
            features = features_of(preprocessor.schema_, preprocessor.date_parts)
            kept = [feature for feature in features if feature.name in names]
            encoded = {e.name for e in categorical} | {e.name for e in continuous}
            if {feature.name for feature in kept} != encoded:
                raise ArtifactError(f"the preprocessor in {directory} is damaged: columns differ")
            preprocessor._set_encoders(kept, categorical, continuous)
            preprocessor.n_rows_ = int(config["n_rows"])
        return preprocessor

    # -- the steps ---------------------------------------------------------------------------

    def _fit(self, data: Any, targets: Sequence[str], weight: str | None) -> Prepared:
        self.check_parameters()
        table = as_table(data)
        require_rows(table)
        schema = infer_schema(
            table, targets=targets, weight=weight, roles=self.roles, exclude=self.exclude
        )
        notices.warn_of_text(schema)
        notices.log_columns(schema)
        prepared = prepare(table, features_of(schema, self.date_parts))
        self.fit_statistics(schema, TableStatistics.of_prepared(prepared))
        return prepared

    def _set_encoders(
        self,
        features: Sequence[Feature],
        categorical: Sequence[CategoricalEncoder],
        continuous: Sequence[ContinuousEncoder],
    ) -> None:
        self.features_ = tuple(features)
        self.categorical_encoders_ = tuple(categorical)
        self.continuous_encoders_ = tuple(continuous)
        not_given = (Role.TARGET, Role.WEIGHT)
        names = [c.name for c in self.schema_.columns if c.role not in not_given]
        self.feature_names_in_ = np.asarray(names, dtype=object)
        self.n_features_in_ = len(names)
        self.categorical_names_ = [encoder.name for encoder in categorical]
        self.cardinalities_ = [encoder.cardinality for encoder in categorical]
        self.continuous_names_ = [
            name
            for encoder in continuous
            for name in (encoder.name, f"{encoder.name}_missing")[: 1 + encoder.indicator]
        ]
        self._warned_of_gaps: set[str] = set()
        self._single_rows = SingleRowEncoder(features, categorical, continuous)

    def _warn(self, prepared: Prepared, gaps: NDArray[np.int64]) -> None:
        """Warn, once per column, of gaps where training had none, and of infinite values."""
        categorical, continuous = self.categorical_encoders_, self.continuous_encoders_
        names = notices.columns_with_new_gaps(prepared, gaps, categorical, continuous)
        new = [name for name in names if name not in self._warned_of_gaps]
        self._warned_of_gaps.update(new)
        notices.warn_of_gaps(new, filled=self.missing)
        counts = zip(continuous, gaps[:, 1].tolist(), strict=True)
        notices.warn_of_infinite({encoder.name: count for encoder, count in counts})


def reads_any_table(tags: Any) -> Any:
    """Say in scikit-learn's tags what the columns of a table may hold, and return the tags."""
    tags.input_tags.allow_nan = True
    tags.input_tags.string = True
    tags.input_tags.categorical = True
    return tags


def _plain(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Constructor arguments as values that JSON can hold."""
    plain = dict(parameters)
    plain["roles"] = {n: str(role) for n, role in (plain["roles"] or {}).items()} or None
    plain["exclude"] = list(plain["exclude"])
    if not isinstance(plain["date_parts"], bool | str):
        plain["date_parts"] = list(plain["date_parts"])
    return plain
