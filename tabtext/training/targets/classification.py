"""Targets that are classes: one of several per row, or any number of labels per row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log
from typing import Any, Literal, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import logsigmoid

from tabtext.errors import DataError, ParameterError
from tabtext.training.targets.columns import in_type, read_labels, read_numbers

__all__ = ["ClassWeight", "ClassificationTarget", "MultilabelTarget"]

ClassWeight = Literal["balanced"] | Mapping[Any, float] | None


@dataclass(frozen=True)
class ClassificationTarget:
    """One of several classes per row.

    Parameters
    ----------
    name : str
        The target column.
    classes : tuple of str, int, float or bool
        Ascending; class number k of the network is ``classes[k]``.
    temperature : float
        What raw outputs are divided by before they become probabilities; 1 in training.

    Examples
    --------
    >>> table = pa.table({"State": ["HE", "BY", "HE"]})
    >>> target = ClassificationTarget.fit(table)
    >>> target.encode(table)
    array([1, 0, 1])
    >>> target.decode(torch.tensor([[3.0, -1.0]]))
    array(['BY'], dtype='<U2')
    """

    name: str
    classes: tuple[Any, ...]
    temperature: float = 1.0
    task = "classification"
    loss = "cross_entropy"

    @classmethod
    def fit(cls, table: pa.Table) -> Self:
        """Collect the classes of a table's only column.

        Raises
        ------
        DataError
            If there is no value, only one class, or a quantity instead of classes.
        ColumnTypeError
            If the values are neither text nor numbers nor booleans.
        """
        name, values = table.column_names[0], read_labels(table, table.column_names[0])
        classes = pc.unique(values).drop_null()
        classes = classes.take(pc.sort_indices(classes)).to_pylist()
        if not classes:
            raise DataError(f"target {name!r} has no value; there is nothing to learn")
        if len(classes) == 1:
            raise DataError(
                f"target {name!r} is {classes[0]!r} in every row, one class; two classes are needed"
            )
        fraction = next((c for c in classes if isinstance(c, float) and c != int(c)), None)
        if fraction is not None:
            raise DataError(
                f"target {name!r} holds continuous quantities such as {fraction}, not classes; use "
                "a regressor, or turn it into classes first, for example with pandas.cut"
            )
        return cls(name, tuple(classes))

    @property
    def names(self) -> list[str]:
        """The target column."""
        return [self.name]

    @property
    def n_outputs(self) -> int:
        """Outputs of the network: one logit per class."""
        return len(self.classes)

    def encode(self, table: pa.Table) -> NDArray[np.int64]:
        """Class numbers ``(rows,)``; ``DataError`` for a class that was not there at the fit."""
        values = read_labels(table, self.name)
        known = pa.array(list(self.classes))
        numbers = pc.index_in(in_type(values, known.type, self.name), value_set=known)
        if numbers.null_count:
            row = int(np.flatnonzero(np.asarray(numbers.is_null()))[0])
            raise DataError(
                f"target {self.name!r} is {values[row].as_py()!r} in row {row} "
                f"({numbers.null_count} such rows), which is none of the classes of the fit: "
                f"{_shortened(self.classes)}"
            )
        return np.asarray(numbers).astype(np.int64)

    truth = encode

    def activate(self, raw: Tensor) -> Tensor:
        """What the loss compares with encoded targets: the logits, by the temperature."""
        return raw if self.temperature == 1.0 else raw / self.temperature

    def combine(self, raws: Sequence[Tensor]) -> Tensor:
        """Raw outputs whose probabilities, before any temperature, are the mean of several's."""
        probabilities = [raw.double().log_softmax(dim=1) for raw in raws]
        return torch.stack(probabilities).logsumexp(dim=0) - log(len(raws))

    def predicted(self, raw: Tensor) -> Tensor:
        """What ``outputs`` returns, as a tensor of float64: for who exports it with a network."""
        return self.activate(raw.double()).softmax(dim=1)

    def outputs(self, raw: Tensor) -> NDArray[np.float64]:
        """Probabilities ``(rows, classes)`` that sum to 1."""
        return self.predicted(raw).numpy()

    def decode(self, raw: Tensor) -> NDArray[Any]:
        """The most probable class of every row."""
        return np.asarray(np.asarray(self.classes)[raw.argmax(dim=1).numpy()])

    def row_weights(
        self,
        codes: NDArray[np.int64],
        class_weight: ClassWeight,
        *,
        counted: NDArray[np.int64] | None = None,
    ) -> NDArray[np.float32] | None:
        """Weights of rows by their class.

        Parameters
        ----------
        codes : ndarray of int64
            Class numbers.
        class_weight : "balanced", mapping of class to weight, or None
            Balanced weights are ``rows / (classes * rows of the class)``, as in scikit-learn.
            Classes that a mapping leaves out weigh 1.
        counted : ndarray of int64, optional
            Class numbers of the rows that ``"balanced"`` counts; default: ``codes``. Validation
            rows weigh what training rows of their class do.

        Raises
        ------
        ParameterError
            If these are no weights, or name an unknown class.
        """
        if class_weight is None:
            return None
        if isinstance(class_weight, str):
            if class_weight != "balanced":
                raise ParameterError(
                    f"class_weight={class_weight!r}; use 'balanced', a mapping of class to weight, "
                    "or None"
                )
            counted = codes if counted is None else counted
            counts = np.bincount(counted, minlength=len(self.classes))
            per_class = len(counted) / (len(self.classes) * np.maximum(counts, 1))
        else:
            unknown = [label for label in class_weight if label not in self.classes]
            if unknown:
                raise ParameterError(
                    f"class_weight names {unknown[0]!r}, which is no class of {self.name!r}: "
                    f"{_shortened(self.classes)}"
                )
            per_class = np.array([class_weight.get(label, 1.0) for label in self.classes])
            if not (np.isfinite(per_class) & (per_class >= 0)).all():
                raise ParameterError(f"class_weight={class_weight!r}: weights must be 0 or more")
        return per_class.astype(np.float32)[codes]

    def to_dict(self) -> dict[str, Any]:
        """Return the target as values that JSON can hold."""
        return {
            "task": self.task,
            "name": self.name,
            "classes": list(self.classes),
            "temperature": self.temperature,
        }


@dataclass(frozen=True)
class MultilabelTarget:
    """Several yes-or-no labels per row, any number of which may hold: a sigmoid each, no softmax.

    Parameters
    ----------
    labels : tuple of str
        The target columns.
    temperature : float
        What raw outputs are divided by before they become probabilities; 1 in training.

    Examples
    --------
    >>> table = pa.table({"late": [True, False], "cancelled": [False, False]})
    >>> MultilabelTarget.fit(table).encode(table).tolist()
    [[1.0, 0.0], [0.0, 0.0]]
    """

    labels: tuple[str, ...]
    temperature: float = 1.0
    task = "multilabel"
    loss = "binary_cross_entropy"

    @classmethod
    def fit(cls, table: pa.Table) -> Self:
        """Take every column as a label; ``DataError`` unless all values are 0/1 or booleans."""
        target = cls(tuple(table.column_names))
        target.encode(table)
        return target

    @property
    def names(self) -> list[str]:
        """The target columns."""
        return list(self.labels)

    @property
    def n_outputs(self) -> int:
        """Outputs of the network: one logit per label."""
        return len(self.labels)

    def encode(self, table: pa.Table) -> NDArray[np.float32]:
        """1 for yes and 0 for no, ``(rows, labels)``."""
        columns = [read_numbers(table, name) for name in self.labels]
        for name, column in zip(self.labels, columns, strict=True):
            wrong = ~np.isin(column, (0.0, 1.0))
            if wrong.any():
                row = int(np.flatnonzero(wrong)[0])
                raise DataError(
                    f"target {name!r} is {column[row]:g} in row {row}; with several target columns "
                    "each must hold booleans or 0 and 1. For several quantities use a regressor"
                )
        return np.stack(columns, axis=1).astype(np.float32)

    truth = encode

    def activate(self, raw: Tensor) -> Tensor:
        """What the loss compares with encoded targets: the logits, by the temperature."""
        return raw if self.temperature == 1.0 else raw / self.temperature

    def combine(self, raws: Sequence[Tensor]) -> Tensor:
        """Raw outputs whose probabilities, before any temperature, are the mean of several's."""
        both = torch.stack([raw.double() for raw in raws])
        yes, no = (logsigmoid(side).logsumexp(dim=0) for side in (both, -both))
        return yes - no

    def predicted(self, raw: Tensor) -> Tensor:
        """What ``outputs`` returns, as a tensor of float64: for who exports it with a network."""
        return self.activate(raw.double()).sigmoid()

    def outputs(self, raw: Tensor) -> NDArray[np.float64]:
        """Probabilities of yes ``(rows, labels)``."""
        return self.predicted(raw).numpy()

    def decode(self, raw: Tensor) -> NDArray[np.int64]:
        """1 where yes is the more probable, else 0, ``(rows, labels)``."""
        return (raw > 0).long().numpy()

    def to_dict(self) -> dict[str, Any]:
        """Return the target as values that JSON can hold."""
        return {"task": self.task, "labels": list(self.labels), "temperature": self.temperature}


def _shortened(classes: Sequence[Any]) -> str:
    shown = ", ".join(repr(label) for label in classes[:10])
    return shown if len(classes) <= 10 else f"{shown} ... ({len(classes)} classes)"
