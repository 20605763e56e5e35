"""Fitted models of texts as ONNX programs: networks and the linear models that vote with them."""

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path

import torch
from torch import Tensor, nn

from tabtext.export.description import (
    TOKENIZER,
    described,
    described_texts,
    output_name,
)
from tabtext.export.linear import LinearMember, linear_program
from tabtext.export.program import require_exporter, write_export
from tabtext.export.reading import EXAMPLE, ReadingProgram
from tabtext.text.classifier import TextClassifierNetwork
from tabtext.text.preprocessing import TextPreprocessor
from tabtext.training.targets import Target

__all__ = ["export_text_model"]


def export_text_model(
    directory: str | Path,
    *,
    estimator: str,
    networks: Mapping[str, TextClassifierNetwork],
    linear: Mapping[str, LinearMember],
    votes: Mapping[str, float],
    target: Target,
    preprocessor: TextPreprocessor,
) -> None:
    """Write the models that vote on a text, and how texts become ids; see ``TextEstimator``.

    Parameters
    ----------
    directory : str or Path
        Where it will stand.
    estimator : str
        The class of the fitted model.
    networks : mapping of str to TextClassifierNetwork
        By the direction in which they read; copies of them on the CPU are exported.
    linear : mapping of str to linear models
        By name; may be empty.
    votes : mapping of str to float
        How much ``"network"`` and each linear model count; those that are left out do not.
    target : Target
        What the outputs mean.
    preprocessor : TextPreprocessor
        How texts become documents of ids.
    """
    directory = require_exporter(directory)
    if not linear:
        votes = {"network": 1.0}
    program = _TextProgram(
        {name: _NetworkProgram(network) for name, network in networks.items()},
        {name: linear_program(member) for name, member in linear.items() if name in votes},
        votes,
        target,
    )
    tokens, lengths = EXAMPLE
    with write_export(
        directory,
        program,
        {"tokens": tokens, "lengths": lengths},
        output=output_name(target),
        dynamic={"tokens": {0: "rows", 1: "longest"}, "lengths": {0: "rows"}},
        description=described(estimator, target) | described_texts(preprocessor),
    ) as temporary:
        preprocessor.save(temporary / TOKENIZER)


class _TextProgram(nn.Module):
    """From documents of ids to what the estimator predicts: probabilities, or quantities."""

    def __init__(
        self,
        networks: Mapping[str, nn.Module],
        linear: Mapping[str, nn.Module],
        votes: Mapping[str, float],
        target: Target,
    ) -> None:
        super().__init__()
        heard = networks if "network" in votes else {}
        self.directions = list(heard)
        self.networks = nn.ModuleList(heard.values())  # "forward" is no name that a module may have
        self.linear = nn.ModuleDict(linear)
        self.votes, self.target = dict(votes), target

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """Return ``(rows, columns)`` in double precision."""
        raws = [
            vote * self._raw_of(name, tokens, lengths).double() for name, vote in self.votes.items()
        ]
        return self.target.predicted(torch.stack(raws).sum(dim=0))

    def _raw_of(self, name: str, tokens: Tensor, lengths: Tensor) -> Tensor:
        if name in self.linear:
            raw: Tensor = self.linear[name](tokens, lengths)
            return raw
        of_directions = [
            network(_in_direction(tokens, lengths, direction), lengths)
            for direction, network in zip(self.directions, self.networks, strict=True)
        ]
        several = len(of_directions) > 1
        return self.target.combine(of_directions) if several else of_directions[0]


def _in_direction(tokens: Tensor, lengths: Tensor, direction: str) -> Tensor:
    """What ``Documents.reversed`` does: the ids between xxbos and xxeos are turned round."""
    if direction != "backward":
        return tokens
    places = torch.arange(tokens.shape[1]).expand(tokens.shape)
    last = (lengths - 1)[:, None]
    turned = torch.where((places > 0) & (places < last), last - places, places)
    return tokens.gather(1, turned)


class _NetworkProgram(nn.Module):
    """What a network computes in evaluation, for any number of tokens."""

    def __init__(self, network: TextClassifierNetwork) -> None:
        super().__init__()
        self.reading = ReadingProgram(network.encoder)
        self.head = deepcopy(network.head).cpu()

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """Return raw outputs ``(rows, outputs)``."""
        raw: Tensor = self.head(self.reading(tokens, lengths))
        return raw
