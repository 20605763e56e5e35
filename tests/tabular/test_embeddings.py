"""Entity embeddings: the two roads agree, bad codes are refused, the unseen vector is trained."""

import copy

import numpy as np
import pytest
import torch
from torch import Tensor

from tabtext.errors import ColumnTypeError, ParameterError
from tabtext.tabular import embeddings as module
from tabtext.tabular.embeddings import EntityEmbeddings, embedding_width

CARDINALITIES = [1117, 9, 5, 14, 2]


def some_codes(rows: int = 40, *, seed: int = 0) -> Tensor:
    random = np.random.default_rng(seed)
    columns = [random.integers(0, cardinality, rows) for cardinality in CARDINALITIES]
    return torch.as_tensor(np.stack(columns, axis=1))


def looked_up_slowly(embeddings: EntityEmbeddings, codes: Tensor) -> Tensor:
    """What the lookup means, one row and one column at a time."""
    rows = [
        torch.cat([embeddings.table(column)[code] for column, code in enumerate(row.tolist())])
        for row in codes
    ]
    return torch.stack(rows)


@pytest.fixture(params=["kernels", "torch"])
def road(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a test on the kernels' road and on torch's."""
    if request.param == "torch":
        monkeypatch.setattr(module, "kernels_can_run", lambda weight: False)
    return str(request.param)


def test_the_width_follows_the_usual_rule() -> None:
    widths = [embedding_width(n) for n in (1, 2, 3, 10, 1117, 10**6)]

    assert widths == [2, 2, 3, 6, 81, 600]


def test_the_lookup_equals_a_slow_reference_exactly(road: str) -> None:
    embeddings = EntityEmbeddings(CARDINALITIES).eval()
    codes = some_codes()

    vectors = embeddings(codes)

    assert torch.equal(vectors, looked_up_slowly(embeddings, codes))


def test_the_gradient_equals_the_slow_reference(road: str) -> None:
    embeddings = EntityEmbeddings(CARDINALITIES).double().eval()
    codes = some_codes()
    direction = torch.randn(40, embeddings.width, dtype=torch.float64)

    (got,) = torch.autograd.grad(embeddings(codes), embeddings.weight, direction)
    (expected,) = torch.autograd.grad(
        looked_up_slowly(embeddings, codes), embeddings.weight, direction
    )

    torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-12)


def test_gradcheck_passes(road: str) -> None:
    embeddings = EntityEmbeddings([4, 3], widths=[2, 3], unseen_rate=0.0).double()
    codes = torch.tensor([[2, 1], [2, 0], [3, 2]])

    def forward(weight: Tensor) -> Tensor:
        return torch.func.functional_call(embeddings, {"weight": weight}, (codes,))

    weight = embeddings.weight.detach().clone().requires_grad_()
    assert torch.autograd.gradcheck(forward, (weight,))


def test_gradients_that_are_not_contiguous_are_read_right() -> None:
    embeddings = EntityEmbeddings([4, 3], widths=[2, 3]).eval()

    embeddings(torch.tensor([[2, 1], [3, 0]])).sum().backward()  # a gradient of stride 0

    expected = torch.zeros(17)
    expected[4:8] = 1  # rows 2 and 3 of the first table
    expected[8:14] = 1  # rows 0 and 1 of the second
    assert embeddings.weight.grad is not None
    assert torch.equal(embeddings.weight.grad, expected)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32, torch.int64])
def test_codes_of_every_integer_type_are_taken(dtype: torch.dtype, road: str) -> None:
    embeddings = EntityEmbeddings([200, 9]).eval()
    codes = torch.tensor([[199, 2], [0, 8]])

    assert torch.equal(embeddings(codes.to(dtype)), looked_up_slowly(embeddings, codes))


def test_codes_in_any_memory_order_are_taken(road: str) -> None:
    embeddings = EntityEmbeddings(CARDINALITIES).train()
    embeddings.unseen_rate = 0.0
    codes = some_codes()

    vectors = embeddings(codes.t().contiguous().t())

    assert torch.equal(vectors, embeddings(codes))


def test_an_empty_batch_gives_an_empty_result(road: str) -> None:
    embeddings = EntityEmbeddings([5, 9]).train()

    assert embeddings(torch.zeros((0, 2), dtype=torch.int64)).shape == (0, embeddings.width)


@pytest.mark.parametrize("code", [9, -1, 10**6])
def test_a_code_out_of_range_is_refused_with_its_place(code: int) -> None:
    embeddings = EntityEmbeddings([5, 9]).eval()
    codes = torch.tensor([[4, 8], [0, 0], [2, code]])

    message = rf"column 1 holds the code {code} \(row 2 of the batch\).*from 0 to 8"
    with pytest.raises(ParameterError, match=message):
        embeddings(codes)


@pytest.mark.parametrize("shape", [(4,), (4, 3), (4, 1), (4, 2, 1)])
def test_codes_of_a_wrong_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ParameterError, match=r"must have the shape \(batch_size, 2\), however"):
        EntityEmbeddings([5, 9])(torch.zeros(shape, dtype=torch.int64))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bool])
def test_codes_that_are_not_integers_are_refused(dtype: torch.dtype) -> None:
    with pytest.raises(ColumnTypeError, match="must hold integer codes"):
        EntityEmbeddings([5])(torch.zeros((4, 1), dtype=dtype))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"cardinalities": []}, "no column to embed"),
        ({"cardinalities": [5, 1]}, "at least 2"),
        ({"cardinalities": [5, 9], "widths": [3]}, "one entry per column"),
        ({"cardinalities": [5, 9], "widths": [3, 0]}, "at least 1"),
        ({"cardinalities": [5], "dropout": 1.0}, r"dropout must be in \[0, 1\)"),
        ({"cardinalities": [5], "one_hot_up_to": -1}, "one_hot_up_to must not be negative"),
        ({"cardinalities": [5], "unseen_rate": -0.1}, r"unseen_rate must be in \[0, 1\)"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        EntityEmbeddings(**arguments)  # type: ignore[arg-type]  # wrong on purpose


def test_one_columns_width_can_be_set_alone() -> None:
    embeddings = EntityEmbeddings([9, 9], widths=[None, 3])

    assert embeddings.widths == [5, 3]
    assert embeddings.table(1).shape == (9, 3)


def test_small_columns_become_indicators_of_their_codes(road: str) -> None:
    embeddings = EntityEmbeddings([5, 9, 4], widths=[None, 2, None], one_hot_up_to=3)
    codes = torch.tensor([[0, 8, 3], [1, 0, 0], [4, 2, 1]])

    vectors = embeddings.eval()(codes)

    assert embeddings.widths == [5, 2, 4]
    assert torch.equal(vectors[:, :5], torch.eye(5)[codes[:, 0]])
    assert torch.equal(vectors[:, 5:7], embeddings.table(1)[codes[:, 1]])
    assert torch.equal(vectors[:, 7:], torch.eye(4)[codes[:, 2]])
    assert torch.equal(embeddings.table(0), torch.eye(5))


def test_indicators_learn_nothing_and_learned_tables_beside_them_do(road: str) -> None:
    embeddings = EntityEmbeddings([5, 9], one_hot_up_to=3, unseen_rate=0.0)

    embeddings(torch.tensor([[2, 8], [3, 8]])).sum().backward()

    assert embeddings.weight.shape == (9 * 5,)
    assert embeddings.weight.grad is not None
    rows = embeddings.weight.grad.view(9, 5).any(dim=1)
    assert rows.tolist() == [False] * 8 + [True]


def test_only_columns_that_are_small_enough_and_have_no_width_become_indicators() -> None:
    embeddings = EntityEmbeddings([5, 6, 5, 2], widths=[None, None, 3, None], one_hot_up_to=3)

    assert embeddings.one_hot == [True, False, False, False]
    assert embeddings.learned_widths() == [None, 4, 3, 2]


def test_the_stated_share_of_indicators_becomes_unseen(road: str) -> None:
    embeddings = EntityEmbeddings([5], one_hot_up_to=3, unseen_rate=0.2)

    vectors = embeddings(torch.full((20_000, 1), 4))

    assert vectors.sum(dim=1).unique().tolist() == [1.0]
    assert vectors[:, 1].mean().item() == pytest.approx(0.2, abs=0.02)


def test_a_table_is_a_view_of_the_weight() -> None:
    embeddings = EntityEmbeddings([5, 9], widths=[2, 3]).eval()

    with torch.no_grad():
        embeddings.table(1)[4] = 7.0

    assert embeddings(torch.tensor([[0, 4]]))[0, 2:].tolist() == [7.0, 7.0, 7.0]
    with pytest.raises(ParameterError, match=r"column must be in 0\.\.1"):
        embeddings.table(2)


@pytest.mark.parametrize("rate", [0.01, 0.3])
def test_the_stated_share_of_known_codes_becomes_unseen(rate: float, road: str) -> None:
    torch.manual_seed(0)
    embeddings = EntityEmbeddings([3], widths=[1], unseen_rate=rate).train()
    with torch.no_grad():
        embeddings.weight.copy_(torch.tensor([0.0, 1.0, 2.0]))
    n = 40_000

    seen = embeddings(torch.full((n, 1), 2, dtype=torch.uint8))

    share = (seen == 1).double().mean().item()
    deviation = (rate * (1 - rate) / n) ** 0.5
    assert abs(share - rate) < 4 * deviation
    assert set(seen.unique().tolist()) == {1.0, 2.0}


def test_missing_codes_never_become_unseen_and_the_input_is_left_alone() -> None:
    embeddings = EntityEmbeddings([3], widths=[1], unseen_rate=0.9).train()
    missing, known = torch.zeros((500, 1), dtype=torch.int64), torch.full((500, 1), 2)

    vectors = embeddings(missing)
    embeddings(known)

    assert torch.equal(vectors, embeddings.table(0)[0].expand(500, 1))
    assert bool((missing == 0).all())
    assert bool((known == 2).all())


def test_nothing_becomes_unseen_in_evaluation() -> None:
    embeddings = EntityEmbeddings([3], widths=[1], unseen_rate=0.9).eval()

    vectors = embeddings(torch.full((500, 1), 2))

    assert torch.equal(vectors, embeddings.table(0)[2].expand(500, 1))


def test_the_unseen_vector_is_trained(road: str) -> None:
    torch.manual_seed(0)
    embeddings = EntityEmbeddings([12], unseen_rate=0.05).train()
    before = embeddings.table(0).detach().clone()
    optimizer = torch.optim.SGD(embeddings.parameters(), lr=0.1)
    codes = torch.arange(2, 12).repeat(100).unsqueeze(1)

    embeddings(codes).sum().backward()
    optimizer.step()

    moved = (embeddings.table(0) != before).all(dim=1)
    assert not moved[0]  # missing did not occur
    assert bool(moved[1:].all())  # unseen did, though the data never held it


def test_dropout_acts_in_training_alone() -> None:
    torch.manual_seed(0)
    embeddings = EntityEmbeddings([5, 9], dropout=0.5, unseen_rate=0.0)
    codes = torch.full((1000, 2), 2)

    dropped = (embeddings.train()(codes) == 0).double().mean().item()
    kept = (embeddings.eval()(codes) == 0).double().mean().item()

    assert dropped == pytest.approx(0.5, abs=0.05)
    assert kept == 0


def test_two_runs_are_equal_bit_for_bit() -> None:
    def run() -> Tensor:
        torch.manual_seed(3)
        embeddings = EntityEmbeddings(CARDINALITIES, dropout=0.1, unseen_rate=0.05).train()
        optimizer = torch.optim.AdamW(embeddings.parameters(), lr=0.01)
        for seed in range(5):
            optimizer.zero_grad()
            embeddings(some_codes(300, seed=seed)).square().sum().backward()
            optimizer.step()
        return embeddings.weight.detach()

    assert torch.equal(run(), run())


def test_the_state_dict_holds_the_weight_and_survives_a_round_trip() -> None:
    embeddings, other = EntityEmbeddings(CARDINALITIES), EntityEmbeddings(CARDINALITIES)

    other.load_state_dict(embeddings.state_dict())

    assert list(embeddings.state_dict()) == ["weight"]
    assert torch.equal(other.eval()(some_codes()), embeddings.eval()(some_codes()))


def test_a_deep_copy_is_independent() -> None:
    embeddings = EntityEmbeddings(CARDINALITIES).eval()
    before = embeddings(some_codes()).detach().clone()

    copied = copy.deepcopy(embeddings)
    with torch.no_grad():
        copied.weight.zero_()

    assert bool((copied(some_codes()) == 0).all())
    assert torch.equal(embeddings(some_codes()), before)


def test_half_precision_takes_the_torch_road() -> None:
    embeddings = EntityEmbeddings(CARDINALITIES).to(torch.bfloat16).eval()

    vectors = embeddings(some_codes())

    assert vectors.dtype == torch.bfloat16
    assert torch.equal(vectors, looked_up_slowly(embeddings, some_codes()))


def test_autocast_leaves_the_lookup_exact() -> None:
    embeddings = EntityEmbeddings(CARDINALITIES).eval()

    with torch.autocast("cpu", torch.bfloat16):
        vectors = embeddings(some_codes())

    assert torch.equal(vectors, looked_up_slowly(embeddings, some_codes()))


def test_the_compiled_graph_has_no_break_and_agrees() -> None:
    embeddings = EntityEmbeddings(CARDINALITIES).eval()
    compiled = torch.compile(embeddings, fullgraph=True, backend="eager")

    assert torch.equal(compiled(some_codes()), embeddings(some_codes()))
    compiled.train()
    assert compiled(some_codes()).shape == (40, embeddings.width)


def test_the_exported_program_agrees() -> None:
    embeddings = EntityEmbeddings(CARDINALITIES).eval()
    rows = torch.export.Dim("rows", min=2)

    program = torch.export.export(embeddings, (some_codes(),), dynamic_shapes=({0: rows},))

    codes = some_codes(7, seed=1)
    assert torch.equal(program.module()(codes), embeddings(codes))


def test_a_long_training_pulls_categories_to_their_targets() -> None:
    torch.manual_seed(0)
    embeddings = EntityEmbeddings([7], widths=[1], unseen_rate=0.02).train()
    optimizer = torch.optim.Adam(embeddings.parameters(), lr=0.05)
    codes = torch.arange(2, 7).repeat(200).unsqueeze(1)
    wanted = (codes - 4).float()  # -2 ... 2

    for _ in range(300):
        optimizer.zero_grad()
        (embeddings(codes) - wanted).square().mean().backward()
        optimizer.step()

    table = embeddings.table(0).detach().flatten()
    assert table[2:].tolist() == pytest.approx([-2, -1, 0, 1, 2], abs=0.1)
    assert table[1].item() == pytest.approx(0, abs=0.5)  # the blend of all categories
