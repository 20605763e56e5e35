"""Growing sequences: short and cheap first, whole at the end."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from tabtext.errors import ParameterError
from tabtext.training.batches import Batch, TensorBatches
from tabtext.training.callbacks import Callback
from tabtext.training.losses import cross_entropy, squared_error
from tabtext.training.options import TrainingOptions
from tabtext.training.reproducibility import seeded
from tabtext.training.run import Run
from tabtext.training.schedules import Schedule, constant, linear_warm_up
from tabtext.training.sequence_length import GrowingSequences, length_at
from tabtext.training.trainer import Trainer

N_ROWS, LENGTH = 24, 32
TOKENS = torch.arange(N_ROWS * LENGTH).reshape(N_ROWS, LENGTH) % 50
LABELS = torch.arange(N_ROWS) % 2


def whole_batches(*, shuffle: bool = True) -> TensorBatches:
    return TensorBatches((TOKENS,), LABELS, batch_size=6, shuffle=shuffle)


def growing(
    batches: TensorBatches | None = None,
    *,
    epochs: int = 4,
    shortest: int = 8,
    keep: str = "end",
    growth: Schedule = linear_warm_up,
) -> GrowingSequences:
    return GrowingSequences(
        whole_batches() if batches is None else batches,
        epochs=epochs,
        shortest=shortest,
        longest=LENGTH,
        growth=growth,
        keep=keep,
    )


def assert_same_batches(first: list[Batch], second: list[Batch]) -> None:
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        assert torch.equal(one.inputs[0], other.inputs[0])
        assert torch.equal(one.target, other.target)


class Classifier(nn.Module):
    """Remembers the shapes it was given in training."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(50, 4)
        self.head = nn.Linear(4, 2)
        self.shapes: list[tuple[int, ...]] = []

    def forward(self, tokens: Tensor) -> Tensor:
        if self.training:
            self.shapes.append(tuple(tokens.shape))
        raw: Tensor = self.head(self.embedding(tokens).mean(dim=1))
        return raw


# ---------------------------------------------------------------------------------------- lengths


def test_lengths_grow_from_the_shortest_to_the_longest() -> None:
    lengths = [length_at(step / 20, shortest=16, longest=70) for step in range(21)]

    assert lengths[0] == 16
    assert lengths[-1] == 70
    assert lengths == sorted(lengths)


def test_lengths_on_the_way_are_multiples() -> None:
    lengths = {length_at(step / 100, shortest=5, longest=70, multiple_of=16) for step in range(101)}

    assert lengths == {5, 16, 32, 48, 64, 70}


def test_growth_may_follow_any_schedule() -> None:
    assert [length_at(p, shortest=8, longest=64, growth=constant) for p in (0.0, 0.5)] == [64, 64]
    quadratic = length_at(0.5, shortest=8, longest=72, growth=lambda p: p**2)
    assert quadratic == 24


def test_epochs_after_the_growth_see_whole_sequences() -> None:
    batches = growing(epochs=4)

    assert [batches.length(epoch) for epoch in range(7)] == [8, 16, 24, 32, 32, 32, 32]


def test_a_growth_of_a_single_epoch_sees_whole_sequences() -> None:
    assert growing(epochs=1).length(0) == LENGTH


# ---------------------------------------------------------------------------------------- training


def test_steps_of_early_epochs_see_shorter_inputs_and_validation_whole_ones() -> None:
    validated: list[tuple[int, ...]] = []

    class WatchedInValidation(Classifier):
        def forward(self, tokens: Tensor) -> Tensor:
            if not self.training:
                validated.append(tuple(tokens.shape))
            return super().forward(tokens)

    with seeded(0):
        model = WatchedInValidation()
        trainer = Trainer(model, cross_entropy, options=TrainingOptions(epochs=5))
        trainer.fit(growing(epochs=4), whole_batches(shuffle=False))

    lengths = [8, 16, 24, 32, 32]
    assert model.shapes == [(6, length) for length in lengths for _ in range(4)]
    assert set(validated) == {(6, LENGTH)}


def test_the_cost_of_a_training_is_as_planned() -> None:
    def tokens_seen(train: TensorBatches | GrowingSequences) -> int:
        with seeded(0):
            model = Classifier()
            Trainer(model, cross_entropy, options=TrainingOptions(epochs=4)).fit(train)
        return sum(rows * length for rows, length in model.shapes)

    whole, grown = tokens_seen(whole_batches()), tokens_seen(growing(epochs=4))

    assert whole == 4 * N_ROWS * LENGTH
    assert grown == N_ROWS * (8 + 16 + 24 + 32)


def test_what_is_told_by_the_kept_part_is_learned() -> None:
    # The last token alone says which class it is; the first ones are the same everywhere.
    tokens = torch.zeros(N_ROWS, LENGTH, dtype=torch.int64)
    tokens[:, -1] = 1 + LABELS
    rows = TensorBatches((tokens,), LABELS, batch_size=6, shuffle=True)

    def first_epochs_loss(keep: str) -> float:
        with seeded(0):
            options = TrainingOptions(epochs=1, learning_rate=0.1, schedule="constant")
            trainer = Trainer(Classifier(), cross_entropy, options=options)
            for _ in range(10):
                history = trainer.fit(growing(rows, epochs=2, keep=keep))
        return history.epochs[-1].train_loss

    assert first_epochs_loss("end") < 0.1
    assert first_epochs_loss("start") > 0.6  # a coin's is 0.69


# ----------------------------------------------------------------------------------------- cutting


@pytest.mark.parametrize(
    ("keep", "kept"), [("start", slice(None, 8)), ("end", slice(LENGTH - 8, None))]
)
def test_the_start_or_the_end_of_a_sequence_is_kept(keep: str, kept: slice) -> None:
    cut = list(growing(keep=keep).walk(0, seed=3))
    whole = list(whole_batches().walk(0, seed=3))

    for short, long in zip(cut, whole, strict=True):
        assert torch.equal(short.inputs[0], long.inputs[0][:, kept])
        assert torch.equal(short.target, long.target)


def test_all_inputs_and_targets_per_token_are_cut_alike() -> None:
    mask, following = TOKENS > 10, TOKENS + 1
    vectors = torch.randn(N_ROWS, LENGTH, 5)
    rows = TensorBatches((TOKENS, mask, vectors), following, batch_size=6, shuffle=True)

    for batch in growing(rows).walk(1, seed=0):
        tokens, kept_mask, kept_vectors = batch.inputs
        assert tokens.shape == kept_mask.shape == (6, 16)
        assert kept_vectors.shape == (6, 16, 5)
        assert torch.equal(batch.target, tokens + 1)
        assert torch.equal(kept_mask, tokens > 10)


def test_targets_per_row_are_left_whole_and_weights_too() -> None:
    targets, weight = torch.randn(N_ROWS, 3), torch.rand(N_ROWS)
    rows = TensorBatches((TOKENS,), targets, weight, batch_size=6)

    cut, whole = list(growing(rows).walk(0, seed=0)), list(rows.walk(0, seed=0))

    for short, long in zip(cut, whole, strict=True):
        assert torch.equal(short.target, long.target)
        assert short.weight is not None
        assert long.weight is not None
        assert torch.equal(short.weight, long.weight)


def test_what_a_batch_asks_of_the_learning_rate_stays() -> None:
    class SmallerSteps(TensorBatches):
        def walk(self, epoch: int, *, seed: int, start: int = 0) -> Iterator[Batch]:
            for batch in super().walk(epoch, seed=seed, start=start):
                yield replace(batch, rate_factor=0.5)

    rows = SmallerSteps((TOKENS,), TOKENS + 1, batch_size=6)

    assert {batch.rate_factor for batch in growing(rows).walk(0, seed=0)} == {0.5}


def test_targets_per_token_are_cut_where_all_sequences_are_shorter_than_the_longest() -> None:
    tokens = TOKENS[:, :20]
    rows = TensorBatches((tokens,), tokens + 1, batch_size=6)

    for epoch in range(4):
        for batch in growing(rows).walk(epoch, seed=0):
            assert batch.inputs[0].shape[1] == min(growing(rows).length(epoch), 20)
            assert torch.equal(batch.target, batch.inputs[0] + 1)


# ------------------------------------------------------------------------- what all batches promise


@pytest.mark.parametrize("start", [0, 1, 3, 4])
def test_a_walk_that_begins_midway_is_the_tail_of_the_whole(start: int) -> None:
    batches = growing()

    tail = list(batches.walk(1, seed=5, start=start))

    assert_same_batches(tail, list(batches.walk(1, seed=5))[start:])


def test_what_is_left_of_an_epoch_has_the_length_of_that_epoch() -> None:
    class Seen(Callback):
        lengths: tuple[int, ...] = ()

        def step_ended(self, run: Run) -> None:
            left = next(run.batches_left(), None)
            self.lengths += () if left is None else (left.inputs[0].shape[1],)

    seen = Seen()
    options = TrainingOptions(epochs=2)
    with seeded(0):
        Trainer(Classifier(), cross_entropy, options=options, callbacks=[seen]).fit(
            growing(epochs=2)
        )

    assert seen.lengths == (8, 8, 8, 32, 32, 32)


def test_shards_are_the_shards_of_what_is_cut() -> None:
    twice_as_large = TensorBatches((TOKENS,), LABELS, batch_size=12, shuffle=True)
    whole = list(growing(twice_as_large).walk(1, seed=0))

    parts = [list(growing().shard(rank, 2).walk(1, seed=0)) for rank in range(2)]

    assert {batch.inputs[0].shape for part in parts for batch in part} == {(6, 16)}
    for batch, first, second in zip(whole, *parts, strict=True):
        assert torch.equal(batch.inputs[0][0::2], first.inputs[0])
        assert torch.equal(batch.inputs[0][1::2], second.inputs[0])


def test_counts_are_those_of_the_batches() -> None:
    assert growing().n_rows == N_ROWS
    assert len(growing()) == len(whole_batches()) == 4


def test_a_run_is_not_resumed_with_another_growth() -> None:
    prints = {
        whole_batches().fingerprint(),
        growing().fingerprint(),
        growing(epochs=5).fingerprint(),
        growing(shortest=16).fingerprint(),
        growing(keep="start").fingerprint(),
        growing(growth=lambda p: p**2).fingerprint(),
    }

    assert len(prints) == 6
    assert growing().fingerprint() == growing().fingerprint()


# ------------------------------------------------------------------------------------------ errors


@pytest.mark.parametrize(("shortest", "longest"), [(0, 10), (11, 10), (-1, 10)])
def test_lengths_that_do_not_grow_are_refused(shortest: int, longest: int) -> None:
    with pytest.raises(ParameterError, match="1 <= shortest <= longest"):
        GrowingSequences(whole_batches(), epochs=2, shortest=shortest, longest=longest)


@pytest.mark.parametrize(("keep", "epochs"), [("middle", 2), ("end", 0)])
def test_an_unknown_part_or_no_epochs_are_refused(keep: str, epochs: int) -> None:
    with pytest.raises(ParameterError, match="keep is 'start' or 'end', epochs at least 1"):
        GrowingSequences(whole_batches(), epochs=epochs, shortest=8, longest=32, keep=keep)


def test_growing_sequences_of_numbers_train_a_regression() -> None:
    series = torch.randn(N_ROWS, LENGTH, generator=torch.Generator().manual_seed(0))
    target = series.mean(dim=1, keepdim=True) + 3.0

    class Mean(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.line = nn.Linear(1, 1)

        def forward(self, values: Tensor) -> Tensor:
            raw: Tensor = self.line(values.mean(dim=1, keepdim=True))
            return raw

    rows = TensorBatches((series,), target, batch_size=6, shuffle=True)
    with seeded(0):
        options = TrainingOptions(epochs=30, learning_rate=0.3)
        history = Trainer(Mean(), squared_error, options=options).fit(growing(rows, epochs=10))

    assert history.epochs[-1].train_loss < 0.05 * history.epochs[0].train_loss
