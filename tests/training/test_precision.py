"""Number formats: what computes in which, and that fp16 neither overflows nor underflows."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tabtext.errors import DivergenceError, ParameterError
from tabtext.training.batches import TensorBatches
from tabtext.training.callbacks import Callback
from tabtext.training.history import History
from tabtext.training.losses import Loss, squared_error
from tabtext.training.options import PrecisionName, TrainingOptions
from tabtext.training.precision import Precision
from tabtext.training.reproducibility import seeded
from tabtext.training.run import Run
from tabtext.training.trainer import Trainer

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
INPUTS = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))
TARGET = INPUTS @ torch.tensor([[1.0], [-2.0], [0.5]])


class Scale(Callback):
    """Begins with a scale of its own, and notes scale and weights after every step."""

    def __init__(self, first: float) -> None:
        self.first = first
        self.scales: list[float] = []
        self.weights: list[list[Tensor]] = []

    def fit_started(self, run: Run) -> None:
        run.precision.load_state({**run.precision.state(), "scale": self.first})
        self._note(run)

    def step_ended(self, run: Run) -> None:
        self._note(run)

    def _note(self, run: Run) -> None:
        self.scales.append(run.precision.scaler.get_scale())
        self.weights.append([p.detach().clone() for p in run.model.parameters()])

    def moved_in(self, step: int) -> bool:
        """Whether the weights changed in a step, counted from 0."""
        pairs = zip(self.weights[step], self.weights[step + 1], strict=True)
        return any(not torch.equal(before, after) for before, after in pairs)


class SquareRootOfSquare(nn.Module):
    """At 0 its output is finite, and its gradient is not."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, inputs: Tensor) -> Tensor:
        return (inputs[:, :1] * self.weight).square().sqrt()


def network() -> nn.Sequential:
    with seeded(0):
        return nn.Sequential(nn.Linear(3, 16), nn.ReLU(), nn.Linear(16, 1))


def batches(batch_size: int = 16) -> TensorBatches:
    return TensorBatches((INPUTS,), TARGET, batch_size=batch_size)


def fit(
    precision: PrecisionName,
    *callbacks: Callback,
    model: nn.Module | None = None,
    loss: Loss = squared_error,
    valid: TensorBatches | None = None,
    **options: Any,
) -> History:
    trainer = Trainer(
        network() if model is None else model,
        loss,
        options=TrainingOptions(precision=precision, **options),
        callbacks=callbacks,
    )
    return trainer.fit(batches(), valid)


def a_gpu(monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int]) -> None:
    """Answer questions about the GPU as one of that generation would."""
    monkeypatch.setattr("torch.cuda.get_device_capability", lambda device: capability)
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda: capability >= (8, 0))


# --------------------------------------------------------------------------- what a device offers


def test_auto_on_the_cpu_is_fp32() -> None:
    precision = Precision("auto", CPU)

    assert precision.name == "fp32"
    assert not precision.is_mixed
    assert not precision.scales


@pytest.mark.parametrize(("capability", "name"), [((7, 5), "fp32"), ((8, 0), "tf32")])
def test_auto_on_a_gpu_is_tf32_where_there_is_such_a_thing(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], name: str
) -> None:
    a_gpu(monkeypatch, capability)

    assert Precision("auto", CUDA).name == name


def test_tf32_on_the_cpu_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"tf32.*training is on cpu; use 'auto'"):
        fit("tf32")


def test_formats_that_an_old_gpu_lacks_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    a_gpu(monkeypatch, (7, 5))

    with pytest.raises(ParameterError, match=r"tf32.*compute capability 8\.0"):
        Precision("tf32", CUDA)
    with pytest.raises(ParameterError, match=r"bf16.*use 'fp16'"):
        Precision("bf16", CUDA)


def test_tf32_is_on_while_a_run_lasts_and_off_again_after_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    a_gpu(monkeypatch, (8, 0))
    precision = Precision("tf32", CUDA)

    def fails_within() -> None:
        with precision.active():
            assert torch.get_float32_matmul_precision() == "high"
            raise RuntimeError("in the run")

    before = torch.get_float32_matmul_precision()
    with pytest.raises(RuntimeError, match="in the run"):
        fails_within()

    assert torch.get_float32_matmul_precision() == before == "highest"


def test_fp32_leaves_the_setting_of_matrix_products_alone() -> None:
    with Precision("fp32", CPU).active():
        assert torch.get_float32_matmul_precision() == "highest"


# ------------------------------------------------------------------------------ what computes how


@pytest.mark.parametrize(
    ("precision", "dtype"),
    [("fp32", torch.float32), ("bf16", torch.bfloat16), ("fp16", torch.float16)],
)
def test_layers_compute_in_the_format_while_weights_and_loss_stay_single(
    precision: PrecisionName, dtype: torch.dtype
) -> None:
    model = network()
    inner: list[torch.dtype] = []
    model[0].register_forward_hook(lambda layer, args, output: inner.append(output.dtype))
    outer: list[torch.dtype] = []

    def loss(raw: Tensor, target: Tensor) -> Tensor:
        losses = squared_error(raw, target)
        outer.extend([raw.dtype, losses.dtype])
        return losses

    fit(precision, model=model, loss=loss, valid=batches(), epochs=1)

    assert len(inner) == 8  # four batches of training, four of validation
    assert set(inner) == {dtype}
    assert set(outer) == {torch.float32}
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_a_mixed_run_learns_nearly_what_a_single_one_does(precision: PrecisionName) -> None:
    single = fit("fp32", epochs=10, learning_rate=0.02)
    # A scale at which nothing overflows: a skipped step would put the runs out of step.
    scale = [Scale(2.0**10)] if precision == "fp16" else []
    mixed = fit(precision, *scale, epochs=10, learning_rate=0.02)

    assert mixed.step_losses != single.step_losses
    assert mixed.step_losses == pytest.approx(single.step_losses, rel=0.1, abs=0.05)


# ------------------------------------------------------------------------------------- the scaler


def test_a_gradient_that_overflows_skips_its_step_and_halves_the_scale() -> None:
    scale = Scale(2.0**20)

    history = fit("fp16", scale, epochs=5)

    skipped = [step for step in range(20) if scale.scales[step + 1] < scale.scales[step]]
    assert skipped[:4] == [0, 1, 2, 3]
    assert len(skipped) < 10
    for step in range(20):
        now, following = scale.scales[step : step + 2]
        assert following == (now / 2 if step in skipped else now)
        assert scale.moved_in(step) == (step not in skipped)
    assert history.epochs[-1].train_loss < history.epochs[0].train_loss


def test_momentum_begins_at_zero_where_the_first_step_was_skipped() -> None:
    # Without its own memory, torch's fused SGD would begin with what was left there by others.
    scale = Scale(2.0**20)
    left_over = [torch.full((48,), 1e30) for _ in range(100)]
    del left_over

    history = fit("fp16", scale, optimizer="sgd", learning_rate=0.01, epochs=5)

    assert not scale.moved_in(0)
    assert history.epochs[-1].train_loss < history.epochs[0].train_loss


def first_norm(scale: float) -> float:
    """Norm of the first gradient, of a loss whose true gradient is about 1e-9."""

    def tiny(raw: Tensor, target: Tensor) -> Tensor:
        return 1e-9 * raw.squeeze(1)

    model = nn.Linear(3, 1)
    history = fit("fp16", Scale(scale), model=model, loss=tiny, epochs=1, learning_rate=1e-9)
    return history.step_gradient_norms[0]


def test_a_small_gradient_survives_with_the_scaler_and_vanishes_without() -> None:
    means = [*INPUTS[:16].mean(dim=0).tolist(), 1.0]

    # The gradient of every row is 1e-9 / 16, where the smallest number of fp16 is 6e-8.
    assert first_norm(2.0**16) == pytest.approx(1e-9 * torch.tensor(means).norm().item(), rel=0.02)
    assert first_norm(1.0) == 0.0


def test_clipping_measures_gradients_at_their_true_size() -> None:
    single = fit("fp32", epochs=1)
    scaled = fit("fp16", Scale(2.0**10), epochs=1)

    assert scaled.step_gradient_norms[0] == pytest.approx(single.step_gradient_norms[0], rel=0.01)


def test_a_gradient_that_is_infinite_at_any_scale_ends_training() -> None:
    inputs = torch.zeros(16 * 40, 1)
    zeros = TensorBatches((inputs,), inputs, batch_size=16)
    model = SquareRootOfSquare()
    trainer = Trainer(model, squared_error, options=TrainingOptions(precision="fp16", epochs=1))

    with pytest.raises(DivergenceError, match="the training gradient became nan"):
        trainer.fit(zeros)

    assert model.weight.item() == 1.0


def test_the_scale_goes_on_from_a_checkpoint() -> None:
    before, after = Precision("fp16", CPU), Precision("fp16", CPU)
    before.load_state({**before.state(), "scale": 2.0**7})

    after.load_state(before.state())

    assert after.scaler.get_scale() == 2.0**7
    assert Precision("bf16", CPU).state() == {}
