"""tabtext's AWD-LSTM on ids that are given, by its Trainer and LanguageModel's defaults."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import harness
import numpy as np
import torch
from text_data import Tokens
from torch import Tensor

from tabtext.estimators.language_model import LanguageModel
from tabtext.estimators.text_batches.scoring import ScoringBatches
from tabtext.estimators.text_batches.stream import StreamBatches
from tabtext.text.documents import Documents
from tabtext.text.language_model import LanguageModelNetwork, LanguageModelTask
from tabtext.text.softmax.adaptive import choose_cutoffs
from tabtext.training import Callback, Trainer, TrainingOptions

Settings = dict[str, Any]


class StepWatch(Callback):
    """Seconds from the end of one training step to that of the next, the batch's making included.

    Parameters
    ----------
    device : str
        On a GPU, the end of a step is waited for.
    """

    def __init__(self, device: str) -> None:
        self.seconds: list[float] = []
        self.device = device
        self._last = 0.0

    def fit_started(self, run) -> None:
        """The first step begins."""
        del run
        self._last = self._now()

    def step_ended(self, run) -> None:
        """Note the time since the step before."""
        del run
        now = self._now()
        self.seconds.append(now - self._last)
        self._last = now

    def epoch_ended(self, run) -> None:
        """What validation took is not counted."""
        del run
        self._last = self._now()

    def _now(self) -> float:
        if self.device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()


def recipe(settings: Settings, *, learning_rate: float = 1e-3) -> LanguageModel:
    """The estimator whose defaults count."""
    return LanguageModel(
        embedding_width=settings["embedding"],
        hidden_width=settings["hidden"],
        n_layers=settings["layers"],
        epochs=settings.get("epochs", 1),
        learning_rate=learning_rate,
        precision=settings.get("precision", "auto"),
        random_state=harness.seed(),
        verbose=0,
    )


def new_network(settings: Settings, **softmax: Any) -> LanguageModelNetwork:
    """A network with the estimator's dropouts, or those of the settings."""
    torch.manual_seed(harness.seed())
    encoder_options = replace(recipe(settings).encoder_options(), **settings.get("dropouts", {}))
    return LanguageModelNetwork(settings["vocabulary"], encoder_options, **softmax)


def new_trainer(
    network: LanguageModelNetwork, settings: Settings, options: TrainingOptions, watch: StepWatch
) -> Trainer:
    """A trainer of the network; its own seed is that of the options."""
    task = LanguageModelTask(network, settings["batch_size"]).to(settings["device"])
    return Trainer(task, own_loss, options=options, callbacks=[watch])


def own_loss(losses: Tensor, target: Tensor) -> Tensor:
    """The task computes its losses itself."""
    del target
    return losses


def stream(tokens: Tokens, settings: Settings) -> StreamBatches:
    return StreamBatches(
        Documents(tokens.ids, tokens.offsets.astype(np.int64)),
        batch_size=settings["batch_size"],
        bptt=settings["bptt"],
        random_lengths=settings.get("random_lengths", False),  # else there are a few steps more
    )


# --- perplexity -----------------------------------------------------------------------------


def train(
    parts: dict[str, Tokens], settings: Settings, rate: float
) -> tuple[LanguageModelNetwork, dict[str, Any]]:
    """Train; return the network, its steps and seconds, validation not counted.

    Parts other than ``train`` are read only where the training options need validation.
    """
    estimator = recipe(settings, learning_rate=rate)
    if "training" in settings:
        options = TrainingOptions(
            epochs=settings["epochs"],
            learning_rate=rate,
            seed=harness.seed(),
            **settings["training"] | {"betas": tuple(settings["training"]["betas"])},
        )
    else:
        options = estimator.training_options(len(parts["train"].ids))
    valid = None
    if options.averaging == "nt_asgd":
        articles = Documents(parts["valid"].ids, parts["valid"].offsets.astype(np.int64))
        valid = ScoringBatches(articles, torch.device(settings["device"]))
    network = new_network(settings)
    watch = StepWatch(settings["device"])
    new_trainer(network, settings, options, watch).fit(stream(parts["train"], settings), valid)
    figures = {"steps": len(watch.seconds), "train seconds": round(sum(watch.seconds), 1)}
    return network, figures


def window_losses(network: LanguageModelNetwork, device: str) -> Callable[..., float]:
    """Return a function that scores windows of one stream in order, its state carried along."""
    network.eval()
    state = network.encoder.initial_state(1)

    @torch.inference_mode()
    def losses(inputs: np.ndarray, targets: np.ndarray) -> float:
        nonlocal state
        output = network.encoder(torch.from_numpy(inputs.astype(np.int64)).to(device)[None], state)
        state = output.state
        wanted = torch.from_numpy(targets.astype(np.int64)).to(device)
        return float(network.token_losses(output.outputs[0], wanted).double().sum())

    return losses


# --- speed ----------------------------------------------------------------------------------


def turns(
    ids: np.ndarray, counts: np.ndarray, settings: Settings, softmax: str
) -> Callable[[], float]:
    """Return a function that trains for an epoch of the ids; its seconds.

    Parameters
    ----------
    ids : int array
        As many as the steps of a turn need.
    counts : int array of shape (vocabulary,)
        How often each token comes in the whole training part.
    settings : dict
        Sizes.
    softmax : {"", "adaptive softmax"}
        Which one.
    """
    chosen: dict[str, Any] = {}
    if softmax == "adaptive softmax":
        chosen = {"softmax": "adaptive", "cutoffs": choose_cutoffs(counts)}
    network = new_network(settings, **chosen)
    options = recipe(settings).training_options(len(ids))
    batches = stream(Tokens(ids, np.array([0, len(ids)])), settings)

    def train() -> float:
        watch = StepWatch(settings["device"])
        new_trainer(network, settings, options, watch).fit(batches)
        return sum(watch.seconds)

    return train
