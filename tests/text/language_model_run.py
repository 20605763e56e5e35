"""The training of a language model in processes of their own, for tests that kill them.

    [RANK=... WORLD_SIZE=...] python language_model_run.py [--checkpoints DIRECTORY] [--at STEP]

It goes on from the newest checkpoint, if there is one, prints ``step N`` as soon as a step is done,
and at its end a line of JSON: weights, and what every process carries along its streams. With
``--at`` it kills itself after that step.
"""

import argparse
import hashlib
import json
import os
import signal
import sys
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor

from tabtext.estimators.text_batches.stream import StreamBatches
from tabtext.text.documents import Documents
from tabtext.text.encoder.awd_lstm import EncoderOptions
from tabtext.text.language_model import LanguageModelNetwork, LanguageModelTask
from tabtext.training import Checkpoints, Trainer, TrainingOptions
from tabtext.training.callbacks import Callback
from tabtext.training.run import Run

VOCABULARY = 60
N_STREAMS = 4
SIZE = int(os.environ.get("WORLD_SIZE", "1"))


class TellSteps(Callback):
    """Print every step; kill the own process after one of them."""

    def __init__(self, at: int | None) -> None:
        self.at = at

    def step_ended(self, run: Run) -> None:
        print(f"step {run.step}", flush=True)
        if run.step == self.at:
            os.kill(os.getpid(), signal.SIGKILL)


def documents() -> Documents:
    """Texts of which a part can be foreseen: most words are followed by the one after next."""
    generator = torch.Generator().manual_seed(0)
    texts = []
    for length in torch.randint(5, 40, (70,), generator=generator).tolist():
        steps = torch.randint(1, 4, (length,), generator=generator).clamp(max=2)
        texts.append([2, *(steps.cumsum(0) % (VOCABULARY - 9) + 9).tolist(), 3])
    return Documents.of(texts)


def own_loss(losses: Tensor, target: Tensor) -> Tensor:
    """The task gives losses itself."""
    return losses


def digest(tensors: Iterable[Tensor]) -> str:
    """A text that differs if any bit of any tensor does."""
    found = hashlib.sha256()
    for tensor in tensors:
        found.update(tensor.contiguous().numpy().tobytes())
    return found.hexdigest()


def main() -> int:
    """Train, and describe what came out bit for bit."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--checkpoints", type=Path)
    parser.add_argument("--at", type=int)
    parser.add_argument("--dropout-scale", type=float, default=1.0)
    given = parser.parse_args()
    torch.manual_seed(0)
    options = EncoderOptions(
        embedding_width=12, hidden_width=16, n_layers=2, dropout_scale=given.dropout_scale
    )
    network = LanguageModelNetwork(VOCABULARY, options)
    batches = StreamBatches(documents(), batch_size=N_STREAMS // SIZE, bptt=14)
    task = LanguageModelTask(network, batches.n_streams)
    checkpoints = None
    if given.checkpoints is not None:
        checkpoints = Checkpoints(given.checkpoints, every_steps=3)
    trainer = Trainer(
        task,
        own_loss,
        options=TrainingOptions(epochs=3, learning_rate=0.02, averaging="ema"),
        callbacks=[TellSteps(given.at)],
        checkpoints=checkpoints,
    )
    history = trainer.fit(batches, resume=checkpoints is not None)
    weights = task.state_dict()
    result = {
        "losses": history.step_losses,
        "weights": torch.cat([tensor.flatten() for tensor in weights.values()]).tolist(),
        "digest": digest(weights.values()),
        "carried": digest(tensor for layer in task.carried_state() for tensor in layer),
    }
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
