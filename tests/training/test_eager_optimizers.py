"""Optimizers that load no compiler: the same numbers as PyTorch's, and in fact no compiler."""

import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import nn

from tabtext.training import eager_optimizers

INPUTS, TARGET = torch.randn(16, 3), torch.randn(16, 1)

FIT = """
import sys, tempfile
import numpy as np
import pandas as pd
from tabtext import TabularRegressor, load

place = tempfile.mkdtemp()
frame = pd.DataFrame({"x": np.arange(100.0), "y": np.arange(100.0) % 7})
model = TabularRegressor(epochs=1, verbose=0)
model.fit(frame, target="y", checkpoints=f"{place}/checkpoints")
model.fit(frame, target="y", resume=f"{place}/checkpoints").save(f"{place}/model")
load(f"{place}/model").predict(frame)
print("torch._dynamo" in sys.modules)
"""


def trained(kind: type[torch.optim.Optimizer], options: dict[str, Any]) -> list[torch.Tensor]:
    """Weights and the optimizer's state after steps, a pause on disk, and more steps."""
    torch.manual_seed(0)
    model = nn.Linear(3, 1)
    optimizer = kind(model.parameters(), **options)  # type: ignore[call-arg]  # of the children
    for step in range(6):
        if step == 3:
            state = optimizer.state_dict()
            optimizer = kind(model.parameters(), **options)  # type: ignore[call-arg]  # as above
            optimizer.load_state_dict(state)
        optimizer.zero_grad()
        nn.functional.mse_loss(model(INPUTS), TARGET).backward()
        optimizer.step()
    moments = [value for entry in optimizer.state.values() for value in entry.values()]
    return [*model.parameters(), *(value for value in moments if value is not None)]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("AdamW", {"lr": 0.1, "weight_decay": 0.1, "fused": True}),
        ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "fused": True}),
    ],
)
def test_numbers_are_those_of_pytorch(name: str, options: dict[str, Any]) -> None:
    ours = trained(getattr(eager_optimizers, name), options)
    theirs = trained(getattr(torch.optim, name), options)

    assert len(ours) == len(theirs) > 2
    assert all(torch.equal(one, other) for one, other in zip(ours, theirs, strict=True))


def test_hooks_and_schedulers_of_pytorch_see_every_step() -> None:
    model = nn.Linear(3, 1)
    optimizer = eager_optimizers.AdamW(model.parameters(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.5)
    seen: list[int] = []
    optimizer.register_step_post_hook(lambda *_: seen.append(1))
    model(INPUTS).sum().backward()

    optimizer.step()
    scheduler.step()

    assert seen == [1]
    assert optimizer.param_groups[0]["lr"] == 0.05


def test_a_fit_loads_no_compiler() -> None:
    done = subprocess.run([sys.executable, "-c", FIT], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "False"
