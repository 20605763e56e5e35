"""Training on a GPU: nothing waits for it, memory may run out, and results are the CPU's."""

import threading
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tabtext.errors import DivergenceError, TabTextWarning
from tabtext.training.averaging import ExponentialAverage
from tabtext.training.batches import Batch, Batches, TensorBatches
from tabtext.training.callbacks import Callback
from tabtext.training.checkpoint import Checkpoints
from tabtext.training.devices import choose_device
from tabtext.training.history import History
from tabtext.training.losses import Loss, squared_error
from tabtext.training.lr_finder import find_learning_rate
from tabtext.training.options import TrainingOptions
from tabtext.training.reproducibility import seeded
from tabtext.training.run import Run
from tabtext.training.streaming import StreamedBatches, fits_on
from tabtext.training.trainer import Trainer

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU"),
    # Said by the thread of backward passes, when the first product of a process is its.
    pytest.mark.filterwarnings("ignore:Attempting to run cuBLAS"),
]

GPU = torch.device("cuda", 0)
CPU = torch.device("cpu")
MIB = 2**20

N_ROWS, BATCH_SIZE = 12 * 1024, 1024  # so many rows that an epoch is gathered in two parts
INPUTS = torch.randn(N_ROWS, 4, generator=torch.Generator().manual_seed(0))
CODES = torch.arange(N_ROWS) % 7
TARGET = INPUTS @ torch.tensor([[1.0], [-2.0], [0.5], [0.0]]) + CODES[:, None] / 7
WEIGHT = torch.linspace(0.5, 1.5, N_ROWS)


class Network(nn.Module):
    """An embedding, batch norm and, if asked for, dropout: what tabular networks are made of."""

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        self.embedding = nn.Embedding(7, 3)
        # A bias before batch norm would get nothing but rounding errors for a gradient, of which
        # Adam makes steps of full length.
        linear = nn.Linear(7, 32, bias=False)
        self.layers = nn.Sequential(linear, nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(dropout))
        self.head = nn.Linear(32, 1)

    def forward(self, inputs: Tensor, codes: Tensor) -> Tensor:
        raw: Tensor = self.head(self.layers(torch.cat([inputs, self.embedding(codes)], dim=1)))
        return raw


class Line(nn.Module):
    """A linear model, whose sums add in the same order every time."""

    def __init__(self) -> None:
        super().__init__()
        self.line = nn.Linear(4, 1)

    def forward(self, inputs: Tensor, codes: Tensor) -> Tensor:
        raw: Tensor = self.line(inputs)
        return raw


def batches(
    device: torch.device = GPU,
    *,
    n_rows: int = N_ROWS,
    batch_size: int = BATCH_SIZE,
    weighted: bool = False,
    target: Tensor = TARGET,
) -> TensorBatches:
    return TensorBatches(
        (INPUTS[:n_rows].to(device), CODES[:n_rows].to(device)),
        target[:n_rows].to(device),
        WEIGHT[:n_rows].to(device) if weighted else None,
        batch_size=batch_size,
        shuffle=True,
    )


def make_trainer(
    *callbacks: Callback,
    model: nn.Module | None = None,
    device: torch.device = GPU,
    loss: Loss = squared_error,
    checkpoints: Checkpoints | None = None,
    **options: Any,
) -> Trainer:
    """A trainer of the same weights whatever the device: they are drawn on the CPU."""
    if model is None:
        with seeded(0):
            model = Network()
    settings = {"epochs": 2, "learning_rate": 0.01, "precision": "fp32", "compile": "never"}
    return Trainer(
        model.to(device),
        loss,
        options=TrainingOptions(**{**settings, **options}),
        callbacks=callbacks,
        checkpoints=checkpoints,
    )


def fit(
    train: Batches, *callbacks: Callback, device: torch.device = GPU, **options: Any
) -> tuple[nn.Module, History]:
    trainer = make_trainer(*callbacks, device=device, **options)
    with seeded(1, device):
        history = trainer.fit(train)
    return trainer.model, history


def assert_close_weights(one: nn.Module, other: nn.Module, *, atol: float, rtol: float) -> None:
    for name, mine in one.state_dict().items():
        its = other.state_dict()[name]
        torch.testing.assert_close(mine.cpu(), its.cpu(), atol=atol, rtol=rtol, msg=name)


# ---------------------------------------------------------------------------------- never waiting


class NoWaiting(Callback):
    """Makes every wait for the device an error, from the end of one step to that of another."""

    def __init__(self, first: int, last: int) -> None:
        self.first, self.last = first, last
        self.steps = 0

    def step_ended(self, run: Run) -> None:
        self.steps += torch.cuda.get_sync_debug_mode() == 2
        if run.step == self.first:
            torch.cuda.set_sync_debug_mode("error")
        elif run.step == self.last:
            torch.cuda.set_sync_debug_mode("default")

    def fit_ended(self, run: Run) -> None:
        torch.cuda.set_sync_debug_mode("default")


# torch says with a warning that the mode is a prototype; here warnings are errors.
no_prototype_warning = pytest.mark.filterwarnings("ignore:Synchronization debug mode")


@no_prototype_warning
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_no_step_waits_for_the_device(precision: str, optimizer: str) -> None:
    no_waiting = NoWaiting(3, 10)

    fit(batches(), no_waiting, precision=precision, optimizer=optimizer)

    assert no_waiting.steps == 7  # 4 to 10


@no_prototype_warning
@pytest.mark.parametrize(
    "options",
    [
        {"clip_norm": 0.1, "clip_value": 0.01},
        {"clip_norm": None},
        {"micro_batch_size": 256},
        {"averaging": "ema"},
        {"group_ratio": "text", "schedule": "cosine"},
        {"max_time": "1h"},
    ],
    ids=lambda options: ", ".join(options),
)
def test_no_practice_makes_a_step_wait(options: dict[str, Any]) -> None:
    no_waiting = NoWaiting(3, 10)

    fit(batches(weighted=True), no_waiting, **options)

    assert no_waiting.steps == 7


@no_prototype_warning
def test_a_step_that_waits_would_be_found() -> None:
    class Waits(Callback):
        def step_ended(self, run: Run) -> None:
            float(next(run.model.parameters()).detach().sum())

    with pytest.raises(RuntimeError, match="synchronizing CUDA operation"):
        fit(batches(), NoWaiting(3, 10), Waits())

    assert torch.cuda.get_sync_debug_mode() == 0


# ------------------------------------------------------------------------------------- the results


def test_weights_are_nearly_those_of_a_training_on_the_cpu() -> None:
    on_gpu, gpu_history = fit(batches(GPU))
    on_cpu, cpu_history = fit(batches(CPU), device=CPU)

    assert gpu_history.step_losses == pytest.approx(cpu_history.step_losses, rel=1e-3)
    assert gpu_history.step_gradient_norms == pytest.approx(
        cpu_history.step_gradient_norms, rel=1e-2
    )
    assert gpu_history.step_learning_rates == cpu_history.step_learning_rates
    assert_close_weights(on_gpu, on_cpu, atol=1e-3, rtol=1e-2)


@pytest.mark.parametrize("precision", ["auto", "fp32", "bf16", "fp16"])
def test_every_precision_learns(precision: str) -> None:
    _, history = fit(batches(), epochs=8, precision=precision)

    assert history.epochs[-1].train_loss < 0.1 * history.epochs[0].train_loss


def test_tf32_learns_and_leaves_torchs_setting_as_it_was() -> None:
    if torch.cuda.get_device_capability(GPU) < (8, 0):
        pytest.skip("tf32 came with compute capability 8.0")
    seen: list[str] = []
    before = torch.get_float32_matmul_precision()

    class Look(Callback):
        def step_ended(self, run: Run) -> None:
            seen.append(torch.get_float32_matmul_precision())

    _, history = fit(batches(), Look(), epochs=8, precision="tf32")

    assert set(seen) == {"high"}
    assert torch.get_float32_matmul_precision() == before
    assert history.epochs[-1].train_loss < 0.1 * history.epochs[0].train_loss


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_mixed_precision_computes_in_half_and_keeps_weights_whole(precision: str) -> None:
    dtypes: set[torch.dtype] = set()
    model = Network()
    model.head.register_forward_hook(lambda module, given, raw: dtypes.add(raw.dtype))

    fit(batches(), model=model, epochs=1, precision=precision)

    assert dtypes == {torch.bfloat16 if precision == "bf16" else torch.float16}
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_optimizers_are_fused(optimizer: str) -> None:
    seen: list[torch.optim.Optimizer] = []

    class Look(Callback):
        def fit_started(self, run: Run) -> None:
            seen.append(run.optimizer)

    fit(batches(), Look(), epochs=1, optimizer=optimizer)

    assert all(group["fused"] for group in seen[0].param_groups)


def test_micro_batches_take_the_step_of_the_whole_batch() -> None:
    whole, whole_history = fit(batches(), model=line(), optimizer="sgd")
    parts, parts_history = fit(batches(), model=line(), optimizer="sgd", micro_batch_size=100)

    assert parts_history.step_losses == pytest.approx(whole_history.step_losses, rel=1e-4)
    assert_close_weights(parts, whole, atol=1e-5, rtol=1e-4)


def line() -> Line:
    with seeded(0):
        return Line()


def test_prediction_stays_on_the_device() -> None:
    trainer = make_trainer()

    raw = trainer.predict([INPUTS[:100].to(GPU), CODES[:100].to(GPU)], batch_size=30)

    assert raw.device == GPU
    assert raw.shape == (100, 1)


def test_auto_chooses_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOCAL_RANK", raising=False)

    assert choose_device("auto").type == "cuda"


# -------------------------------------------------------------------------------- memory runs out


class Wide(nn.Module):
    """A line whose activations take a few times ``mib_per_row`` of memory per row."""

    def __init__(self, mib_per_row: int) -> None:
        super().__init__()
        self.line = nn.Linear(4, 1)
        self.copies = mib_per_row * MIB // 4

    def forward(self, inputs: Tensor, codes: Tensor) -> Tensor:
        wide = self.line(inputs).expand(-1, self.copies).contiguous()
        return wide.tanh().mean(dim=1, keepdim=True)


@pytest.fixture
def little_memory() -> Iterator[None]:
    """About 320 MiB more than is taken now."""
    torch.cuda.synchronize()
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(GPU).total_memory
    allowed = torch.cuda.memory_reserved(GPU) + 320 * MIB
    torch.cuda.set_per_process_memory_fraction(allowed / total, GPU)
    yield
    torch.cuda.set_per_process_memory_fraction(1.0, GPU)
    torch.cuda.empty_cache()


def wide(mib_per_row: int) -> Wide:
    with seeded(0):
        return Wide(mib_per_row)


def few_rows() -> TensorBatches:
    return batches(n_rows=256, batch_size=64, target=TARGET / 10)


def test_out_of_memory_the_batch_goes_through_in_parts_with_one_warning(
    little_memory: None,
) -> None:
    with pytest.warns(TabTextWarning, match="does not hold 64 rows") as caught:
        in_parts, history = fit(few_rows(), model=wide(4), optimizer="sgd")
    # Without the activations the same function needs no more than a number per row.
    plain, plain_history = fit(few_rows(), model=wide_without_width(), optimizer="sgd")

    assert len(caught) == 1
    assert len(history.step_losses) == len(plain_history.step_losses) == 8
    assert history.step_losses == pytest.approx(plain_history.step_losses, rel=1e-3)
    assert_close_weights(in_parts, plain, atol=1e-4, rtol=1e-3)


def wide_without_width() -> Wide:
    model = wide(1)
    model.copies = 1
    return model


def test_what_fits_goes_through_whole(little_memory: None) -> None:
    _, history = fit(few_rows(), model=wide_without_width())  # a warning would be an error

    assert len(history.step_losses) == 8


def test_where_not_even_a_row_fits_memorys_own_error_is_raised(little_memory: None) -> None:
    with pytest.raises(torch.OutOfMemoryError):
        fit(few_rows(), model=wide(400))


# ------------------------------------------------------------------------------------- streaming


def test_streamed_batches_are_those_on_the_device() -> None:
    streamed = StreamedBatches(batches(CPU, weighted=True), GPU)

    pairs = zip(streamed.walk(1, seed=3), batches(GPU, weighted=True).walk(1, seed=3), strict=True)

    for one, other in pairs:
        assert_same_batch(one, other)


def assert_same_batch(one: Batch, other: Batch) -> None:
    tensors = [(*batch.inputs, batch.target, batch.weight) for batch in (one, other)]
    for mine, its in zip(*tensors, strict=True):
        assert mine is not None
        assert its is not None
        assert mine.device == GPU
        assert torch.equal(mine, its)


def test_streamed_batches_stay_whole_while_the_device_is_busy_with_them() -> None:
    # Memory that is handed back too early would be overwritten by the batches that follow.
    streamed = StreamedBatches(batches(CPU, batch_size=64), GPU)
    heavy = torch.randn(2048, 2048, device=GPU)

    sums = []
    for batch in streamed.walk(0, seed=3):
        for _ in range(5):
            heavy = (heavy @ heavy).tanh()
        sums.append(batch.inputs[0].double().sum() + 0.0 * heavy[0, 0])
    on_device = [b.inputs[0].double().sum() for b in batches(GPU, batch_size=64).walk(0, seed=3)]

    torch.testing.assert_close(torch.stack(sums), torch.stack(on_device))


def test_training_with_streamed_batches_equals_training_on_the_device() -> None:
    on_device, device_history = fit(batches(GPU), model=line())
    streamed, history = fit(StreamedBatches(batches(CPU), GPU), model=line())

    assert history.step_losses == pytest.approx(device_history.step_losses, rel=1e-5)
    assert_close_weights(streamed, on_device, atol=1e-6, rtol=1e-5)


def test_leaving_a_stream_in_the_middle_ends_its_thread() -> None:
    reader = StreamedBatches(batches(CPU, batch_size=64), GPU).walk(0, seed=0)
    first = list(islice(reader, 3))

    reader.close()

    assert len(first) == 3
    assert not [t for t in threading.enumerate() if t.name.startswith("tabtext-stream")]


def test_only_what_is_smaller_than_half_of_the_free_memory_fits() -> None:
    free, _ = torch.cuda.mem_get_info(GPU)
    as_large_as_that = torch.zeros(1).expand(free // 4)  # float32; it takes four bytes itself

    assert fits_on(GPU, INPUTS, TARGET)
    assert not fits_on(GPU, as_large_as_that)


# ---------------------------------------------------------------------------------------- compiled


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # the compiler warns of much that is no concern of ours
@pytest.mark.parametrize("micro_batch_size", [None, 256])
def test_compiled_to_cuda_graphs_the_weights_are_nearly_the_same(
    micro_batch_size: int | None,
) -> None:
    eager, eager_history = fit(batches(), micro_batch_size=micro_batch_size)

    compiled, history = fit(batches(), micro_batch_size=micro_batch_size, compile="always")

    assert history.step_losses == pytest.approx(eager_history.step_losses, rel=1e-2)
    assert_close_weights(compiled, eager, atol=5e-3, rtol=5e-2)


# --------------------------------------------------------------------------------- not a number


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_a_loss_that_is_not_a_number_is_reported_with_its_step(
    precision: str, optimizer: str
) -> None:
    bad_row, step = row_and_step_of_epoch(0)
    target = TARGET.clone()
    target[bad_row] = torch.nan

    with pytest.raises(DivergenceError, match=rf"became nan in epoch 1, step {step + 1},.*target"):
        fit(batches(target=target), precision=precision, optimizer=optimizer)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_the_model_keeps_the_weights_from_before_the_bad_step(optimizer: str) -> None:
    bad_row, step = row_and_step_of_epoch(0)
    target = TARGET.clone()
    target[bad_row] = torch.nan
    trainer = make_trainer(model=line(), optimizer=optimizer)
    before: dict[str, Tensor] = {}

    class Keep(Callback):
        def step_ended(self, run: Run) -> None:
            if run.step == step:
                before.update({n: p.detach().clone() for n, p in run.model.named_parameters()})

    good = make_trainer(Keep(), model=line(), optimizer=optimizer)
    with seeded(1, GPU):
        good.fit(batches())
    with seeded(1, GPU), pytest.raises(DivergenceError):
        trainer.fit(batches(target=target))

    for name, parameter in trainer.model.named_parameters():
        torch.testing.assert_close(parameter.detach(), before[name], atol=1e-6, rtol=1e-5)


def row_and_step_of_epoch(epoch: int) -> tuple[int, int]:
    """A row, and the step of the epoch that has it, in the middle."""
    numbers = torch.arange(N_ROWS)
    walk = TensorBatches((numbers,), numbers, batch_size=BATCH_SIZE, shuffle=True)
    batch = next(walk.walk(epoch, seed=0, start=5))
    return int(batch.target[0]), 5


# -------------------------------------------------------------------------------------- resumption


class Crash(Callback):
    """The machine goes down after so many steps."""

    def __init__(self, after: int) -> None:
        self.after = after

    def step_ended(self, run: Run) -> None:
        if run.step == self.after:
            raise OSError("power cut")


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_resumed_training_ends_as_one_that_was_not_interrupted(
    precision: str, tmp_path: Path
) -> None:
    def trainer(*callbacks: Callback, seed: int = 0) -> Trainer:
        with seeded(seed):
            model = Network(dropout=0.3)
        checkpoints = Checkpoints(tmp_path, every_steps=5) if callbacks or seed else None
        return make_trainer(
            *callbacks, model=model, precision=precision, averaging="ema", checkpoints=checkpoints
        )

    uninterrupted = trainer()
    with seeded(1, GPU):
        history = uninterrupted.fit(batches())
    with seeded(1, GPU), pytest.raises(OSError, match="power cut"):
        trainer(Crash(17)).fit(batches())

    # Other weights and other random numbers: all that counts comes from the checkpoint.
    resumed = trainer(seed=5)
    with seeded(6, GPU):
        resumed_history = resumed.fit(batches(), resume=True)

    assert len(resumed_history.step_losses) == len(history.step_losses) == 24
    assert resumed_history.step_losses == pytest.approx(history.step_losses, rel=1e-3)
    assert_close_weights(resumed.model, uninterrupted.model, atol=1e-3, rtol=1e-2)


# ----------------------------------------------------------------------------- learning-rate finder


def test_a_sweep_leaves_the_devices_random_numbers_and_weights_alone() -> None:
    with seeded(0):
        model = Network(dropout=0.3)
    trainer = make_trainer(model=model)
    weights = [tensor.clone() for tensor in model.state_dict().values()]
    with seeded(1, GPU):
        on_gpu, on_cpu = torch.cuda.get_rng_state(GPU), torch.get_rng_state()

        curve = find_learning_rate(trainer, batches())

        assert torch.equal(torch.cuda.get_rng_state(GPU), on_gpu)
        assert torch.equal(torch.get_rng_state(), on_cpu)
    assert all(
        torch.equal(now, before)
        for now, before in zip(model.state_dict().values(), weights, strict=True)
    )
    assert 1e-4 < curve.steep < 1.0


def test_dropout_would_draw_from_the_devices_generator() -> None:
    with seeded(1, GPU):
        before = torch.cuda.get_rng_state(GPU)
        nn.Dropout(0.3)(torch.ones(10, device=GPU))

        assert not torch.equal(torch.cuda.get_rng_state(GPU), before)


def test_an_average_lives_on_the_device() -> None:
    average = ExponentialAverage()

    fit(batches(), average, epochs=1)

    kept = average.state()["average"]
    assert kept
    assert {tensor.device for tensor in kept} == {GPU}
