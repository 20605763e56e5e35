"""How one column becomes numbers: encoders, built from statistics alone.

``CategoricalEncoder`` gives every value a code: 0 missing, 1 unseen, 2 ... the categories in
ascending order. ``ContinuousEncoder`` fills gaps and scales. Both are frozen, know nothing of
tables, and write straight into their slot of the encoded matrices.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any, Literal, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tabtext.errors import ArtifactError, ColumnTypeError
from tabtext.tabular.arrays import Indexed
from tabtext.tabular.statistics import ColumnStatistics

__all__ = ["CategoricalEncoder", "ContinuousEncoder", "Missing", "Scaling"]

Missing = Literal["median", "mean", "constant", "signal"]
Scaling = Literal["standard", "robust", "quantile", "none"]

MISSING, UNSEEN, FIRST = 0, 1, 2
"""The first codes of every categorical column; categories begin at ``FIRST``."""

_ROBUST_CLIP = 3.0
_MOST_REFERENCES = 1000
_TAIL = 1e-7  # quantile scaling maps the extremes to the normal quantiles of this share, +-5.2


@dataclass(frozen=True)
class CategoricalEncoder:
    """Values to codes.

    Parameters
    ----------
    name : str
        The column.
    categories : pyarrow.Array
        The values with codes 2, 3 ...; ascending, distinct.
    with_gaps : bool
        Whether training rows were missing, so that code 0 has a trained embedding. Otherwise a
        missing value gets the code of unseen ones, which is trained in any case.

    Examples
    --------
    >>> column = Indexed.of(pa.array(["b", "a", "b", None]), "State")
    >>> encoder = CategoricalEncoder.of("State", ColumnStatistics.of_categories(column))
    >>> encoder.codes(Indexed.of(pa.array(["a", "z", None]), "State"))
    array([2, 1, 0])
    """

    name: str
    categories: pa.Array
    with_gaps: bool

    @classmethod
    def of(cls, name: str, statistics: ColumnStatistics, *, min_count: int = 1) -> Self:
        """Take the values that occur at least ``min_count`` times."""
        enough = pa.array(statistics.counts >= min_count)
        return cls(name, statistics.values.filter(enough), statistics.n_missing > 0)

    @property
    def cardinality(self) -> int:
        """How many codes there are, those of missing and unseen included."""
        return FIRST + len(self.categories)

    def codes(self, column: Indexed) -> NDArray[np.integer[Any]]:
        """Return the code of every value of an indexed column (not of every row).

        Raises
        ------
        ColumnTypeError
            If the values have another type than at the fit and do not convert without loss.
        """
        positions = pc.index_in(self._converted(column.values), value_set=self.categories)
        codes = np.asarray(pc.fill_null(pc.add(positions, FIRST), UNSEEN))
        missing = MISSING if self.with_gaps else UNSEEN
        return np.where(np.asarray(column.values.is_null()), missing, codes)

    def labels(self) -> list[Any]:
        """What each code stands for, in order: ``"(missing)"``, ``"(unseen)"``, categories."""
        return ["(missing)", "(unseen)", *self.categories.to_pylist()]

    def _converted(self, values: pa.Array) -> pa.Array:
        """The values in the type of the categories, where that loses nothing."""
        kind, fitted = values.type, self.categories.type
        if kind == fitted:
            return values
        if values.null_count == len(values) or not len(self.categories):
            return pa.nulls(len(values), fitted)
        numeric = (pa.int64(), pa.float64())
        if kind == pa.float64() and fitted == pa.int64():
            # 3.0 is the category 3; 3.5 and infinity are none of the categories.
            whole = pc.and_(pc.equal(values, pc.floor(values)), pc.less(pc.abs(values), 2.0**53))
            return pc.if_else(whole, values, None).cast(pa.int64())
        if kind in numeric and fitted == pa.float64():
            return values.cast(fitted)
        if kind == pa.bool_() and fitted in numeric:
            return values.cast(pa.uint8()).cast(fitted)
        if kind in numeric and fitted == pa.bool_() and _only_zero_and_one(values):
            return values.cast(pa.bool_())
        shown = values.drop_null()[0].as_py()
        raise ColumnTypeError(
            f"column {self.name!r} holds {kind}, such as {shown!r}, and held {fitted}, such as "
            f"{self.categories[0].as_py()!r}, at the fit; convert it to the same type"
        )


@dataclass(frozen=True)
class ContinuousEncoder:
    """Numbers to filled and scaled numbers.

    Parameters
    ----------
    name : str
        The column.
    fill : float
        What stands for missing and infinite values, before scaling.
    with_gaps : bool
        Whether training rows were missing.
    indicator : bool
        Whether a second column tells missing (1) from present (0).
    center, factor : float
        ``(value - center) * factor`` is the scaled value.
    clip : float
        With ``clip > 0``, a scaled value ``x`` becomes ``x / sqrt(1 + (x / clip)**2)``.
    references, normals : tuple of float
        Knots of the quantile scaling; empty for the others.

    References
    ----------
    Holzmueller, Grinsztajn, Steinwart (2024), "Better by Default: Strong Pre-Tuned MLPs and
    Boosted Trees on Tabular Data": robust scaling with smooth clipping.

    Examples
    --------
    >>> statistics = ColumnStatistics.of_numbers(np.array([1.0, 3.0, np.nan]))
    >>> encoder = ContinuousEncoder.of("Sales", statistics)
    >>> encoder.fill, encoder.center, encoder.factor, encoder.indicator
    (2.0, 2.0, 1.0, True)
    """

    name: str
    fill: float
    with_gaps: bool
    indicator: bool
    center: float = 0.0
    factor: float = 1.0
    clip: float = 0.0
    references: tuple[float, ...] = ()
    normals: tuple[float, ...] = ()

    @classmethod
    def of(
        cls,
        name: str,
        statistics: ColumnStatistics,
        *,
        missing: Missing = "median",
        fill_value: float = 0.0,
        indicators: bool = True,
        scaling: Scaling = "standard",
    ) -> Self:
        """Choose fill and scale from statistics of the present values."""
        gaps = statistics.n_gaps > 0
        fill = _fill(statistics, missing, fill_value)
        return cls(name, fill, gaps, gaps and indicators, **_scale(statistics, scaling))

    def encode(
        self,
        values: NDArray[np.floating[Any]],
        out: NDArray[np.float32],
        missing: NDArray[np.float32],
    ) -> tuple[int, int]:
        """Write scaled values to ``out``, and 0/1 to ``missing`` unless that is empty.

        Returns
        -------
        tuple of int
            How many values were missing, and how many infinite.
        """
        from tabtext.tabular.kernels.encoding import scale_quantile, scale_smoothly

        if self.references:
            knots = np.array(self.references), np.array(self.normals)
            return scale_quantile(values, self.fill, *knots, out, missing)
        scale = self.center, self.factor, self.clip
        return scale_smoothly(values, self.fill, *scale, out, missing)

    def to_dict(self) -> dict[str, Any]:
        """Return the encoder as values that JSON can hold."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the encoder that ``to_dict`` described; ``ArtifactError`` if it is damaged."""
        try:
            knots = {key: tuple(map(float, values[key])) for key in ("references", "normals")}
            return cls(**{**values, **knots})
        except (KeyError, TypeError, ValueError) as error:
            raise ArtifactError(f"the saved encoder is damaged: {error!r}") from error


def _fill(statistics: ColumnStatistics, missing: Missing, fill_value: float) -> float:
    if missing == "constant":
        return float(fill_value)
    if missing == "mean":
        return statistics.mean()
    return _signal(statistics) if missing == "signal" else statistics.quantile(0.5)


def _signal(statistics: ColumnStatistics) -> float:
    """A value below all others: by half of their range, so that the network can tell it apart."""
    if not statistics.n_present:
        return 0.0
    low, high = float(statistics.numbers[0]), float(statistics.numbers[-1])
    half_range = high / 2 - low / 2  # halved first: the range itself could overflow
    # Not less than float32 can tell apart, in columns whose range is tiny beside their values.
    margin = max(half_range, abs(low) * 2.0**-20) or 1.0
    largest = float(np.finfo(np.float64).max)  # where the margin would overflow
    below, above = max(low - margin, -largest), min(high + margin, largest)
    return below if below < low else above


def _scale(statistics: ColumnStatistics, scaling: Scaling) -> dict[str, Any]:
    if scaling == "none" or not statistics.n_present:
        return {}
    if scaling == "standard":
        return {
            "center": statistics.mean(),
            "factor": _reciprocal(statistics.standard_deviation()),
        }
    if scaling == "quantile":
        return _quantile_knots(statistics)
    lower, center, upper = statistics.quantiles(np.array([0.25, 0.5, 0.75]))
    spread = float(upper - lower)
    if spread == 0.0:  # mostly one value: half of the range instead, as in the paper
        spread = float(statistics.numbers[-1] / 2 - statistics.numbers[0] / 2)
    return {"center": float(center), "factor": _reciprocal(spread), "clip": _ROBUST_CLIP}


def _reciprocal(spread: float) -> float:
    """1 / spread; 1 for a spread that is 0 or too small to divide by."""
    return 1.0 / spread if spread > 1e-300 else 1.0


def _quantile_knots(statistics: ColumnStatistics) -> dict[str, Any]:
    """Values of the column, and the normal quantiles that they are mapped to.

    A value that occurs often covers a range of shares; it is mapped to the middle of that range.
    """
    n_references = min(_MOST_REFERENCES, statistics.n_present)
    shares = np.linspace(0.0, 1.0, n_references) if n_references > 1 else np.array([0.5])
    references, inverse = np.unique(statistics.quantiles(shares), return_inverse=True)
    middle = np.bincount(inverse, shares) / np.bincount(inverse)
    normal = NormalDist()
    normals = [normal.inv_cdf(min(max(share, _TAIL), 1 - _TAIL)) for share in middle.tolist()]
    return {"references": tuple(references.tolist()), "normals": tuple(normals)}


def _only_zero_and_one(values: pa.Array) -> bool:
    return set(values.drop_null().to_pylist()) <= {0, 1}
