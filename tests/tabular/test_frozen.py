"""Frozen networks: the outputs of what they were made from, from tables and folded layers."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tabtext.errors import ParameterError
from tabtext.tabular import first_layer
from tabtext.tabular.ensembles import NetworkEnsemble
from tabtext.tabular.frozen import frozen
from tabtext.tabular.members import TabM
from tabtext.tabular.models import EntityEmbeddingMLP, TabularEncoder

CARDINALITIES = [4, 3, 9, 40, 300]
EDGES = [np.linspace(-2, 2, 7), np.array([0.0, 1.0])]


def rows_of(n_rows: int, cardinalities: list[int] = CARDINALITIES) -> tuple[Tensor, Tensor]:
    generator = np.random.default_rng(0)
    codes = generator.integers(0, cardinalities, (n_rows, len(cardinalities)))
    numbers = generator.normal(size=(n_rows, 2)).astype(np.float32)
    return torch.from_numpy(codes.astype(np.int16)), torch.from_numpy(numbers)


def trained(model: Any) -> Any:
    """The model with statistics and weights as if it had been trained."""
    torch.manual_seed(1)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2.0)
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias)
    for name, parameter in model.named_parameters():
        if "scale" in name or name.endswith("categorical.weight"):
            nn.init.normal_(parameter)
    return model.eval()


def tabm(seed: int = 0, *, encoder: dict[str, Any] | None = None, **settings: Any) -> TabM:
    torch.manual_seed(seed)
    options = {"numeric_embedding": "piecewise_linear", "bin_edges": EDGES, **(encoder or {})}
    columns = TabularEncoder(CARDINALITIES, 2, **options)
    given = {"combine": "classes", "hidden": (16, 8), "n_members": 4, **settings}
    model: TabM = trained(TabM(columns, 3, **given))
    return model


def mlp(**settings: Any) -> EntityEmbeddingMLP:
    torch.manual_seed(0)
    given = {"hidden": (16, 8), **settings}
    model: EntityEmbeddingMLP = trained(EntityEmbeddingMLP(CARDINALITIES, 2, 2, **given))
    return model


MODELS = {
    "tabm": lambda: tabm(),
    "linear members": lambda: tabm(hidden=()),
    "labels": lambda: tabm(combine="labels", activation="mish"),
    "learned activation": lambda: tabm(activation="parametric_mish"),
    "spectral norm": lambda: tabm(spectral_norm=True, parametrization="ntp"),
    "plain numbers": lambda: tabm(encoder={"numeric_embedding": "none", "bin_edges": None}),
    "periodic": lambda: tabm(encoder={"numeric_embedding": "periodic", "bin_edges": None}),
    "scales and indicators": lambda: tabm(encoder={"feature_scales": True, "one_hot_up_to": 8}),
    "mlp": lambda: mlp(),
    "linear mlp": lambda: mlp(hidden=()),
    "ensemble": lambda: NetworkEnsemble([tabm(1), tabm(2)], combine="classes").eval(),
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("n_rows", [1, 1500])
@torch.no_grad()
def test_a_frozen_network_returns_what_the_network_does(name: str, n_rows: int) -> None:
    model, rows = MODELS[name](), rows_of(n_rows)

    torch.testing.assert_close(frozen(model)(*rows), model(*rows), rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_columns_too_large_for_a_table_are_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_layer, "_MOST_BYTES", 4 * 64 * 39)
    model, rows = tabm(), rows_of(20)

    fast = frozen(model)

    assert [column for column, _ in fast.first.others] == [3, 4]  # type: ignore[union-attr]
    torch.testing.assert_close(fast(*rows), model(*rows), rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_several_threads_write_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    model, rows = tabm(), rows_of(1500)
    expected = frozen(model)(*rows)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)

    assert torch.equal(frozen(model)(*rows), expected)


@torch.no_grad()
def test_a_model_without_categories_or_without_numbers_is_frozen_too() -> None:
    codes, numbers = rows_of(9)
    only_codes = trained(EntityEmbeddingMLP(CARDINALITIES, 0, 1, hidden=(8,)))
    only_numbers = trained(EntityEmbeddingMLP([], 2, 1, hidden=(8,)))

    for model, rows in (
        (only_codes, (codes, numbers[:, :0])),
        (only_numbers, (codes[:, :0], numbers)),
    ):
        torch.testing.assert_close(frozen(model)(*rows), model(*rows), rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_a_network_is_frozen_once_and_again_when_its_weights_change() -> None:
    model, rows = tabm(), rows_of(5)
    first = frozen(model)
    assert frozen(model) is first

    model.head.bias.add_(torch.arange(3.0))

    torch.testing.assert_close(frozen(model)(*rows), model(*rows), rtol=1e-4, atol=1e-5)


def by_data(model: TabM) -> None:
    model.head.bias.data = model.head.bias.data + torch.arange(3.0)


def by_other_parameters(model: TabM) -> None:
    state = {name: 1.5 * tensor for name, tensor in model.state_dict().items()}
    model.load_state_dict(state, assign=True)


def by_a_vector(model: TabM) -> None:
    for factor in (2.0, 0.75):  # the memory that the first leaves is free for the second
        vector = factor * nn.utils.parameters_to_vector(model.parameters())
        nn.utils.vector_to_parameters(vector, model.parameters())


@pytest.mark.parametrize("change", [by_data, by_other_parameters, by_a_vector])
@torch.no_grad()
def test_weights_put_in_the_place_of_others_are_noticed(change: Callable[[TabM], None]) -> None:
    model, rows = tabm(), rows_of(5)
    before = frozen(model)(*rows)

    change(model)

    torch.testing.assert_close(frozen(model)(*rows), model(*rows), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(model(*rows), before)


def test_a_network_made_in_inference_mode_predicts_as_it_is() -> None:
    rows = rows_of(5)
    with torch.inference_mode():
        model = tabm()
        assert frozen(model) is model
        expected = model(*rows)

    with torch.no_grad():
        torch.testing.assert_close(frozen(model)(*rows), expected)


@torch.no_grad()
def test_neither_default_dtype_nor_default_device_counts() -> None:
    model, other, rows = mlp(), mlp(), rows_of(600)
    expected = frozen(model)(*rows)

    torch.set_default_dtype(torch.float64)
    try:
        with torch.device("meta"):
            found = frozen(model)(*rows), frozen(other)(*rows)
    finally:
        torch.set_default_dtype(torch.float32)

    assert all(torch.equal(outputs, expected) for outputs in found)


def test_a_code_that_no_category_has_is_refused_with_its_column() -> None:
    codes, numbers = rows_of(5)
    codes[3, 2] = 9

    with pytest.raises(
        ParameterError, match=r"column 2 holds the code 9; its codes run from 0 to 8"
    ):
        frozen(tabm())(codes, numbers)
