"""Fitted models for tables that hold texts, as ONNX programs."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.func import functional_call

from tabtext.export.description import (
    TOKENIZER,
    described,
    described_tables,
    described_texts,
    output_name,
)
from tabtext.export.program import require_exporter, write_export
from tabtext.export.reading import EXAMPLE, ReadingProgram
from tabtext.export.tabular import example_rows
from tabtext.mixed.network import MixedNetwork
from tabtext.mixed.preprocessing import MixedPreprocessor
from tabtext.training.targets import Target

__all__ = ["export_mixed_model"]


def export_mixed_model(
    directory: str | Path,
    *,
    estimator: str,
    model: MixedNetwork,
    snapshots: Sequence[Mapping[str, Tensor]],
    target: Target,
    preprocessor: MixedPreprocessor,
) -> None:
    """Write a network for tables that hold texts, and how to encode rows for it.

    Parameters
    ----------
    directory : str or Path
        Where it will stand.
    estimator : str
        The class of the fitted model.
    model : MixedNetwork
        A copy of it on the CPU is exported.
    snapshots : sequence of mapping of str to Tensor
        Weights of its fused half whose predictions are combined; none for its own.
    target : Target
        What the outputs mean.
    preprocessor : MixedPreprocessor
        How rows are encoded.
    """
    directory = require_exporter(directory)
    example = example_rows(preprocessor.tabular)
    description = (
        described(estimator, target)
        | described_texts(preprocessor.text)
        | {"text_columns": list(preprocessor.text_columns)}
        | {"max_tokens": preprocessor.max_tokens}
    )
    tables = described_tables(preprocessor.tabular, example)
    description["inputs"] = tables.pop("inputs") | description["inputs"]
    tokens, lengths = (
        torch.stack([part] * len(preprocessor.text_columns), dim=1) for part in EXAMPLE
    )
    inputs = {
        "categorical": torch.from_numpy(example.categorical),
        "continuous": torch.from_numpy(example.continuous),
        "tokens": tokens,
        "lengths": lengths,
    }
    axes = {name: {0: "rows"} for name in ("categorical", "continuous", "lengths")}
    with write_export(
        directory,
        _MixedProgram(model, snapshots, target),
        inputs,
        output=output_name(target),
        dynamic=axes | {"tokens": {0: "rows", 2: "longest"}},
        description=description | tables,
    ) as temporary:
        preprocessor.text.save(temporary / TOKENIZER)


class _MixedProgram(nn.Module):
    """From encoded rows and documents of ids to what the estimator predicts."""

    def __init__(
        self, model: MixedNetwork, snapshots: Sequence[Mapping[str, Tensor]], target: Target
    ) -> None:
        super().__init__()
        readers = [ReadingProgram(model.encoder_of(n)) for n in range(len(model.encoders))]
        self.readers = nn.ModuleList(readers)
        self.fused = deepcopy(model.fused).cpu()
        self.snapshots = [{name: t.cpu() for name, t in weights.items()} for weights in snapshots]
        self.n_columns, self.target = model.n_columns, target

    def forward(
        self, categorical: Tensor, continuous: Tensor, tokens: Tensor, lengths: Tensor
    ) -> Tensor:
        """Return ``(rows, columns)`` in double precision."""
        read = [self._read(n, tokens[:, n], lengths[:, n]) for n in range(self.n_columns)]
        rows = (categorical, continuous, torch.stack(read, dim=1))
        if not self.snapshots:
            return self.target.predicted(self.fused(*rows))
        raws = [functional_call(self.fused, weights, rows) for weights in self.snapshots]
        return self.target.predicted(self.target.combine(raws))

    def _read(self, column: int, tokens: Tensor, lengths: Tensor) -> Tensor:
        reader = self.readers[column if len(self.readers) > 1 else 0]
        is_there = (lengths > 0).to(torch.float32)[:, None]
        return torch.cat([reader(tokens, lengths), is_there], dim=1)
