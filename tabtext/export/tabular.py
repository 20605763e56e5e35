"""Fitted models for tables as ONNX programs."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from tabtext.export.description import described, described_tables, output_name
from tabtext.export.program import require_exporter, write_export
from tabtext.tabular.encoding import Encoded, code_type
from tabtext.tabular.preprocessing import TabularPreprocessor
from tabtext.training.targets import Target

__all__ = ["example_rows", "export_table_model"]


def export_table_model(
    directory: str | Path,
    *,
    estimator: str,
    model: nn.Module,
    snapshots: Sequence[Mapping[str, Tensor]],
    target: Target,
    preprocessor: TabularPreprocessor,
) -> None:
    """Write a network for tables, and how to encode rows for it; see ``TabularEstimator``.

    Parameters
    ----------
    directory : str or Path
        Where it will stand.
    estimator : str
        The class of the fitted model.
    model : nn.Module
        The network; a copy of it on the CPU is exported.
    snapshots : sequence of mapping of str to Tensor
        Weights whose predictions are combined; none for the network's own.
    target : Target
        What its outputs mean.
    preprocessor : TabularPreprocessor
        How rows are encoded.
    """
    directory = require_exporter(directory)
    program = _TableProgram(deepcopy(model).cpu(), snapshots, target)
    example = example_rows(preprocessor)
    description = described(estimator, target) | described_tables(preprocessor, example)
    axes = {name: {0: "rows"} for name in ("categorical", "continuous")}
    inputs = {name: torch.from_numpy(getattr(example, name)) for name in axes}
    with write_export(
        directory,
        program,
        inputs,
        output=output_name(target),
        dynamic=axes,
        description=description,
    ):
        pass


def example_rows(preprocessor: TabularPreprocessor) -> Encoded:
    """Return two rows that an encoded table may have."""
    cardinalities = preprocessor.cardinalities_
    return Encoded(
        np.zeros((2, len(cardinalities)), code_type(max(cardinalities, default=0))),
        np.zeros((2, len(preprocessor.continuous_names_)), np.float32),
    )


class _TableProgram(nn.Module):
    """From encoded rows to what the estimator predicts: probabilities, or quantities."""

    def __init__(
        self, model: nn.Module, snapshots: Sequence[Mapping[str, Tensor]], target: Target
    ) -> None:
        super().__init__()
        self.model = model
        self.snapshots = [{name: t.cpu() for name, t in weights.items()} for weights in snapshots]
        self.target = target

    def forward(self, categorical: Tensor, continuous: Tensor) -> Tensor:
        """Return ``(rows, columns)`` in double precision."""
        rows = (categorical, continuous)
        if not self.snapshots:
            return self.target.predicted(self.model(*rows))
        raws = [functional_call(self.model, weights, rows) for weights in self.snapshots]
        return self.target.predicted(self.target.combine(raws))
