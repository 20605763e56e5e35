"""The tabular network: shapes, roles of its parts, round trips, and that bins help."""

import copy
import json
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tabtext.errors import ParameterError
from tabtext.tabular.bins import quantile_bin_edges
from tabtext.tabular.models import EntityEmbeddingMLP, TabularEncoder

CARDINALITIES = [7, 30, 4]
EDGES = [np.array([-1.0, 0.0, 1.0]), np.array([0.0, 1.0])]
NUMERIC: list[dict[str, Any]] = [
    {"numeric_embedding": "none"},
    {"numeric_embedding": "piecewise_linear", "bin_edges": EDGES},
    {"numeric_embedding": "periodic"},
]


PRACTICES: list[dict[str, Any]] = [
    {"activation": "mish"},
    {"activation": "prelu"},
    {"activation": "parametric_selu"},
    {"spectral_norm": True},
    {"parametrization": "ntp"},
    {"feature_scales": True},
    {"one_hot_up_to": 10},
]


def batch(rows: int = 20, *, seed: int = 0) -> tuple[Tensor, Tensor]:
    random = np.random.default_rng(seed)
    codes = [random.integers(0, cardinality, rows) for cardinality in CARDINALITIES]
    continuous = random.normal(size=(rows, 2)).astype(np.float32)
    return torch.as_tensor(np.stack(codes, axis=1)), torch.as_tensor(continuous)


def batch_of(cardinalities: list[int], rows: int = 20) -> tuple[Tensor, Tensor]:
    codes = [
        torch.randint(cardinality, (rows,), generator=torch.Generator().manual_seed(0))
        for cardinality in cardinalities
    ]
    return torch.stack(codes, dim=1), torch.ones(rows, 2)


def small_model(**arguments: Any) -> EntityEmbeddingMLP:
    torch.manual_seed(0)
    settings: dict[str, Any] = {"hidden": (16, 8), **arguments}
    return EntityEmbeddingMLP(CARDINALITIES, 2, 3, **settings)


@pytest.mark.parametrize("numeric", NUMERIC)
@pytest.mark.parametrize("hidden", [(), (16,), (16, 8, 4)])
@pytest.mark.parametrize(
    ("with_codes", "with_values"), [(True, True), (True, False), (False, True)]
)
def test_every_combination_of_columns_gives_one_output_row_per_row(
    numeric: dict[str, Any], hidden: tuple[int, ...], with_codes: bool, with_values: bool
) -> None:
    categorical, continuous = batch()
    cardinalities = CARDINALITIES if with_codes else []
    if not with_values:
        numeric = {**numeric, "bin_edges": [] if "bin_edges" in numeric else None}
    model = EntityEmbeddingMLP(cardinalities, 2 * with_values, 3, hidden=hidden, **numeric)
    categorical = categorical[:, : len(cardinalities)]
    continuous = continuous[:, : 2 * with_values]

    training = model.train()(categorical, continuous)
    one_row = model.eval()(categorical[:1], continuous[:1])

    assert training.shape == (20, 3)
    assert one_row.shape == (1, 3)
    assert bool(torch.isfinite(training).all())


@pytest.mark.parametrize("numeric", NUMERIC)
def test_a_row_gets_the_same_output_alone_and_in_company(numeric: dict[str, Any]) -> None:
    model = small_model(**numeric).eval()
    categorical, continuous = batch()

    together = model(categorical, continuous)
    alone = torch.cat([model(categorical[i : i + 1], continuous[i : i + 1]) for i in range(20)])

    torch.testing.assert_close(alone, together)


def test_the_encoder_lays_vectors_and_normalised_values_side_by_side() -> None:
    encoder = TabularEncoder(CARDINALITIES, 2, embedding_widths=[2, 3, 4]).train()
    encoder.categorical.unseen_rate = 0.0  # type: ignore[union-attr]  # there are columns
    categorical, continuous = batch()

    rows = encoder(categorical, continuous)

    deviation = continuous.var(dim=0, unbiased=False).add(1e-5).sqrt()
    normalised = (continuous - continuous.mean(dim=0)) / deviation
    assert encoder.width == rows.shape[1] == 11
    assert torch.equal(rows[:, :9], encoder.categorical(categorical))  # type: ignore[misc]  # ditto
    torch.testing.assert_close(rows[:, 9:], normalised)


def test_batch_norm_of_continuous_values_can_be_left_out() -> None:
    encoder = TabularEncoder([], 2, batch_norm_continuous=False)
    categorical, continuous = batch()

    assert torch.equal(encoder(categorical[:, :0], continuous), continuous)


@pytest.mark.parametrize("numeric", NUMERIC)
def test_layer_groups_cover_every_parameter_once_from_input_to_head(
    numeric: dict[str, Any],
) -> None:
    model = small_model(**numeric)

    groups = model.layer_groups()

    grouped = [id(parameter) for group in groups for parameter in group.parameters()]
    assert grouped == [id(parameter) for parameter in model.parameters()]
    assert len(groups) == 4
    assert groups[0] is model.encoder
    assert groups[-1] is model.head


def test_linear_layers_behind_a_batch_norm_have_no_bias() -> None:
    model = small_model(hidden=(16, 8, 4))

    biases = {
        name: module.bias is not None
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear)
    }

    assert biases == {
        "blocks.0.linear": True,
        "blocks.1.linear": False,
        "blocks.2.linear": False,
        "head": True,
    }


def test_hidden_layers_start_with_kaimings_deviation() -> None:
    model = EntityEmbeddingMLP([], 400, 1, hidden=(500,))

    weight = model.blocks[0].get_parameter("linear.weight")

    assert weight.std().item() == pytest.approx((2 / 400) ** 0.5, rel=0.02)


def test_scales_of_features_multiply_what_the_encoder_gives() -> None:
    torch.manual_seed(0)
    encoder = TabularEncoder([5, 9], 2, feature_scales=True, one_hot_up_to=3).eval()
    assert encoder.scales is not None
    plain = encoder(*batch_of([5, 9]))

    with torch.no_grad():
        encoder.scales.weight.mul_(2)

    torch.testing.assert_close(encoder(*batch_of([5, 9])), 2 * plain)


@pytest.mark.parametrize("practices", PRACTICES, ids=str)
def test_every_practice_trains_all_it_has_and_is_rebuilt(practices: dict[str, Any]) -> None:
    model = small_model(**practices, dropout=0.0, unseen_rate=0.0)
    model(*batch(200)).square().sum().backward()

    rebuilt = EntityEmbeddingMLP.from_config(json.loads(json.dumps(model.config())))
    rebuilt.load_state_dict(model.state_dict())

    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert bool(torch.isfinite(parameter.grad).all()), name
        assert bool(parameter.grad.any()), name
    assert rebuilt.config() == model.config()
    assert torch.equal(rebuilt.eval()(*batch()), model.eval()(*batch()))


def test_dropout_is_set_per_block() -> None:
    model = small_model(dropout=(0.1, 0.4))

    assert [block.dropout.rate for block in model.blocks] == [0.1, 0.4]
    assert small_model(dropout=0.2).config()["dropout"] == [0.2, 0.2]


@pytest.mark.parametrize("numeric", NUMERIC)
def test_reset_parameters_draws_everything_anew(numeric: dict[str, Any]) -> None:
    model = small_model(**numeric)
    categorical, continuous = batch()
    fresh = copy.deepcopy(model.state_dict())
    model(categorical, continuous).sum().backward()
    torch.optim.SGD(model.parameters(), lr=1.0).step()

    torch.manual_seed(0)
    small_model(**numeric)  # draws what construction draws
    torch.manual_seed(1)
    model.reset_parameters()
    first = copy.deepcopy(model.state_dict())
    torch.manual_seed(1)
    model.reset_parameters()

    again = model.state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["head.weight"], fresh["head.weight"])
    running = [name for name in first if "running" in name or "num_batches" in name]
    assert all(torch.equal(first[name], fresh[name]) for name in running)


@pytest.mark.parametrize("numeric", NUMERIC)
def test_config_and_state_dict_rebuild_the_model(numeric: dict[str, Any]) -> None:
    model = small_model(
        **numeric,
        dropout=(0.1, 0.2),
        embedding_widths=[None, 5, 2],
        unseen_rate=0.02,
        embedding_dropout=0.05,
        numeric_width=6,
    )
    categorical, continuous = batch()
    model.train()(categorical, continuous)  # moves the batch norms' statistics

    config = json.loads(json.dumps(model.config()))
    rebuilt = EntityEmbeddingMLP.from_config(config)
    rebuilt.load_state_dict(model.state_dict())

    assert rebuilt.config() == model.config()
    assert torch.equal(
        rebuilt.eval()(categorical, continuous), model.eval()(categorical, continuous)
    )


@pytest.mark.parametrize("numeric", NUMERIC)
def test_a_deep_copy_predicts_the_same(numeric: dict[str, Any]) -> None:
    model = small_model(**numeric).eval()

    assert torch.equal(copy.deepcopy(model)(*batch()), model(*batch()))


@pytest.mark.parametrize("numeric", NUMERIC)
def test_the_compiled_model_agrees(numeric: dict[str, Any]) -> None:
    model = small_model(**numeric).eval()
    compiled = torch.compile(model, fullgraph=True, backend="eager")

    torch.testing.assert_close(compiled(*batch()), model(*batch()))


@pytest.mark.parametrize("practices", PRACTICES, ids=str)
def test_every_practice_can_be_compiled(practices: dict[str, Any]) -> None:
    model = small_model(**practices)
    compiled = torch.compile(model, backend="eager")

    compiled(*batch()).sum().backward()
    torch.testing.assert_close(compiled.eval()(*batch()), model.eval()(*batch()))


@pytest.mark.parametrize("numeric", NUMERIC)
def test_autocast_to_bfloat16_stays_close_and_trains(numeric: dict[str, Any]) -> None:
    model = small_model(**numeric).eval()
    expected = model(*batch())

    with torch.autocast("cpu", torch.bfloat16):
        outputs = model(*batch())
    outputs.float().square().mean().backward()

    torch.testing.assert_close(outputs.float(), expected, rtol=0.05, atol=0.05)
    assert all(
        parameter.grad is not None and bool(torch.isfinite(parameter.grad).all())
        for parameter in model.parameters()
    )


@pytest.mark.parametrize("numeric", NUMERIC)
def test_training_twice_gives_equal_bits(numeric: dict[str, Any]) -> None:
    def trained() -> dict[str, Tensor]:
        model = small_model(**numeric, dropout=0.2, unseen_rate=0.1).train()
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
        for seed in range(5):
            optimizer.zero_grad()
            model(*batch(64, seed=seed)).square().mean().backward()
            optimizer.step()
        return model.state_dict()

    first, second = trained(), trained()
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"cardinalities": [], "n_continuous": 0}, "no columns at all"),
        ({"n_continuous": -1}, "n_continuous must not be negative"),
        ({"n_outputs": 0}, "n_outputs must be at least 1"),
        ({"hidden": (8, 0)}, "every hidden width"),
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\)"),
        ({"dropout": (0.1,)}, "1 numbers for 2 blocks"),
        ({"numeric_embedding": "spline"}, "one of none, piecewise_linear, periodic"),
        ({"numeric_embedding": "piecewise_linear"}, "bin edges of every continuous column"),
        ({"bin_edges": EDGES}, "bin_edges have no use"),
        ({"activation": "step"}, "activation='step' is not one of relu"),
        ({"parametrization": "mup"}, "parametrization='mup' is not one of standard, ntp"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments: dict[str, Any], message: str) -> None:
    settings = {"cardinalities": [4], "n_continuous": 2, "n_outputs": 1, "hidden": (8, 8)}

    with pytest.raises(ParameterError, match=message):
        EntityEmbeddingMLP(**{**settings, **arguments})


def test_batches_of_a_wrong_shape_are_refused_by_name() -> None:
    model = small_model().eval()
    categorical, continuous = batch()

    with pytest.raises(ParameterError, match=r"categorical must have the shape \(batch_size, 3\)"):
        model(categorical[:, :2], continuous)
    with pytest.raises(ParameterError, match=r"continuous must have the shape \(batch_size, 2\)"):
        model(categorical, continuous[:, 0])


def test_a_code_out_of_range_is_refused_in_evaluation() -> None:
    categorical, continuous = batch()
    categorical[5, 2] = 4

    with pytest.raises(ParameterError, match="column 2 holds the code 4"):
        small_model().eval()(categorical, continuous)


def test_piecewise_linear_bins_beat_plain_values_on_a_wiggly_target() -> None:
    random = np.random.default_rng(0)
    values = random.normal(size=(3000, 3)).astype(np.float32)
    target = np.sin(5 * values[:, 0]) + (values[:, 1] > 0.3) * np.cos(4 * values[:, 2])
    edges = quantile_bin_edges(values[:2000], n_bins=24)

    def validation_error(**numeric: Any) -> float:
        torch.manual_seed(0)
        model = EntityEmbeddingMLP([], 3, 1, hidden=(32, 16), dropout=0.0, **numeric)
        inputs = torch.zeros((3000, 0), dtype=torch.uint8), torch.as_tensor(values)
        wanted = torch.as_tensor(target, dtype=torch.float32).unsqueeze(1)
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
        for step in range(200):
            rows = torch.arange(step * 200, (step + 1) * 200) % 2000
            optimizer.zero_grad()
            outputs = model(inputs[0][rows], inputs[1][rows])
            (outputs - wanted[rows]).square().mean().backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            outputs = model(inputs[0][2000:], inputs[1][2000:])
        return float((outputs - wanted[2000:]).square().mean().sqrt())

    plain = validation_error()
    binned = validation_error(numeric_embedding="piecewise_linear", bin_edges=edges)

    assert binned < 0.8 * plain
