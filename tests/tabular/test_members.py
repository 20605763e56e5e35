"""Ensembles in one network: each member alone, what they share, and what they predict together."""

import json
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tabtext.errors import ParameterError
from tabtext.tabular.members import Combine, MemberLinear, TabM, combine_members
from tabtext.tabular.models import TabularEncoder
from tabtext.tabular.parametrizations import set_weight

CARDINALITIES = [7, 30]
EDGES = [np.array([-1.0, 0.0, 1.0]), np.array([0.0, 1.0])]
COMBINE: list[Combine] = ["classes", "labels", "values"]
PRACTICES: list[dict[str, Any]] = [
    {},
    {"activation": "prelu"},
    {"activation": "parametric_mish"},
    {"spectral_norm": True},
    {"parametrization": "ntp"},
    {"parametrization": "ntp", "spectral_norm": True},
]


def batch(rows: int = 20, *, seed: int = 0) -> tuple[Tensor, Tensor]:
    random = np.random.default_rng(seed)
    codes = [random.integers(0, cardinality, rows) for cardinality in CARDINALITIES]
    continuous = random.normal(size=(rows, 2)).astype(np.float32)
    return torch.as_tensor(np.stack(codes, axis=1)), torch.as_tensor(continuous)


def small_model(**arguments: Any) -> TabM:
    torch.manual_seed(0)
    encoder = TabularEncoder(
        CARDINALITIES, 2, numeric_embedding="piecewise_linear", bin_edges=EDGES, unseen_rate=0.0
    )
    shape: dict[str, Any] = {"combine": "classes", "hidden": (16, 8), "n_members": 4, **arguments}
    return TabM(encoder, 3, **shape)


def with_own_scales(layer: MemberLinear) -> MemberLinear:
    """The layer as it might be after training, when no scale is 1 any more."""
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.normal_()
    return layer


# --- the layer ---------------------------------------------------------------------------


@settings(deadline=None, max_examples=40)
@given(
    n_members=st.integers(1, 5),
    n_inputs=st.integers(1, 6),
    n_units=st.integers(1, 6),
    rows=st.integers(0, 7),
)
def test_members_are_linear_layers_with_scaled_weights(
    n_members: int, n_inputs: int, n_units: int, rows: int
) -> None:
    for shared_input in (True, False):
        layer = with_own_scales(
            MemberLinear(n_members, n_inputs, n_units, shared_input=shared_input)
        ).double()
        width = n_inputs if shared_input else n_members * n_inputs
        features = torch.randn(rows, width, dtype=torch.float64)

        units = layer(features).view(rows, n_members, n_units)

        for member in range(n_members):
            own = features if shared_input else features[:, member * n_inputs :][:, :n_inputs]
            expected = (own * layer.scale_in[member]) @ layer.weight * layer.scale_out[member]
            torch.testing.assert_close(units[:, member], expected + layer.bias[member])


def test_scales_begin_as_signs_of_shared_inputs_and_ones_elsewhere() -> None:
    first = MemberLinear(6, 40, 3, shared_input=True)
    second = MemberLinear(6, 40, 3, shared_input=False)

    assert set(first.scale_in.unique().tolist()) == {-1.0, 1.0}
    assert len(first.scale_in.unique(dim=0)) == 6
    for scale in (first.scale_out, second.scale_in, second.scale_out):
        assert bool((scale == 1).all())


# --- what members predict together -------------------------------------------------------


@pytest.mark.parametrize("n_members", [1, 5])
def test_combined_outputs_predict_the_mean_of_the_members(n_members: int) -> None:
    raw = torch.randn(9, n_members, 3, dtype=torch.float64) * 4

    classes = combine_members(raw, "classes").softmax(dim=1)
    labels = combine_members(raw, "labels").sigmoid()

    torch.testing.assert_close(classes, raw.softmax(dim=2).mean(dim=1))
    torch.testing.assert_close(labels, raw.sigmoid().mean(dim=1))
    torch.testing.assert_close(combine_members(raw, "values"), raw.mean(dim=1))


@pytest.mark.parametrize("combine", COMBINE)
def test_members_that_are_very_sure_give_no_infinity(combine: Combine) -> None:
    raw = torch.tensor([[[500.0, -500.0], [400.0, -300.0]]])

    assert bool(torch.isfinite(combine_members(raw, combine)).all())


# --- the network -------------------------------------------------------------------------


@pytest.mark.parametrize("combine", COMBINE)
@pytest.mark.parametrize("hidden", [(), (16,), (16, 8, 4)])
def test_members_speak_for_themselves_in_training_only(
    combine: Combine, hidden: tuple[int, ...]
) -> None:
    model = small_model(combine=combine, hidden=hidden)

    training = model.train()(*batch())
    one_row = model.eval()(*(part[:1] for part in batch()))

    assert training.shape == (20, 4, 3)
    assert one_row.shape == (1, 3)
    assert bool(torch.isfinite(training).all())


def test_evaluation_combines_what_the_members_say() -> None:
    model = small_model(dropout=0.0)
    said: list[Tensor] = []
    model.head.register_forward_hook(lambda _module, _inputs, raw: said.append(raw))

    together = model.eval()(*batch())

    torch.testing.assert_close(together.softmax(dim=1), said[0].softmax(dim=2).mean(dim=1))


def test_a_row_gets_the_same_output_alone_and_in_company() -> None:
    model = small_model().eval()
    categorical, continuous = batch()

    together = model(categorical, continuous)
    alone = torch.cat([model(categorical[i : i + 1], continuous[i : i + 1]) for i in range(20)])

    torch.testing.assert_close(alone, together)


@pytest.mark.parametrize("practices", PRACTICES, ids=str)
def test_the_gradient_of_one_member_reaches_what_is_its_own_and_what_all_share(
    practices: dict[str, Any],
) -> None:
    model = small_model(dropout=0.0, **practices).train()

    model(*batch())[:, 2].square().sum().backward()

    of_members = [name for name, _ in model.named_parameters() if "scale" in name or "bias" in name]
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        if name in of_members and "encoder" not in name and "batch_norm" not in name:
            others = torch.arange(4) != 2
            assert not bool(parameter.grad[others].any()), name
            assert bool(parameter.grad[2].any()), name
        elif "linear" in name:
            assert bool(parameter.grad.any()), name
        elif "activation" in name:
            of_units = parameter.grad.view(4, -1)
            assert of_units.any(dim=1).tolist() == [False, False, True, False], name


@pytest.mark.parametrize("practices", PRACTICES, ids=str)
def test_the_order_of_the_members_does_not_matter(practices: dict[str, Any]) -> None:
    model = small_model(**practices).eval()
    for block in model.blocks:
        for parameter in block.activation.parameters():
            nn.init.uniform_(parameter)
    before = model(*batch())
    order = torch.tensor([2, 0, 3, 1])

    with torch.no_grad():
        for block in model.blocks:
            for parameter in (block.linear.scale_in, block.linear.scale_out, block.linear.bias):
                parameter.copy_(parameter[order].clone())
            norm: nn.BatchNorm1d = block.batch_norm
            learned = list(block.activation.parameters())
            for values in (norm.weight, norm.bias, norm.running_mean, norm.running_var, *learned):
                values.copy_(values.view(4, -1)[order].flatten())
        set_weight(model.head, model.head.weight[order].clone())
        model.head.bias.copy_(model.head.bias[order].clone())

    torch.testing.assert_close(model(*batch()), before)


def test_members_share_most_of_their_weights() -> None:
    def count(n_members: int) -> int:
        blocks = small_model(hidden=(256, 128), n_members=n_members).blocks
        return sum(parameter.numel() for parameter in blocks.parameters())

    assert count(8) < 1.5 * count(1)


@pytest.mark.parametrize("practices", PRACTICES, ids=str)
def test_a_model_survives_json_and_its_state_dict(practices: dict[str, Any]) -> None:
    model = small_model(combine="labels", dropout=0.3, **practices).eval()

    rebuilt = TabM.from_config(json.loads(json.dumps(model.config())))
    rebuilt.load_state_dict(model.state_dict())

    assert rebuilt.config() == model.config()
    torch.testing.assert_close(rebuilt.eval()(*batch()), model(*batch()), rtol=0, atol=0)


def test_settings_that_an_older_config_has_not_are_those_of_then() -> None:
    model = small_model().eval()
    config = model.config()
    for name in ("activation", "parametrization", "spectral_norm"):
        del config[name]
    for name in ("one_hot_up_to", "feature_scales"):
        del config["encoder"][name]

    rebuilt = TabM.from_config(config)
    rebuilt.load_state_dict(model.state_dict())

    torch.testing.assert_close(rebuilt.eval()(*batch()), model(*batch()), rtol=0, atol=0)


@pytest.mark.parametrize("practices", PRACTICES, ids=str)
def test_parameters_begin_alike_when_they_are_drawn_anew(practices: dict[str, Any]) -> None:
    model = small_model(**practices)
    for parameter in model.parameters():
        nn.init.normal_(parameter)

    model.reset_parameters()

    for drawn, fresh in zip(model.blocks, small_model(**practices).blocks, strict=True):
        size, expected = (block.linear.weight.std().item() for block in (drawn, fresh))
        assert size == pytest.approx(expected, rel=0.3)
        for ours, theirs in zip(
            drawn.activation.parameters(), fresh.activation.parameters(), strict=True
        ):
            assert torch.equal(ours, theirs)


def test_parameters_can_be_drawn_anew() -> None:
    model = small_model()
    before = {name: value.clone() for name, value in model.state_dict().items()}

    torch.manual_seed(1)
    model.reset_parameters()

    changed = {n for n, value in model.state_dict().items() if not torch.equal(value, before[n])}
    assert {"blocks.0.linear.weight", "blocks.0.linear.scale_in", "head.weight"} <= changed


def test_layer_groups_run_from_the_input_to_the_heads() -> None:
    model = small_model()

    groups = model.layer_groups()

    assert groups == [model.encoder, *model.blocks, model.head]
    held = sum(p.numel() for group in groups for p in group.parameters())
    assert held == sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize(
    "wrong",
    [
        {"hidden": (0,)},
        {"n_members": 0},
        {"dropout": 1.0},
        {"combine": "median"},
        {"activation": "step"},
        {"parametrization": "mup"},
    ],
    ids=str,
)
def test_wrong_arguments_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ParameterError):
        small_model(**wrong)
