"""Training of an encoder in one of several processes, for tests that compare them.

    RANK=... WORLD_SIZE=... python encoder_run.py SCENARIO [SCENARIO ...]

Every process prints one line of JSON at its end: what each scenario gave in it.
"""

import hashlib
import json
import os
import sys
from typing import Any

import torch
from torch import Tensor, nn

from tabtext.text.encoder.awd_lstm import AWDLSTM, EncoderOptions
from tabtext.training import TensorBatches, Trainer, TrainingOptions
from tabtext.training.losses import squared_error

SIZE = int(os.environ.get("WORLD_SIZE", "1"))
N_WORDS, N_ROWS, LENGTH, ROWS_PER_STEP = 20, 64, 12, 8


class Judge(nn.Module):
    """Read texts in two chunks under the same masks, and say one number for each."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        shape: dict[str, Any] = {"embedding_width": 6, "hidden_width": 8}
        self.encoder = AWDLSTM(N_WORDS, EncoderOptions(**shape, **options))
        self.head = nn.Linear(6, 1)

    def forward(self, tokens: Tensor) -> Tensor:
        with self.encoder.fixed_masks(len(tokens)):
            first = self.encoder(tokens[:, :5], self.encoder.initial_state(len(tokens)))
            second = self.encoder(tokens[:, 5:], first.state)
        raw: Tensor = self.head(second.outputs[:, -1] + first.outputs.mean(dim=1))
        return raw

    def layer_groups(self) -> list[nn.Module]:
        return [*self.encoder.layer_groups(), self.head]


def trained(**options: Any) -> dict[str, Any]:
    torch.manual_seed(0)
    model = Judge(**options)
    tokens = torch.randint(0, N_WORDS, (N_ROWS, LENGTH))
    target = (tokens == 3).float().sum(dim=1, keepdim=True)
    # All groups have biases, so that all processes notice if one of them were left out.
    training = TrainingOptions(epochs=3, learning_rate=0.01)
    trainer = Trainer(model, squared_error, options=training)
    size = ROWS_PER_STEP // SIZE
    history = trainer.fit(TensorBatches((tokens,), target, batch_size=size, shuffle=True))
    weights = torch.cat([parameter.detach().flatten() for parameter in model.parameters()])
    return {
        "losses": history.step_losses,
        "weights": weights.tolist(),
        "digest": hashlib.sha256(weights.numpy().tobytes()).hexdigest(),
        "random": torch.rand(1).item(),
    }


def main() -> None:
    if SIZE > 1:
        torch.distributed.init_process_group("gloo")
    scenarios = {
        "plain": lambda: trained(dropout_scale=0.0),
        "dropped": trained,
        "gru": lambda: trained(cell="gru", weight_drop=0.5),
    }
    print(json.dumps({name: scenarios[name]() for name in sys.argv[1:]}), flush=True)
    if SIZE > 1:
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
