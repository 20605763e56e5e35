"""A training step of the networks for tables, with tabtext's dropout masks and with torch's.

Columns, batch and widths are those of adult under the default. Both sides train the same network in
turn, in one process on one thread; seconds are the processor's, because a shared machine's clock
says little.

    python bench/tabular_dropout.py
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import harness
import numpy as np
import torch
from torch import Tensor, nn

from tabtext.dropout import Dropout
from tabtext.tabular.bins import quantile_bin_edges
from tabtext.tabular.members import TabM
from tabtext.tabular.models import EntityEmbeddingMLP, TabularEncoder
from tabtext.training import TensorBatches, Trainer, TrainingOptions
from tabtext.training.losses import mean_over_members, squared_error

CARDINALITIES = (9, 16, 8, 15, 7, 6, 3, 42)
N_CONTINUOUS, BATCH, STEPS, EPOCHS = 6, 256, 20, 3

Forward = Callable[[Dropout, Tensor], Tensor]


def torch_forward(self: Dropout, features: Tensor) -> Tensor:
    """What the layer did before."""
    return nn.functional.dropout(features, self.rate, self.training)


SIDES: dict[str, Forward] = {"torch": torch_forward, "tabtext": Dropout.forward}


def seconds_per_step(network: str, forward: Forward) -> float:
    """Train a new network; processor seconds of one step."""
    Dropout.forward = forward
    torch.manual_seed(0)
    random = np.random.default_rng(0)
    rows = BATCH * STEPS
    continuous = random.normal(size=(rows, N_CONTINUOUS)).astype(np.float32)
    codes = np.stack([random.integers(0, n, rows) for n in CARDINALITIES], axis=1)
    columns: dict[str, Any] = {
        "cardinalities": CARDINALITIES,
        "n_continuous": N_CONTINUOUS,
        "numeric_embedding": "piecewise_linear",
        "numeric_width": 16,
        "bin_edges": quantile_bin_edges(continuous, 128),
    }
    model: nn.Module
    if network == "tabm":
        model = TabM(TabularEncoder(**columns), 1, combine="values", hidden=(128, 64), dropout=0.1)
    else:
        model = EntityEmbeddingMLP(**columns, n_outputs=1, hidden=(512, 256), dropout=0.1)
    inputs = torch.from_numpy(codes), torch.from_numpy(continuous)
    batches = TensorBatches(inputs, inputs[1][:, :1], batch_size=BATCH, shuffle=True)
    options = TrainingOptions(epochs=EPOCHS, averaging="ema")
    trainer = Trainer(model, mean_over_members(squared_error), options=options)
    started = time.process_time()
    trainer.fit(batches)
    return (time.process_time() - started) / (STEPS * EPOCHS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=15)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    sides: dict[str, Any] = {}
    for network in ("tabm", "mlp"):
        seconds_per_step(network, torch_forward)  # compiles the kernels
        pairs = [
            {side: seconds_per_step(network, forward) for side, forward in SIDES.items()}
            for _ in range(arguments.runs)
        ]
        sides[network] = {
            f"{side}, ms": round(1e3 * statistics.median(pair[side] for pair in pairs), 2)
            for side in SIDES
        }
        ratios = [round(pair["tabtext"] / pair["torch"], 3) for pair in pairs]
        sides[network] |= {"median ratio": statistics.median(ratios), "ratios": sorted(ratios)}
        print(network, sides[network], flush=True)
    harness.write_result("tabular_dropout", {"runs": arguments.runs, "batch": BATCH}, sides)


if __name__ == "__main__":
    main()
