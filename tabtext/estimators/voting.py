"""The models that vote on a text: networks of one or two directions, and linear models."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from tabtext.estimators.classifier_training import in_direction, predict_documents
from tabtext.estimators.linear_members import LinearMembers
from tabtext.estimators.mixing import mixed, mixing_weights
from tabtext.estimators.samples import EncodedSample
from tabtext.text.classifier import TextClassifierNetwork
from tabtext.text.documents import Documents
from tabtext.training.losses import Loss
from tabtext.training.targets import Target

__all__ = ["Voters"]


@dataclass(frozen=True)
class Voters:
    """Models whose outputs make a prediction, and how much each counts.

    Parameters
    ----------
    networks : mapping of str to TextClassifierNetwork
        By the direction in which they read; together they have one vote.
    linear : mapping of str to NgramModel or WordModel
        By name.
    mixing : mapping of str to float
        What the raw outputs of ``"network"`` and of each linear model are multiplied by.
    """

    networks: Mapping[str, TextClassifierNetwork]
    linear: LinearMembers
    mixing: Mapping[str, float]

    @classmethod
    def learned(
        cls,
        networks: Mapping[str, TextClassifierNetwork],
        linear: LinearMembers,
        valid: EncodedSample[Documents] | None,
        target: Target,
        row_loss: Loss,
    ) -> Self:
        """Let models vote by what they are worth on validation rows, or all alike without any."""
        names = ["network", *linear]
        alike = cls(networks, linear, dict.fromkeys(names, 1 / len(names)))
        if not linear or valid is None:
            return alike
        weight = None if valid.weight is None else torch.from_numpy(valid.weight)

        def loss(raw: Tensor, codes: Tensor) -> Tensor:
            return row_loss(target.activate(raw), codes)

        raws = alike.raws(valid.encoded, target)
        found = mixing_weights(raws, torch.from_numpy(valid.codes), loss, weight)
        return cls(networks, linear, dict(zip(names, found, strict=True)))

    def raw(self, documents: Documents, target: Target) -> Tensor:
        """Return the raw outputs of all together ``(documents, outputs)``, on the CPU."""
        raws = self.raws(documents, target)
        return mixed(raws, list(self.mixing.values())) if self.linear else raws[0]

    def raws(self, documents: Documents, target: Target) -> list[Tensor]:
        """Return those of the networks together, then of every linear model."""
        of_directions = [
            predict_documents(network, in_direction(documents, direction))
            for direction, network in self.networks.items()
        ]
        several = len(of_directions) > 1
        network = target.combine(of_directions) if several else of_directions[0]
        linear = [torch.from_numpy(model(documents)) for model in self.linear.values()]
        return [network, *linear]
