"""torch.compile: when it is used, and that it changes nothing but the time."""

import shutil

import pytest
import torch
from torch import Tensor, nn

from tabtext.training import compilation
from tabtext.training.batches import TensorBatches
from tabtext.training.compilation import compiled
from tabtext.training.losses import squared_error
from tabtext.training.options import Compile, TrainingOptions
from tabtext.training.reproducibility import seeded
from tabtext.training.trainer import Trainer

# torch's compiler imports parts of torch that it has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
A_LOT = 10**6
INPUTS = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))
TARGET = INPUTS @ torch.tensor([[1.0], [-2.0], [0.5]])


def trained(setting: Compile) -> dict[str, Tensor]:
    with seeded(0):
        # A bias before batch norm would have no gradient but rounding, which AdamW magnifies.
        body = nn.Linear(3, 16, bias=False)
        model = nn.Sequential(body, nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 1))
        options = TrainingOptions(epochs=3, learning_rate=0.01, compile=setting)
        batches = TensorBatches((INPUTS,), TARGET, batch_size=16, shuffle=True)
        Trainer(model, squared_error, options=options).fit(batches, batches)
        return model.state_dict()


@pytest.mark.parametrize("n_steps", [1, 1999, 2000, A_LOT])
def test_auto_never_compiles_on_the_cpu(n_steps: int) -> None:
    model = nn.Linear(2, 1)

    assert compiled(model, "auto", CPU, n_steps) is model


def test_auto_compiles_on_a_gpu_from_2000_steps_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compilation, "_has_compilers", lambda: True)
    model = nn.Linear(2, 1)

    assert compiled(model, "auto", CUDA, 1999) is model
    assert compiled(model, "auto", CUDA, 2000) is not model


def test_auto_does_not_compile_without_compilers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compilation, "_has_compilers", lambda: False)
    model = nn.Linear(2, 1)

    assert compiled(model, "auto", CUDA, A_LOT) is model


@pytest.mark.parametrize("device", [CPU, CUDA])
def test_never_and_always_are_meant(device: torch.device) -> None:
    model = nn.Linear(2, 1)

    assert compiled(model, "never", device, A_LOT) is model
    assert compiled(model, "always", device, 1) is not model


def test_a_compiled_model_shares_the_parameters() -> None:
    model = nn.Linear(2, 1)

    wrapped = compiled(model, "always", CPU, 1)

    pairs = zip(wrapped.parameters(), model.parameters(), strict=True)
    assert all(one is other for one, other in pairs)


@pytest.mark.slow
@pytest.mark.skipif(
    not (shutil.which("g++") or shutil.which("clang++")), reason="needs a C++ compiler"
)
def test_a_compiled_model_trains_to_nearly_the_same_weights() -> None:
    eager, fast = trained("never"), trained("always")

    assert eager.keys() == fast.keys()
    for name, tensor in eager.items():
        torch.testing.assert_close(fast[name], tensor, rtol=1e-3, atol=1e-4)
