"""fastai's AWD-LSTM on ids that are given, as its own language_model_learner makes and trains it.

Its dropouts, its two regularisers, its Adam and its one-cycle schedule are left at their defaults;
only the size, the windows and the batch are those of the comparison. Runs in fastai's environment.
"""

import time
from collections.abc import Sequence
from typing import Any

import harness
import numpy as np

Size = dict[str, int]
"""``embedding``, ``hidden`` and ``layers``."""


def new_learner(
    documents: Sequence[np.ndarray],
    vocabulary_size: int,
    size: Size,
    *,
    batch_size: int,
    bptt: int,
    device: str = "cpu",
) -> Any:
    """Return a learner over the documents; it validates on one batch only."""
    try:
        from fastai.text.all import (
            AWD_LSTM,
            DataLoaders,
            LMDataLoader,
            awd_lstm_lm_config,
            language_model_learner,
            set_seed,
        )
    except ModuleNotFoundError as error:
        harness.absent(str(error.name))
    import torch

    set_seed(harness.seed())
    items = [torch.from_numpy(np.asarray(document, np.int64)) for document in documents]
    few = [torch.cat(items)[: batch_size * bptt + 1]]
    loaders = [
        LMDataLoader(part, lens=list(map(len, part)), bs=batch_size, seq_len=bptt, shuffle=shuffle)
        for part, shuffle in ((items, True), (few, False))
    ]
    data = DataLoaders(*loaders, device=torch.device(device))
    data.vocab = [str(number) for number in range(vocabulary_size)]
    config = awd_lstm_lm_config | {
        "emb_sz": size["embedding"],
        "n_hid": size["hidden"],
        "n_layers": size["layers"],
    }
    return language_model_learner(data, AWD_LSTM, config=config, pretrained=False)


def train(learner: Any, *, epochs: int, learning_rate: float) -> dict[str, Any]:
    """Train with one-cycle; return steps and seconds, validation not counted."""
    watch = StepWatch()
    with learner.no_bar(), learner.no_logging():
        learner.fit_one_cycle(epochs, learning_rate, cbs=[watch.callback()])
    return {"steps": len(watch.seconds), "train seconds": round(sum(watch.seconds), 1)}


class StepWatch:
    """Seconds from the end of one training step to that of the next, the batch's loading included.

    Parameters
    ----------
    device : str
        On a GPU, the end of a step is waited for.
    """

    def __init__(self, device: str = "cpu") -> None:
        self.seconds: list[float] = []
        self.device = device

    def callback(self) -> Any:
        """What the learner calls."""
        from fastai.callback.core import Callback

        watch = self

        class Watching(Callback):
            run_valid = False

            def before_train(self) -> None:
                watch.last = watch.now()

            def after_batch(self) -> None:
                now = watch.now()
                watch.seconds.append(now - watch.last)
                watch.last = now

        return Watching()

    def now(self) -> float:
        """The time, once the device has done what it was given."""
        if self.device != "cpu":
            import torch

            torch.cuda.synchronize()
        return time.perf_counter()


def window_losses(learner: Any, device: str = "cpu"):
    """Return a function that scores windows of one stream in order, its state carried along."""
    import torch
    from torch.nn import functional

    model = learner.model.eval()
    model.reset()

    @torch.inference_mode()
    def losses(inputs: np.ndarray, targets: np.ndarray) -> float:
        tokens = torch.from_numpy(inputs.astype(np.int64)).to(device)[None]
        wanted = torch.from_numpy(targets.astype(np.int64)).to(device)
        logits = model(tokens)[0][0]
        return float(functional.cross_entropy(logits, wanted, reduction="sum").double())

    return losses
