"""Training that diverges: what the error names, and that the model stays as it was before.

The tests that take ``way`` run twice: as the CPU does it, which looks at every loss, and as a GPU
does it, which decides on the device and hears of it once per epoch.
"""

import re
from collections.abc import Callable
from math import inf, isfinite, nan
from typing import Any, Literal

import pytest
import torch
from torch import Tensor, nn

from tabtext.errors import DataError, DivergenceError
from tabtext.training.batches import Batch, TensorBatches
from tabtext.training.callbacks import Callback
from tabtext.training.distributed import World
from tabtext.training.losses import Loss, squared_error
from tabtext.training.measurements import Measurements
from tabtext.training.nonfinite import LastGoodBuffers, first_non_finite
from tabtext.training.options import TrainingOptions
from tabtext.training.reproducibility import seeded
from tabtext.training.run import Run
from tabtext.training.trainer import Trainer

BATCH_SIZE, N_BATCHES = 10, 5
BAD_STEP, BAD_ROW = 2, 4  # counted from 0: the fifth row of the third batch
INPUTS = 1 + torch.rand(
    BATCH_SIZE * N_BATCHES, 3, generator=torch.Generator().manual_seed(0)
)  # all positive
TARGET = INPUTS @ torch.tensor([[1.0], [-2.0], [0.5]])

StateDict = dict[str, Tensor]
Way = Literal["at every step", "after the epoch"]


class Logarithm(nn.Module):
    """NaN for what is negative."""

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs.log()


class SquareRootOfSquare(nn.Module):
    """The absolute value, but at 0 its gradient is no number."""

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs.square().sqrt()


class WithState(nn.Module):
    """Gives output and state as recurrent modules do, the state being a logarithm."""

    def forward(self, inputs: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        return inputs, (inputs, inputs.log())


class Reader(nn.Module):
    """Uses the state."""

    def __init__(self) -> None:
        super().__init__()
        self.recurrent = WithState()
        self.head = nn.Linear(3, 1)

    def forward(self, inputs: Tensor) -> Tensor:
        output: Tensor = self.head(self.recurrent(inputs)[1][1])
        return output


class StopAtStep(Callback):
    """Ends a run after a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def step_ended(self, run: Run) -> None:
        if run.step == self.step:
            run.stop("before it gets bad")


class SpoilAfterEpoch(Callback):
    """Makes a row bad once an epoch is over, and notes the buffers as they are by then."""

    def __init__(self, inputs: Tensor) -> None:
        self.inputs = inputs
        self.buffers: list[Tensor] = []

    def epoch_ended(self, run: Run) -> None:
        self.inputs[BAD_STEP * BATCH_SIZE + BAD_ROW, 1] = nan
        self.buffers = [buffer.clone() for buffer in run.model.buffers()]


@pytest.fixture(params=["at every step", "after the epoch"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Way:
    """How the trainer learns that a step was bad."""
    found: Way = request.param
    if found == "after the epoch":
        monkeypatch.setattr(Trainer, "_update", as_on_a_gpu)
    return found


def as_on_a_gpu(
    trainer: Trainer, run: Run, batch: Batch, loss: float, norm: float, rate: float
) -> None:
    on_device = torch.tensor(loss), torch.tensor(norm)
    trainer._update_if_finite(run, *on_device)
    run.measured.add(*on_device, rate)


def network() -> nn.Sequential:
    with seeded(0):
        return nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1))


def spoiled(tensor: Tensor, value: float) -> Tensor:
    """A copy with one bad value, in ``BAD_ROW`` of the batch of ``BAD_STEP``."""
    copy = tensor.clone()
    copy[BAD_STEP * BATCH_SIZE + BAD_ROW, ...] = value
    return copy


def batches(
    inputs: Tensor = INPUTS, target: Tensor = TARGET, weight: Tensor | None = None
) -> TensorBatches:
    return TensorBatches((inputs,), target, weight, batch_size=BATCH_SIZE)


def fit(model: nn.Module, train: TensorBatches, *callbacks: Callback, **options: Any) -> StateDict:
    """Train, and return what the model then is."""
    options = {"epochs": 2, "learning_rate": 0.01, "schedule": "constant", **options}
    trainer = Trainer(model, squared_error, options=TrainingOptions(**options), callbacks=callbacks)
    with seeded(0):
        trainer.fit(train)
    return model.state_dict()


def failure(
    model: nn.Module, train: TensorBatches, *callbacks: Callback, **options: Any
) -> DivergenceError:
    with pytest.raises(DivergenceError) as caught:
        fit(model, train, *callbacks, **options)
    return caught.value


def are_equal(one: StateDict, other: StateDict) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def parameters_of(model: nn.Module) -> StateDict:
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


# ------------------------------------------------------------------------------ what the error says

Case = tuple[Callable[[], nn.Module], TensorBatches, str]


def with_logarithm() -> nn.Module:
    with seeded(0):
        return nn.Sequential(nn.BatchNorm1d(3), nn.Identity(), Logarithm(), nn.Linear(3, 1))


def with_square_root() -> nn.Module:
    with seeded(0):
        return nn.Sequential(nn.Linear(3, 4, bias=False), SquareRootOfSquare(), nn.Linear(4, 1))


def positive_logarithm() -> nn.Module:
    with seeded(0):
        return nn.Sequential(Logarithm(), nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))


CASES: dict[str, Case] = {
    "NaN in an input": (network, batches(inputs=spoiled(INPUTS, nan)), "input 0, row 4"),
    "infinity in a target": (network, batches(target=spoiled(TARGET, inf)), "target, row 4"),
    "infinity in a weight": (
        network,
        batches(weight=spoiled(torch.ones(len(INPUTS)), inf)),
        "weight of rows, row 4",
    ),
    "an output": (
        positive_logarithm,
        batches(inputs=spoiled(INPUTS, -1.0)),
        "output of '0' (Logarithm)",
    ),
    "a gradient only": (
        with_square_root,
        batches(inputs=spoiled(INPUTS, 0.0)),
        "gradient of '0.weight'",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_error_names_step_rate_norm_and_the_first_bad_tensor(case: str, way: Way) -> None:
    new_model, train, named = CASES[case]

    message = str(failure(new_model(), train))

    what = "gradient" if case == "a gradient only" else "loss"
    assert re.search(f"the training {what} became (nan|inf) in epoch 1, step 3, ", message)
    assert "at learning rate 0.01 and gradient norm " in message
    assert f"First tensor that is not finite: {named}. " in message
    assert "The model has the weights from before that step." in message


@pytest.mark.parametrize("case", CASES)
def test_weights_are_as_a_run_leaves_them_that_ends_one_step_earlier(case: str, way: Way) -> None:
    new_model, train, _ = CASES[case]
    model = new_model()

    failure(model, train)

    shorter = new_model()
    fit(shorter, train, StopAtStep(BAD_STEP))
    assert are_equal(parameters_of(model), parameters_of(shorter))
    assert not are_equal(parameters_of(model), parameters_of(new_model()))
    assert all(parameter.isfinite().all() for parameter in model.parameters())


@pytest.mark.parametrize("case", CASES)
def test_batch_norms_are_too(case: str) -> None:
    new_model, train, _ = CASES[case]
    model = new_model()

    failure(model, train)

    assert are_equal(model.state_dict(), fit(new_model(), train, StopAtStep(BAD_STEP)))


def test_a_bad_first_step_leaves_the_model_as_it_was_made(way: Way) -> None:
    inputs = INPUTS.clone()
    inputs[0, 0] = nan
    model = network()

    error = failure(model, batches(inputs=inputs), optimizer="sgd")

    assert "epoch 1, step 1," in str(error)
    assert are_equal(model.state_dict(), network().state_dict())


def test_weights_that_explode_are_found_in_what_they_compute(way: Way) -> None:
    error = failure(network(), batches(), optimizer="sgd", learning_rate=1e30, clip_norm=None)

    assert "epoch 1, step 2, at learning rate 1e+30" in str(error)
    assert "First tensor that is not finite: output of '3' (Linear)" in str(error)
    assert "Lower learning_rate (for example to 1e+29), or set clip_norm" in str(error)


def test_bad_data_are_not_blamed_on_the_learning_rate(way: Way) -> None:
    error = failure(network(), batches(target=spoiled(TARGET, inf)))

    assert str(error).endswith("Clean those values, or leave the rows out")


def test_the_error_is_one_of_data_and_of_arithmetic() -> None:
    error = failure(network(), batches(inputs=spoiled(INPUTS, nan)))

    assert isinstance(error, DataError)
    assert isinstance(error, FloatingPointError)


def test_the_gradients_of_the_bad_step_are_gone(way: Way) -> None:
    model = network()

    failure(model, batches(inputs=spoiled(INPUTS, nan)))

    assert all(parameter.grad is None for parameter in model.parameters())


def test_half_precision_is_searched_in_the_format_that_it_computes_in() -> None:
    # 1e6 is an ordinary number in fp32, and infinite in fp16.
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 1))

    error = failure(model, batches(inputs=spoiled(INPUTS, 1e6)), precision="fp16")

    assert "First tensor that is not finite: output of '0' (Linear)" in str(error)


# ------------------------------------------------------------------- where a GPU hears of it later


@pytest.fixture
def deferred(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the CPU look at its losses once per epoch, as a GPU does."""
    monkeypatch.setattr(Trainer, "_update", as_on_a_gpu)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_as_long_as_all_is_well_both_ways_take_the_same_steps(
    monkeypatch: pytest.MonkeyPatch, optimizer: str
) -> None:
    at_every_step = fit(network(), batches(), optimizer=optimizer)
    monkeypatch.setattr(Trainer, "_update", as_on_a_gpu)
    after_the_epoch = fit(network(), batches(), optimizer=optimizer)

    assert are_equal(after_the_epoch, at_every_step)


@pytest.mark.usefixtures("deferred")
def test_after_a_bad_step_no_other_is_taken() -> None:
    steps: list[StateDict] = []

    class Copies(Callback):
        def step_ended(self, run: Run) -> None:
            steps.append(parameters_of(run.model))

    failure(network(), batches(inputs=spoiled(INPUTS, nan)), Copies())

    assert len(steps) == N_BATCHES  # the epoch goes on
    assert not are_equal(steps[0], steps[BAD_STEP - 1])
    assert all(are_equal(step, steps[BAD_STEP - 1]) for step in steps[BAD_STEP:])


def test_a_bad_step_of_a_later_epoch_is_named_by_its_number_there(way: Way) -> None:
    inputs = INPUTS.clone()

    error = failure(network(), batches(inputs=inputs), SpoilAfterEpoch(inputs), epochs=3)

    assert "epoch 2, step 3," in str(error)
    assert "input 0, row 4" in str(error)


@pytest.mark.usefixtures("deferred")
def test_batch_norms_go_back_to_the_beginning_of_the_epoch() -> None:
    inputs = INPUTS.clone()
    spoil = SpoilAfterEpoch(inputs)
    model = network()

    failure(model, batches(inputs=inputs), spoil, epochs=3)

    assert spoil.buffers
    for buffer, before in zip(model.buffers(), spoil.buffers, strict=True):
        assert torch.equal(buffer, before)


@pytest.mark.usefixtures("deferred")
def test_a_skipped_step_of_fp16_does_not_hide_a_loss_that_is_nan() -> None:
    class HugeScale(Callback):
        def fit_started(self, run: Run) -> None:
            run.precision.load_state({**run.precision.state(), "scale": 2.0**18})

        def step_ended(self, run: Run) -> None:
            norms.append(float(run.measured._new_norms[-1]))

    norms: list[float] = []

    error = failure(network(), batches(inputs=spoiled(INPUTS, nan)), HugeScale(), precision="fp16")

    assert not isfinite(norms[0])  # the first step was skipped
    assert "the training loss became nan in epoch 1, step 3," in str(error)


# ------------------------------------------------------------------------------------- the search


def first_bad(model: nn.Module, inputs: Tensor = INPUTS[:4], *, loss: Loss = squared_error) -> str:
    return first_non_finite(model, loss, Batch((inputs,), torch.zeros(len(inputs), 1)))


def test_a_bad_parameter_is_named_before_what_it_computes() -> None:
    model = network()
    with torch.no_grad():
        model[3].bias.fill_(inf)

    assert first_bad(model) == "parameter '3.bias'"


def test_what_the_model_itself_computes_is_named_as_its_output() -> None:
    class Bare(Logarithm):
        """No module inside of it to blame."""

    assert first_bad(Bare(), -INPUTS[:4]).startswith("output of the model (Bare)")


def test_outputs_within_tuples_are_looked_into() -> None:
    assert first_bad(Reader(), -INPUTS[:4]) == "output of 'recurrent' (WithState)"


def test_a_loss_that_is_bad_all_by_itself_is_named() -> None:
    def loss(raw: Tensor, target: Tensor) -> Tensor:
        return squared_error(raw, target) / 0.0

    assert first_bad(network(), loss=loss) == "the loss, from outputs that are finite"


def test_where_all_is_finite_the_search_says_so() -> None:
    assert first_bad(network()).startswith("none when the step is repeated")


def test_integers_are_never_bad() -> None:
    batch = Batch((torch.tensor([[0, 1], [2, 0]]),), torch.tensor([[nan], [0.0]]))

    assert first_non_finite(nn.Embedding(3, 1), squared_error, batch) == "target, row 0"


def test_the_search_leaves_no_hooks_behind() -> None:
    model = network()

    first_bad(model)

    assert not any(module._forward_hooks for module in model.modules())


def test_good_buffers_are_those_that_were_kept_last() -> None:
    norm = nn.BatchNorm1d(3)
    good = LastGoodBuffers(norm)
    norm(INPUTS)
    good.keep()
    kept = {name: buffer.clone() for name, buffer in norm.named_buffers()}
    norm(torch.full((4, 3), nan))

    good.restore()

    assert are_equal(dict(norm.named_buffers()), kept)
    assert norm.num_batches_tracked == 1


def test_the_first_bad_step_may_be_one_of_loss_or_of_gradient() -> None:
    measured = Measurements(World())
    for loss, norm in ((1.0, 1.0), (1.0, inf), (nan, 1.0)):
        measured.add(loss, norm, 0.1)
    measured.read()

    assert measured.first_bad_step() == 1
    assert measured.first_bad_step(norms_too=False) == 2
