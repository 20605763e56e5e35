"""The models that vote on a text: networks of one or two directions, and linear models."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from tabtext.estimators.classifier_training import in_direction, predict_documents
from tabtext.estimators.linear_members import LinearFitting, LinearMembers
from tabtext.estimators.mixing import mixed, mixing_weights
from tabtext.estimators.samples import EncodedSample, PreparedRows
from tabtext.text.classifier import TextClassifierNetwork
from tabtext.text.documents import Documents
from tabtext.training.losses import Loss
from tabtext.training.targets import Target

__all__ = ["Voters"]

_log = logging.getLogger(__name__)

_START = (0.0, 1.0)
"""Votes of the networks, and of the linear models together, before a validation row is seen. With
50 of them, that all had the same vote cost up to two points of accuracy on film reviews."""


@dataclass(frozen=True)
class Voters:
    """Models whose outputs make a prediction, and how much each counts.

    Parameters
    ----------
    networks : mapping of str to TextClassifierNetwork
        By the direction in which they read; together they have one vote.
    linear : mapping of str to linear models
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
        fitting: LinearFitting | None,
        rows: PreparedRows[Documents],
        target: Target,
        row_loss: Loss,
        *,
        seed: int,
    ) -> Self:
        """Fit linear models beside the networks, and let all vote by what they are worth.

        What the linear models are worth among themselves is learned from the training rows, each
        judged by models that have not seen it; what the networks add to them, from the validation
        rows: as long as few of those speak for the networks, the linear models decide. Without
        validation rows the networks have half a vote.

        Parameters
        ----------
        networks : mapping of str to TextClassifierNetwork
            By the direction in which they read.
        fitting : LinearFitting or None
            How the linear models are fitted; None for none.
        rows : PreparedRows
            Training and validation rows, weighted as the votes are to be learned.
        target : Target
            What the codes mean.
        row_loss : callable
            Activated outputs and codes -> loss of every row.
        seed : int
            Of the division of the training rows.
        """
        if fitting is None:
            return cls(networks, {}, {"network": 1.0})
        linear = fitting.fit(rows.train)

        def loss(raw: Tensor, codes: Tensor) -> Tensor:
            return row_loss(target.activate(raw), codes)

        def weights(
            raws: Sequence[Tensor],
            known: EncodedSample[Documents],
            start: Sequence[float] | None = None,
        ) -> list[float]:
            relative = known.relative_weight()
            weight = None if relative is None else torch.from_numpy(relative)
            return mixing_weights(raws, torch.from_numpy(known.codes), loss, weight, start=start)

        among = weights(fitting.out_of_fold(rows.train, seed=seed), rows.train)
        network, together = 0.5, 0.5
        if rows.valid is not None:
            voters = cls(networks, linear, dict.fromkeys(["network", *linear], 1.0))
            first, *others = voters.raws(rows.valid.encoded, target)
            network, together = weights([first, mixed(others, among)], rows.valid, _START)
        votes = [network, *(together * weight for weight in among)]
        mixing = dict(zip(["network", *linear], votes, strict=True))
        _log.info("votes: %s", ", ".join(f"{name} {vote:.2f}" for name, vote in mixing.items()))
        return cls(networks, linear, mixing)

    @property
    def heard(self) -> Mapping[str, float]:
        """The votes that count; all where none does.

        With few labels the networks may well have no vote: then they, the slow ones, rest.
        """
        return {name: vote for name, vote in self.mixing.items() if vote} or self.mixing

    def raw(self, documents: Documents, target: Target) -> Tensor:
        """Return the raw outputs of all together ``(documents, outputs)``, on the CPU."""
        if not self.linear:
            return self._raw_of("network", documents, target)
        heard = self.heard
        raws = [self._raw_of(name, documents, target) for name in heard]
        return mixed(raws, list(heard.values()))

    def raws(self, documents: Documents, target: Target) -> list[Tensor]:
        """Return those of the networks together, then of every linear model."""
        return [self._raw_of(name, documents, target) for name in self.mixing]

    def _raw_of(self, name: str, documents: Documents, target: Target) -> Tensor:
        if name in self.linear:
            return torch.from_numpy(self.linear[name](documents))
        of_directions = [
            predict_documents(network, in_direction(documents, direction))
            for direction, network in self.networks.items()
        ]
        return target.combine(of_directions) if len(of_directions) > 1 else of_directions[0]
