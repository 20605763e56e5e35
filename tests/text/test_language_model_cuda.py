"""A language model on a GPU: what it learns, scores and writes is what it does on the CPU."""

import copy

import numpy as np
import pytest
import torch
from torch import Tensor

from tabtext.estimators.text_batches.stream import StreamBatches
from tabtext.text.documents import Documents
from tabtext.text.encoder.awd_lstm import EncoderOptions
from tabtext.text.generation import beam_search, sample
from tabtext.text.language_model import LanguageModelNetwork, LanguageModelTask, SoftmaxKind
from tabtext.text.perplexity import score_documents
from tabtext.text.special_tokens import BEGIN_ID, END_ID
from tabtext.training.options import TrainingOptions
from tabtext.training.reproducibility import seeded
from tabtext.training.streaming import StreamedBatches
from tabtext.training.trainer import Trainer

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU"),
    pytest.mark.filterwarnings("ignore:Attempting to run cuBLAS"),
    pytest.mark.parametrize("softmax", ["full", "adaptive"]),
]

GPU = torch.device("cuda", 0)
VOCABULARY = 200


def new_network(softmax: SoftmaxKind) -> LanguageModelNetwork:
    options = EncoderOptions(embedding_width=16, hidden_width=24, n_layers=2, dropout_scale=0.0)
    with seeded(0):
        cutoffs = None if softmax == "full" else (60, 120)
        return LanguageModelNetwork(VOCABULARY, options, softmax=softmax, cutoffs=cutoffs)


def some_documents() -> Documents:
    generator = np.random.default_rng(0)
    steps = [generator.integers(1, 3, length) for length in generator.integers(3, 60, 80)]
    words = [9 + np.cumsum(step) % (VOCABULARY - 9) for step in steps]
    return Documents.of([[BEGIN_ID, *text, END_ID] for text in words])


def trained(softmax: SoftmaxKind, device: torch.device) -> tuple[LanguageModelTask, list[float]]:
    def own_loss(losses: Tensor, target: Tensor) -> Tensor:
        return losses

    batches = StreamBatches(some_documents(), batch_size=8, bptt=20)
    task = LanguageModelTask(new_network(softmax), batches.n_streams).to(device)
    # Asked for, but what is carried from step to step would not survive it; on the CPU it would,
    # after minutes of compiling.
    wish = "always" if device.type == "cuda" else "never"
    options = TrainingOptions(epochs=3, learning_rate=0.01, compile=wish, precision="fp32")
    history = Trainer(task, own_loss, options=options).fit(StreamedBatches(batches, device))
    return task, history.step_losses


def test_training_gives_the_losses_of_the_cpu(softmax: SoftmaxKind) -> None:
    there, losses = trained(softmax, GPU)
    here, expected = trained(softmax, torch.device("cpu"))

    assert losses == pytest.approx(expected, rel=2e-3)
    for mine, its in zip(there.carried_state(), here.carried_state(), strict=True):
        for tensor, other in zip(mine, its, strict=True):
            assert tensor.device == GPU
            torch.testing.assert_close(tensor.cpu(), other, rtol=0.05, atol=0.01)


def test_scores_are_those_of_the_cpu(softmax: SoftmaxKind) -> None:
    network, documents = new_network(softmax), some_documents()

    there = score_documents(copy.deepcopy(network).to(GPU), documents, tokens_at_once=500)

    np.testing.assert_allclose(there.losses, score_documents(network, documents).losses, rtol=1e-5)


def test_texts_are_those_of_the_cpu_for_the_same_generator(softmax: SoftmaxKind) -> None:
    network = new_network(softmax)
    there = copy.deepcopy(network).to(GPU)

    def texts(network: LanguageModelNetwork) -> list[tuple[int, ...]]:
        generator = torch.Generator().manual_seed(0)
        drawn = sample(network, [BEGIN_ID, 9], n_tokens=20, top_p=0.9, generator=generator)
        found = beam_search(network, [BEGIN_ID, 9], n_tokens=20)
        return [text.ids for text in (*drawn, *found)]

    assert texts(there) == texts(network)
