"""The network of both halves: shapes, gradients, missing texts, layer groups."""

import json

import pytest
import torch
from torch import Tensor

from tabtext.errors import ParameterError
from tabtext.mixed.fused import FusedEnsemble, FusedNetwork, TextColumns
from tabtext.mixed.network import ColumnReader, MixedNetwork
from tabtext.tabular.models import TabularEncoder
from tabtext.text.encoder.awd_lstm import AWDLSTM, EncoderOptions
from tabtext.training.layer_groups import LayerGroups

Batch = tuple[Tensor, Tensor, Tensor, Tensor]


def encoder() -> AWDLSTM:
    return AWDLSTM(40, EncoderOptions(embedding_width=6, hidden_width=8))


def fused() -> FusedNetwork:
    columns = TabularEncoder([7, 5], n_continuous=2)
    trunk = {"combine": "values", "hidden": (16,), "n_members": 3}
    return FusedNetwork(columns, TextColumns(2, 24, width=4), 1, trunk=trunk)


def network(n_encoders: int = 1) -> MixedNetwork:
    torch.manual_seed(0)
    return MixedNetwork([encoder() for _ in range(n_encoders)], fused())


def batch(rows: int = 6) -> Batch:
    generator = torch.Generator().manual_seed(1)
    lengths = torch.randint(0, 9, (rows, 2), generator=generator)
    lengths[0] = torch.tensor([8, 0])
    tokens = torch.randint(2, 40, (rows, 2, 8), generator=generator)
    tokens[torch.arange(8) >= lengths[..., None]] = 1
    categorical = torch.randint(0, 5, (rows, 2), generator=generator)
    continuous = torch.randn(rows, 2, generator=generator)
    return categorical, continuous, tokens, lengths


def test_members_answer_in_training_and_their_mean_else() -> None:
    assert network()(*batch()).shape == (6, 3, 1)
    assert network().eval()(*batch()).shape == (6, 1)


@pytest.mark.parametrize("n_encoders", [1, 2])
def test_gradients_reach_every_parameter_of_both_halves(n_encoders: int) -> None:
    model = network(n_encoders)

    model(*batch()).square().mean().backward()

    silent = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert silent == []


def test_frozen_encoders_get_no_gradients_and_the_other_half_does() -> None:
    model = network()
    LayerGroups(model).freeze_to(model.n_encoder_groups)

    model(*batch()).square().mean().backward()

    assert all(p.grad is None for p in model.encoders.parameters())
    assert all(p.grad is not None for p in model.fused.parameters())


def test_layer_groups_run_from_words_to_heads_and_cover_everything() -> None:
    groups = LayerGroups(network(2))  # raises for a parameter without a group

    # words, two layers; both inputs, a block, heads
    assert len(groups) == 6


def test_what_was_read_before_gives_the_same_as_reading_anew() -> None:
    model = network().eval()
    categorical, continuous, tokens, lengths = batch()

    pooled = model.read(tokens, lengths)

    anew = model(categorical, continuous, tokens, lengths)
    assert torch.equal(model.fused(categorical, continuous, pooled), anew)


def test_a_row_does_not_depend_on_the_others_of_its_batch() -> None:
    model = network().eval()
    whole = model(*batch())

    alone = model(*(part[2:3] for part in batch()))

    torch.testing.assert_close(alone, whole[2:3])


def test_every_column_has_its_own_encoder_if_there_are_several() -> None:
    model = network(2).eval()
    tokens = torch.tensor([[[2, 9, 8, 3]] * 2])

    first, second = model.read(tokens, torch.tensor([[4, 4]]))[0]

    assert not torch.allclose(first, second)
    shared = network(1).eval().read(tokens, torch.tensor([[4, 4]]))[0]
    torch.testing.assert_close(shared[0], shared[1])


def test_a_new_network_hardly_listens_to_texts() -> None:
    model = fused().eval()
    table = torch.tensor([[2, 3]] * 4), torch.zeros(4, 2)

    raw = model(*table, torch.randn(4, 2, 25))

    assert raw.std() < 0.02


def test_a_missing_text_has_a_vector_of_its_own() -> None:
    columns = TextColumns(1, 8, width=2).eval()
    with torch.no_grad():
        columns.missing.fill_(7.0)
    pooled = torch.randn(2, 1, 9)
    pooled[:, 0, -1] = torch.tensor([1.0, 0.0])

    there, missing = columns(pooled)

    assert missing.tolist() == [7.0, 7.0]
    assert there.tolist() != [7.0, 7.0]


@pytest.mark.parametrize("n_encoders", [1, 2])
def test_a_network_from_its_config_answers_alike(n_encoders: int) -> None:
    model = network(n_encoders).eval()

    other = MixedNetwork.from_config(json.loads(json.dumps(model.config()))).eval()
    other.load_state_dict(model.state_dict())

    assert torch.equal(other(*batch()), model(*batch()))


def test_an_ensemble_predicts_the_mean_of_its_networks() -> None:
    torch.manual_seed(3)
    members = [fused().eval(), fused().eval()]
    model = MixedNetwork([encoder()], FusedEnsemble(members, combine="values")).eval()
    categorical, continuous, tokens, lengths = batch()
    pooled = model.read(tokens, lengths)

    mean = torch.stack([m(categorical, continuous, pooled) for m in members]).mean(0)

    torch.testing.assert_close(model(*batch()), mean)
    again = MixedNetwork.from_config(json.loads(json.dumps(model.config()))).eval()
    again.load_state_dict(model.state_dict())
    assert torch.equal(again(*batch()), model(*batch()))


def test_a_column_can_be_judged_with_other_texts_in_it() -> None:
    model = network().eval()
    categorical, continuous, tokens, lengths = (part[1:2] for part in batch())
    pooled = model.read(tokens, lengths)
    reader = ColumnReader(model, 1, categorical, continuous, pooled)
    others = torch.tensor([[2, 9, 3], [2, 3, 1]])

    judged = reader.judge(reader.encoder, others, torch.tensor([3, 2]))

    padded = torch.nn.functional.pad(others, (0, 5), value=1)
    for row, length in enumerate((3, 2)):
        changed = tokens.clone()
        changed[0, 1] = padded[row]
        both = torch.tensor([[int(lengths[0, 0]), length]])
        expected = model(categorical, continuous, changed, both)
        torch.testing.assert_close(judged[row : row + 1], expected)


def test_as_many_encoders_as_columns_or_one_are_asked_for() -> None:
    with pytest.raises(ParameterError, match="3 encoders for 2 columns of text"):
        network(3)


def test_pooled_texts_of_another_shape_are_refused() -> None:
    model, row = fused().eval(), (torch.zeros(1, 2, dtype=torch.int64), torch.zeros(1, 2))

    with pytest.raises(ParameterError, match=r"\(rows, 2, 25\), however: \(1, 2, 24\)"):
        model(*row, torch.zeros(1, 2, 24))
