"""One row, encoded without building a table: what a server that answers single requests waits for.

A mapping, a list of one mapping, or a frame of one row goes in; ``Encoded`` comes out, equal bit
for bit to what the road of whole tables makes of it. Only what is certain to be equal is done here:
a value that is missing for the first time, infinite, of another type or not plain gets None, and
the caller takes the other road, which warns, converts or refuses.
"""

from calendar import monthrange
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from math import isinf, isnan
from typing import Any

import numpy as np

from tabtext.tabular.columns import Feature
from tabtext.tabular.encoders import FIRST, MISSING, UNSEEN, CategoricalEncoder, ContinuousEncoder
from tabtext.tabular.encoding import Encoded, code_type, continuous_slots
from tabtext.tabular.plain_rows import Gap, PlainRow, PlainValue

__all__ = ["SingleRowEncoder"]

_FIRST_DAY = date(1970, 1, 1).toordinal()
_WHOLE = 2.0**53
"""From here on not every whole number is a float."""


@dataclass(frozen=True, eq=False)
class SingleRowEncoder:
    """Encode single rows as a preprocessor's encoders do.

    Parameters
    ----------
    features : sequence of Feature
        What is read.
    categorical, continuous : sequence of encoders
        What makes numbers of it.
    """

    features: Sequence[Feature]
    categorical: Sequence[CategoricalEncoder]
    continuous: Sequence[ContinuousEncoder]

    def encode(self, row: PlainRow, *, warned: Collection[str]) -> Encoded | None:
        """Return the row's codes and numbers; None if the other road has to be taken.

        Parameters
        ----------
        row : mapping of str to plain value or Gap
            See ``plain_rows``.
        warned : collection of str
            Columns whose first gaps have been warned of already.
        """
        values = self._values(row)
        if values is None:
            return None
        codes, numbers = list[int](), list[float]()
        for encoder, table in zip(self.categorical, self._tables, strict=True):
            value = values[encoder.name]
            if isinstance(value, Gap):
                if not (encoder.with_gaps or encoder.name in warned):
                    return None
                codes.append(MISSING if encoder.with_gaps else UNSEEN)
            else:
                code = _code(value, table, str(encoder.categories.type))
                if code is None:
                    return None
                codes.append(code)
        for scaler in self.continuous:
            number = _number(values[scaler.name])
            known = scaler.with_gaps or scaler.name in warned
            if number is None or (isnan(number) and not known):
                return None
            numbers.append(number)
        return self._encoded(codes, numbers)

    @cached_property
    def _tables(self) -> list[dict[Any, int]]:
        """Of every categorical column, value -> code."""
        return [
            {value: FIRST + place for place, value in enumerate(encoder.categories.to_pylist())}
            for encoder in self.categorical
        ]

    @cached_property
    def _slots(self) -> list[range]:
        return continuous_slots(self.continuous)

    @cached_property
    def _code_type(self) -> type[np.integer[Any]]:
        return code_type(max((encoder.cardinality for encoder in self.categorical), default=0))

    def _values(self, row: PlainRow) -> dict[str, PlainValue | Gap] | None:
        """What each feature is in this row, dates taken apart; None for a column or date amiss."""
        values: dict[str, PlainValue | Gap] = {}
        parts: dict[str, Mapping[str, PlainValue] | Gap] = {}
        for feature in self.features:
            if feature.source not in row:
                return None
            value = row[feature.source]
            if feature.part is None:
                values[feature.name] = value
                continue
            if feature.source not in parts:
                taken_apart = _parts_of(value)
                if taken_apart is None:
                    return None
                parts[feature.source] = taken_apart
            of_date = parts[feature.source]
            values[feature.name] = of_date if isinstance(of_date, Gap) else of_date[feature.part]
        return values

    def _encoded(self, codes: Sequence[int], numbers: Sequence[float]) -> Encoded:
        given = np.array(numbers, np.float64)
        scaled = np.empty((1, self._slots[-1].stop if self._slots else 0), np.float32)
        nowhere = np.empty(0, np.float32)
        for place, (encoder, slot) in enumerate(zip(self.continuous, self._slots, strict=True)):
            missing = scaled[:, slot[1]] if encoder.indicator else nowhere[:]
            encoder.encode(given[place : place + 1], scaled[:, slot[0]], missing)
        return Encoded(np.array([codes], self._code_type).reshape(1, len(codes)), scaled)


def _code(value: PlainValue, table: Mapping[Any, int], kind: str) -> int | None:
    """The code of a value among categories of this type; see ``CategoricalEncoder.codes``."""
    if not table:
        return UNSEEN
    if isinstance(value, date) or isinstance(value, str) != (kind == "string"):
        return None  # is written as text first, or refused
    if kind == "bool" and not isinstance(value, bool) and value not in (0, 1):
        return None
    if kind == "int64" and isinstance(value, float) and not abs(value) < _WHOLE:
        return UNSEEN
    return table.get(value, UNSEEN)  # to a dictionary 1, 1.0 and True are the same, as here


def _number(value: PlainValue | Gap) -> float | None:
    """A value as a float, NaN where it is missing; None for what is no number, or infinite."""
    if isinstance(value, Gap):
        return float("nan") if value in (Gap.UNTYPED, Gap.NUMBER) else None
    if isinstance(value, str | date) or isinf(value):
        return None
    return float(value)


def _parts_of(value: PlainValue | Gap) -> Mapping[str, PlainValue] | Gap | None:
    """The calendar parts of a date, see ``tabtext.tabular.dates``; None if it is no date."""
    if isinstance(value, Gap):
        # Its parts have types of their own, so that nothing is wrong with any of them.
        return Gap.UNTYPED if value in (Gap.UNTYPED, Gap.DATE) else None
    if not isinstance(value, date):
        return None
    year, month, day, ordinal = value.year, value.month, value.day, value.toordinal()
    hour, minute, seconds = 0, 0, 0
    if isinstance(value, datetime):
        hour, minute = value.hour, value.minute
        seconds = 3600 * hour + 60 * minute + value.second
    starts_month, ends_month = day == 1, day == monthrange(year, month)[1]
    return {
        "year": year,
        "month": month,
        "week": value.isocalendar()[1],
        "day": day,
        "day_of_week": value.weekday(),
        "day_of_year": ordinal - date(year, 1, 1).toordinal() + 1,
        "is_month_start": starts_month,
        "is_month_end": ends_month,
        "is_quarter_start": starts_month and month % 3 == 1,
        "is_quarter_end": ends_month and month % 3 == 0,
        "is_year_start": starts_month and month == 1,
        "is_year_end": ends_month and month == 12,
        "elapsed": 86_400 * (ordinal - _FIRST_DAY) + seconds,
        "hour": hour,
        "minute": minute,
    }
