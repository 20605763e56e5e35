"""Batch norms whose statistics are computed anew before validation."""

import torch
from torch import nn

from tabtext.training.batch_norm import FreshStatistics
from tabtext.training.batches import TensorBatches
from tabtext.training.losses import squared_error
from tabtext.training.options import TrainingOptions
from tabtext.training.trainer import Trainer

INPUTS = torch.randn(96, 3, generator=torch.Generator().manual_seed(0)) * 2 + 5
TARGET = INPUTS.sum(dim=1, keepdim=True)


class Moving(nn.Module):
    """A layer whose outputs change with every step, and a batch norm behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 4)
        self.norm = nn.BatchNorm1d(4)
        self.head = nn.Linear(4, 1)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        outputs: torch.Tensor = self.head(self.norm(self.layer(inputs)))
        return outputs


def trained(*callbacks: FreshStatistics) -> Moving:
    torch.manual_seed(0)
    model = Moving()
    options = TrainingOptions(epochs=2, learning_rate=0.1, schedule="constant")
    trainer = Trainer(model, squared_error, options=options, callbacks=callbacks)
    trainer.fit(TensorBatches((INPUTS,), TARGET, batch_size=32, shuffle=True))
    return model


def distance_to_the_data(model: Moving) -> float:
    """How far the running mean is from that of the outputs of the weights as they are."""
    assert model.norm.running_mean is not None
    with torch.no_grad():
        return float((model.layer(INPUTS).mean(dim=0) - model.norm.running_mean).abs().max())


def test_statistics_are_those_of_the_weights_that_are_validated() -> None:
    assert distance_to_the_data(trained(FreshStatistics())) < 1e-5
    assert distance_to_the_data(trained()) > 0.1


def test_few_batches_are_looked_at() -> None:
    model = trained(FreshStatistics(n_batches=1))

    assert model.norm.num_batches_tracked == 1


def test_training_goes_on_as_without_them() -> None:
    plain, fresh = trained(), trained(FreshStatistics())

    for parameter, other in zip(plain.parameters(), fresh.parameters(), strict=True):
        assert torch.equal(parameter, other)
