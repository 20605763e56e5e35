"""Gradient accumulation: the parts' step is the whole batch's, also when memory runs out."""

import warnings
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from tabtext.errors import TabTextWarning
from tabtext.training import Batch, Callback, History, TensorBatches, Trainer, TrainingOptions
from tabtext.training.losses import squared_error
from tabtext.training.micro_batches import MicroBatches
from tabtext.training.run import Run

GENERATOR = torch.Generator().manual_seed(0)
INPUTS = torch.randn(64, 3, dtype=torch.float64, generator=GENERATOR)
TARGET = INPUTS.square().sum(dim=1, keepdim=True)
WEIGHT = torch.rand(64, dtype=torch.float64, generator=GENERATOR)


class Memory:
    """Room for so many rows at once; it notes the sizes of what came, and of what found room."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.asked: list[int] = []
        self.held: list[int] = []

    def take(self, rows: int) -> None:
        self.asked.append(rows)
        if rows > self.rows:
            raise torch.OutOfMemoryError(f"no memory for {rows} rows")
        self.held.append(rows)


class Tight(nn.Module):
    """A network whose forward passes need memory while it trains."""

    def __init__(self, memory: Memory) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.layers = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1)).double()
        self.memory = memory

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = self.layers[:2](inputs)
        if self.training:
            self.memory.take(len(inputs))
        result: Tensor = self.layers[2](hidden)
        return result


class Sizes(Callback):
    """Note in how many rows at once the run works after every step."""

    def __init__(self) -> None:
        self.rows: list[int | None] = []

    def step_ended(self, run: Run) -> None:
        self.rows.append(run.micro_batches.rows)


def batches(batch_size: int, *, weight: Tensor | None = None) -> TensorBatches:
    return TensorBatches((INPUTS,), TARGET, weight, batch_size=batch_size, shuffle=True)


def trained(
    memory_rows: int,
    *callbacks: Callback,
    batch_size: int = 16,
    weight: Tensor | None = None,
    **options: Any,
) -> tuple[list[Tensor], History, Memory]:
    """Weights after a training with so much memory."""
    memory = Memory(memory_rows)
    model = Tight(memory)
    chosen = TrainingOptions(**{"epochs": 2, "learning_rate": 0.01, **options})
    trainer = Trainer(model, squared_error, options=chosen, callbacks=callbacks)
    history = trainer.fit(batches(batch_size, weight=weight))
    return [parameter.detach() for parameter in model.parameters()], history, memory


def gradients(model: nn.Module) -> list[Tensor]:
    return [p.grad.clone() for p in model.parameters() if p.grad is not None]


def one_step(
    micro_batches: MicroBatches, batch: Batch, memory: Memory
) -> tuple[Tensor, list[Tensor]]:
    """Loss and gradients of a batch, accumulated."""
    model = Tight(memory)

    def backward(part: Batch, is_last: bool) -> Tensor:
        loss = part.mean(squared_error(model(*part.inputs), part.target))
        torch.autograd.backward(loss)
        return loss.detach()

    loss = micro_batches.run(batch, backward, restart=model.zero_grad)
    return loss, gradients(model)


# ------------------------------------------------------------------------------------ accumulation


@given(
    n_rows=st.integers(1, 64),
    at_most=st.integers(1, 70),
    weights=st.sampled_from(["none", "any", "zeros"]),
)
def test_the_parts_gradients_add_up_to_that_of_the_whole_batch(
    n_rows: int, at_most: int, weights: str
) -> None:
    weight = {"none": None, "any": WEIGHT, "zeros": (WEIGHT > 0.5).double()}[weights]
    batch = Batch((INPUTS[:n_rows],), TARGET[:n_rows], None if weight is None else weight[:n_rows])

    whole_loss, whole = one_step(MicroBatches(None), batch, Memory(64))
    loss, accumulated = one_step(MicroBatches(at_most), batch, memory := Memory(at_most))

    assert sum(memory.held) == n_rows
    torch.testing.assert_close(loss, whole_loss, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(accumulated, whole, rtol=1e-12, atol=1e-14)


def test_only_the_last_part_is_called_the_last() -> None:
    calls: list[tuple[int, bool]] = []

    def backward(part: Batch, is_last: bool) -> Tensor:
        calls.append((len(part), is_last))
        return torch.zeros(())

    MicroBatches(6).run(Batch((INPUTS,), TARGET), backward, restart=lambda: None)

    assert calls == [(6, False)] * 9 + [(5, False), (5, True)]


@pytest.mark.parametrize("weight", [None, WEIGHT])
@pytest.mark.parametrize("clip_norm", [None, 0.1])
def test_a_training_in_parts_ends_at_the_same_weights(
    weight: Tensor | None, clip_norm: float | None
) -> None:
    # 64 rows in batches of 15: the parts of 5 divide most batches, and not the last one of 4.
    whole, whole_history, _ = trained(64, batch_size=15, weight=weight, clip_norm=clip_norm)
    parts, history, memory = trained(
        5, batch_size=15, weight=weight, clip_norm=clip_norm, micro_batch_size=5
    )

    assert set(memory.asked) == {4, 5}
    torch.testing.assert_close(parts, whole, rtol=0, atol=1e-10)
    assert history.step_losses == pytest.approx(whole_history.step_losses, rel=1e-9)
    assert history.step_gradient_norms == pytest.approx(whole_history.step_gradient_norms, rel=1e-9)


def test_terms_that_modules_add_to_the_loss_count_once_per_batch() -> None:
    class Regularised(Tight):
        def forward(self, inputs: Tensor) -> Tensor:
            self.output = super().forward(inputs)
            return self.output

        def extra_loss(self) -> Tensor:
            return self.output.square().mean()

    def weights(micro_batch_size: int | None) -> list[Tensor]:
        model = Regularised(Memory(64))
        options = TrainingOptions(epochs=2, micro_batch_size=micro_batch_size)
        Trainer(model, squared_error, options=options).fit(batches(16))
        return [parameter.detach() for parameter in model.parameters()]

    torch.testing.assert_close(weights(5), weights(None), rtol=0, atol=1e-10)


# --------------------------------------------------------------------------------- out of memory


def test_parts_are_halved_until_they_fit_and_the_gradient_is_the_wholes() -> None:
    batch = Batch((INPUTS[:50],), TARGET[:50], WEIGHT[:50])
    whole_loss, whole = one_step(MicroBatches(None), batch, Memory(64))

    micro_batches, memory = MicroBatches(None), Memory(8)
    told = r"does not hold 50 rows at once.* parts of 7 or fewer.* micro_batch_size=7 does so"
    with pytest.warns(TabTextWarning, match=told):
        loss, accumulated = one_step(micro_batches, batch, memory)

    assert memory.asked[:4] == [50, 25, 13, 7]
    assert sum(memory.held) == 50
    assert micro_batches.rows == 7
    torch.testing.assert_close(loss, whole_loss, rtol=1e-12, atol=0)
    torch.testing.assert_close(accumulated, whole, rtol=1e-12, atol=1e-14)


def test_memory_that_runs_out_midway_does_not_count_the_first_parts_twice() -> None:
    class Shrinking(Memory):
        """A neighbour takes most of the memory after two parts."""

        def take(self, rows: int) -> None:
            super().take(rows)
            if len(self.held) == 2:
                self.rows = 4

    batch = Batch((INPUTS,), TARGET)
    whole_loss, whole = one_step(MicroBatches(None), batch, Memory(64))

    with pytest.warns(TabTextWarning):
        loss, accumulated = one_step(MicroBatches(16), batch, memory := Shrinking(16))

    assert memory.held == [16, 16] + [4] * 16
    torch.testing.assert_close(loss, whole_loss, rtol=1e-12, atol=0)
    torch.testing.assert_close(accumulated, whole, rtol=1e-12, atol=1e-14)


def test_a_training_that_runs_out_of_memory_ends_at_the_undisturbed_weights() -> None:
    undisturbed, undisturbed_history, _ = trained(64)
    sizes = Sizes()

    with pytest.warns(TabTextWarning):
        recovered, history, memory = trained(5, sizes)

    torch.testing.assert_close(recovered, undisturbed, rtol=0, atol=1e-10)
    assert history.step_losses == pytest.approx(undisturbed_history.step_losses, rel=1e-9)
    assert memory.asked[:3] == [16, 8, 4]
    assert set(memory.held) == {4}
    assert sizes.rows == [4] * 8


def test_running_out_of_memory_is_told_once_over_many_batches() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        trained(3, epochs=3)

    (only,) = caught
    assert only.category is TabTextWarning
    assert "in parts of 2 or fewer, with the same effective batch size" in str(only.message)


def test_memory_that_runs_out_again_later_is_not_told_again() -> None:
    micro_batches = MicroBatches(None)
    with pytest.warns(TabTextWarning):
        one_step(micro_batches, Batch((INPUTS,), TARGET), Memory(40))

    one_step(micro_batches, Batch((INPUTS[:10],), TARGET[:10]), Memory(6))  # warnings are errors

    assert micro_batches.rows == 5


def test_parts_that_their_user_chose_too_large_are_told_of() -> None:
    with pytest.warns(TabTextWarning, match=r"does not hold 8 rows .* micro_batch_size=4 does so"):
        trained(4, micro_batch_size=8)


def test_a_row_that_does_not_fit_is_an_error() -> None:
    with pytest.raises(torch.OutOfMemoryError, match="no memory for 1 rows"):
        trained(0)


def test_without_recovery_running_out_of_memory_is_an_error_at_once() -> None:
    memory = Memory(63)

    with pytest.raises(torch.OutOfMemoryError, match="no memory for 64 rows"):
        one_step(MicroBatches(None, recovers=False), Batch((INPUTS,), TARGET), memory)

    assert memory.asked == [64]


def test_other_errors_are_not_taken_for_a_lack_of_memory() -> None:
    def backward(part: Batch, is_last: bool) -> Tensor:
        raise RuntimeError("something else")

    with pytest.raises(RuntimeError, match="something else"):
        MicroBatches(None).run(Batch((INPUTS,), TARGET), backward, restart=lambda: None)
