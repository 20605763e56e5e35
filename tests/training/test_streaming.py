"""Streamed batches: the same ones, prepared by a thread that never outlives its reader."""

import threading
from collections.abc import Iterator
from itertools import islice
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tabtext.errors import DivergenceError
from tabtext.training.batches import Batch, TensorBatches
from tabtext.training.callbacks import Callback
from tabtext.training.history import History
from tabtext.training.losses import squared_error
from tabtext.training.lr_finder import find_learning_rate
from tabtext.training.options import TrainingOptions
from tabtext.training.reproducibility import seeded
from tabtext.training.run import Run
from tabtext.training.sequence_length import GrowingSequences
from tabtext.training.streaming import StreamedBatches, fits_on
from tabtext.training.trainer import Trainer

CPU = torch.device("cpu")
INPUTS = torch.randn(100, 3, generator=torch.Generator().manual_seed(0))
CODES = torch.arange(200).reshape(100, 2)
TARGET = INPUTS.sum(dim=1, keepdim=True)


def plain(*, weighted: bool = False, batch_size: int = 16) -> TensorBatches:
    weight = torch.linspace(0.0, 2.0, 100) if weighted else None
    return TensorBatches((INPUTS, CODES), TARGET, weight, batch_size=batch_size, shuffle=True)


def streamed(*, weighted: bool = False, batch_size: int = 16) -> StreamedBatches:
    return StreamedBatches(plain(weighted=weighted, batch_size=batch_size), CPU)


def streaming_threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("tabtext-stream")]


def assert_same_batches(first: list[Batch], second: list[Batch]) -> None:
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        for mine, its in zip(one.inputs, other.inputs, strict=True):
            assert torch.equal(mine, its)
        assert torch.equal(one.target, other.target)
        assert (one.weight is None) == (other.weight is None)
        if one.weight is not None and other.weight is not None:
            assert torch.equal(one.weight, other.weight)
        assert one.total == other.total


class Breaks(TensorBatches):
    """Batches that cannot be read beyond the third."""

    def walk(self, epoch: int, *, seed: int, start: int = 0) -> Iterator[Batch]:
        yield from islice(super().walk(epoch, seed=seed, start=start), 3)
        raise OSError("the disk is gone")


class Endless(TensorBatches):
    """Batches that never end, and count how many were prepared."""

    prepared = 0

    def walk(self, epoch: int, *, seed: int, start: int = 0) -> Iterator[Batch]:
        while True:
            for batch in super().walk(epoch, seed=seed, start=start):
                self.prepared += 1
                yield batch


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(200, 2)
        self.layers = nn.Sequential(nn.Linear(7, 8), nn.BatchNorm1d(8), nn.Dropout(0.2))
        self.head = nn.Linear(8, 1)

    def forward(self, inputs: Tensor, codes: Tensor) -> Tensor:
        embedded = self.embedding(codes).flatten(1)
        raw: Tensor = self.head(self.layers(torch.cat([inputs, embedded], dim=1)))
        return raw


def trained(
    batches: TensorBatches | StreamedBatches, *callbacks: Callback, **options: Any
) -> tuple[nn.Module, History]:
    with seeded(0):
        model = Network()
        settings = TrainingOptions(epochs=3, **options)
        trainer = Trainer(model, squared_error, options=settings, callbacks=callbacks)
        return model, trainer.fit(batches, plain(batch_size=64))


# -------------------------------------------------------------------------------- the same batches


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("epoch", [0, 1])
def test_the_batches_are_the_same_in_the_same_order(epoch: int, weighted: bool) -> None:
    found = list(streamed(weighted=weighted).walk(epoch, seed=7))

    assert_same_batches(found, list(plain(weighted=weighted).walk(epoch, seed=7)))


@pytest.mark.parametrize("start", [0, 1, 5, 6, 7])
def test_a_walk_that_begins_midway_is_the_tail_of_the_whole(start: int) -> None:
    tail = list(streamed().walk(1, seed=7, start=start))

    assert_same_batches(tail, list(plain().walk(1, seed=7))[start:])


@pytest.mark.parametrize("rank", [0, 1])
def test_a_shard_is_the_shard_of_the_batches(rank: int) -> None:
    found = list(streamed(weighted=True).shard(rank, 2).walk(0, seed=7))

    assert_same_batches(found, list(plain(weighted=True).shard(rank, 2).walk(0, seed=7)))


def test_counts_and_fingerprint_are_those_of_the_batches() -> None:
    assert streamed().n_rows == 100
    assert len(streamed()) == len(plain()) == len(list(streamed().walk(0, seed=0)))
    assert streamed().fingerprint() == plain().fingerprint()


def test_no_batches_are_streamed_as_none() -> None:
    empty = TensorBatches((INPUTS[:0],), TARGET[:0], batch_size=4)

    assert list(StreamedBatches(empty, CPU).walk(0, seed=0)) == []


@pytest.mark.parametrize("options", [{}, {"micro_batch_size": 5}, {"averaging": "swa"}])
def test_training_with_streamed_batches_is_the_same_bit_for_bit(options: dict[str, Any]) -> None:
    with_plain, plain_history = trained(plain(), **options)
    with_streamed, streamed_history = trained(streamed(), **options)

    states = with_plain.state_dict().values(), with_streamed.state_dict().values()
    assert all(torch.equal(one, other) for one, other in zip(*states, strict=True))
    assert streamed_history.step_losses == plain_history.step_losses


def test_sequences_can_grow_before_they_are_streamed() -> None:
    tokens = torch.arange(400).reshape(20, 20)
    growing = GrowingSequences(
        TensorBatches((tokens,), tokens + 1, batch_size=5), epochs=2, shortest=8, longest=20
    )

    found = list(StreamedBatches(growing, CPU).walk(0, seed=0))

    assert_same_batches(found, list(growing.walk(0, seed=0)))


# --------------------------------------------------------------------------------------- the thread


def test_batches_are_prepared_ahead_but_only_a_few() -> None:
    source = Endless((INPUTS,), TARGET, batch_size=16)
    reader = StreamedBatches(source, CPU).walk(0, seed=0)

    for _ in range(10):
        next(reader)
    prepared = source.prepared
    reader.close()

    assert 10 <= prepared <= 10 + 4
    assert source.prepared <= 10 + 4


def test_batches_are_prepared_in_another_thread() -> None:
    names = []

    class Named(TensorBatches):
        def walk(self, epoch: int, *, seed: int, start: int = 0) -> Iterator[Batch]:
            names.append(threading.current_thread().name)
            yield from super().walk(epoch, seed=seed, start=start)

    list(StreamedBatches(Named((INPUTS,), TARGET, batch_size=16), CPU).walk(0, seed=0))

    assert names == ["tabtext-stream"]


def test_the_thread_ends_with_its_last_batch() -> None:
    list(streamed().walk(0, seed=0))

    assert streaming_threads() == []


@pytest.mark.parametrize("n_read", [1, 2, 6])
def test_leaving_in_the_middle_ends_the_thread(n_read: int) -> None:
    reader = StreamedBatches(Endless((INPUTS,), TARGET, batch_size=16), CPU).walk(0, seed=0)
    for _ in range(n_read):
        next(reader)
    assert streaming_threads() == ["tabtext-stream"]

    reader.close()

    assert streaming_threads() == []


def test_a_walk_that_nobody_reads_starts_no_thread() -> None:
    reader = streamed().walk(0, seed=0)

    assert streaming_threads() == []
    reader.close()


def test_an_error_of_the_source_reaches_the_reader_after_the_batches_before_it() -> None:
    source = Breaks((INPUTS,), TARGET, batch_size=16)
    whole = TensorBatches((INPUTS,), TARGET, batch_size=16)
    reader = StreamedBatches(source, CPU).walk(0, seed=0)

    assert_same_batches([next(reader) for _ in range(3)], list(whole.walk(0, seed=0))[:3])
    with pytest.raises(OSError, match="the disk is gone"):
        next(reader)
    assert streaming_threads() == []


def test_an_error_of_the_source_ends_training() -> None:
    source = Breaks((INPUTS, CODES), TARGET, batch_size=16)

    with pytest.raises(OSError, match="the disk is gone"):
        trained(StreamedBatches(source, CPU))

    assert streaming_threads() == []


def test_training_that_ends_early_ends_the_thread() -> None:
    class StopSoon(Callback):
        def step_ended(self, run: Run) -> None:
            if run.step == 2:
                run.stop("for a test")

    _, history = trained(streamed(batch_size=4), StopSoon())

    assert len(history.step_losses) == 2
    assert streaming_threads() == []


def test_training_that_diverges_ends_the_thread() -> None:
    target = TARGET.clone()
    target[:] = torch.nan

    with pytest.raises(DivergenceError):
        trained(StreamedBatches(TensorBatches((INPUTS, CODES), target, batch_size=4), CPU))

    assert streaming_threads() == []


def test_a_sweep_over_learning_rates_ends_the_thread() -> None:
    with seeded(0):
        trainer = Trainer(Network(), squared_error, options=TrainingOptions())

    curve = find_learning_rate(trainer, streamed(batch_size=4), n_steps=30)
    plain_curve = find_learning_rate(trainer, plain(batch_size=4), n_steps=30)

    assert len(curve.losses) == len(plain_curve.losses)
    assert streaming_threads() == []


def test_on_the_cpu_everything_fits() -> None:
    assert fits_on(CPU, INPUTS, TARGET)
